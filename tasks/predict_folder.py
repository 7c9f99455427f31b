"""Prediction on new images: label maps and overlays for a folder of images."""

from __future__ import annotations

import logging
from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any

import luigi
import numpy as np
from PIL import Image

from data.errors import SettingError
from data.files.images import read_image
from data.files.label_export import exported_png, voc_palette
from data.files.pixels import IMAGE_SUFFIXES
from data.store.artifact import write_bytes
from tasks.runtime.numeric import require_legal, scales_parameter
from tasks.runtime.parameters import flag
from tasks.runtime.progress import track
from tasks.runtime.trained_model import TrainedArtifact

log = logging.getLogger("depthseed")


class PredictFolder(luigi.Task):
    """Writes ``<output>/<name>.png`` (class numbers) and ``<name>_overlay.jpg`` for each image of a folder.

    Two images whose names differ only in the ending, a.jpg and a.png, give a.jpg.png and a.png.png. A second run
    predicts only new images, and images that have changed since their label map was written.

    Raises
    ------
    SettingError
        If the folder has no images, or `model` is not a complete artifact of a segmentation network.
    """

    model = luigi.Parameter(description="folder of the artifact of TrainSegmenter, TrainByMasking or TrainCoarse")
    images = luigi.Parameter(description="folder of images")
    output: Any = luigi.Parameter(default="predictions", description="folder for the results")
    scales = scales_parameter((1.0,), "scales of the image, relative to its size; probabilities are averaged")
    flip = flag(True, "also use the mirrored image")
    device = luigi.Parameter(default="auto", description="torch device; auto = cuda if it is available, else cpu")

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """As of luigi; SettingError for a scale that is not legal."""
        values = super().get_param_values(params, args, kwargs)
        require_legal(cls, dict(values))
        return values

    def complete(self):
        return not self._waiting()

    @cached_property
    def _names(self) -> dict[Path, str]:
        """File of each image -> name of its results, without ending."""
        folder = Path(self.images)
        found = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise SettingError(f"{folder}: has no images; --images must name a folder of {', '.join(IMAGE_SUFFIXES)}")
        uses = Counter(path.stem for path in found)
        names = {path: path.stem if uses[path.stem] == 1 else path.name for path in found}
        for name, count in Counter(names.values()).items():
            if count > 1:
                raise SettingError(f"{folder}: two images would have the result {name}.png; rename one of them")
        return names

    def _waiting(self) -> list[Path]:
        return [path for path in self._names if not _is_younger(self._target(path), path)]

    def _target(self, image: Path) -> Path:
        return Path(self.output) / f"{self._names[image]}.png"

    def run(self):
        import torch

        from tasks.runtime.tensors import rgb_tensor
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        model = TrainedArtifact(Path(self.model)).load_segmenter(device)
        waiting = self._waiting()
        for path in track(waiting, "PredictFolder", len(waiting), "image"):
            image = read_image(path)
            with torch.inference_mode():
                seen = model.normalise(rgb_tensor(image)[None]).to(device)
                likeliest = model.network.predict(seen, self.scales, self.flip)[0].argmax(0)
            labels = likeliest.cpu().numpy().astype(np.uint16)
            overlay = Path(self.output) / f"{self._names[path]}_overlay.jpg"
            overlay.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(_overlay(image, labels)).save(overlay, quality=90)
            # written last: it means that the image is done
            write_bytes(self._target(path), exported_png(labels, len(model.class_names) - 1))
        log.info("PredictFolder: classes %s", ", ".join(f"{i} {name}" for i, name in enumerate(model.class_names)))
        log.info("PredictFolder: wrote %s", self.output)


def _is_younger(made: Path, source: Path) -> bool:
    return made.exists() and made.stat().st_mtime >= source.stat().st_mtime


def _overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with all classes except 0 in half-transparent colours of VOC's palette."""
    coloured = voc_palette(int(labels.max()) + 1)[labels]
    return np.where((labels > 0)[..., None], (0.5 * image + 0.5 * coloured), image).astype(np.uint8)
