"""Prediction on new images: label maps and overlays for a folder of images."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import luigi
import numpy as np
from PIL import Image

from data.errors import SettingError
from data.files.facts import changed
from data.files.fingerprint import hash_file
from data.files.images import read_image
from data.files.label_export import exported_png, voc_palette
from data.files.pixels import IMAGE_SUFFIXES
from data.store.artifact import write_bytes, write_json
from models.crf_constants import CRF_PRESETS, installed_engine
from tasks.predict_masks import likely_classes
from tasks.runtime.devices import has_gpu
from tasks.runtime.numeric import require_legal, scales_parameter
from tasks.runtime.parameters import flag, one_of
from tasks.runtime.progress import track
from tasks.runtime.resizing import (
    at_size,
    resize_side_parameter,
    resize_to_parameter,
    resized,
    resized_picture,
    resized_size,
)
from tasks.runtime.resource_errors import resource_errors_told
from tasks.runtime.trained_model import TrainedArtifact

log = logging.getLogger("depthseed")

RECORD = "predictions.json"
"""File beside the label maps: hash of the model, settings, class names, and hashes of the images and label maps."""

SECONDS_PER_RECORD = 30.0
"""How often the record is written. If a run is killed, what it made since then is made again."""


class PredictFolder(luigi.Task):
    """Writes ``<output>/<name>.png`` (class numbers) and ``<name>_overlay.jpg`` for each image of a folder.

    Two images whose names differ only in the ending, a.jpg and a.png, give a.jpg.png and a.png.png. The file
    `RECORD` says by which model and settings each label map was made, and from which image. A second run predicts only
    what is missing or was made otherwise.

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
    resize_side = resize_side_parameter()
    resize_to = resize_to_parameter()
    crf = one_of(("none", *CRF_PRESETS), "none", "preset of CRF constants, none = no CRF; it takes about as long")
    device = luigi.Parameter(default="auto", description="torch device; auto = cuda if it is available, else cpu")

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """As of luigi; SettingError for a scale that is not legal."""
        values = super().get_param_values(params, args, kwargs)
        require_legal(cls, dict(values))
        return values

    def complete(self):
        return not self._waiting() and self._model.is_complete()

    @property
    def _model(self) -> TrainedArtifact:
        return TrainedArtifact(Path(self.model))

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

    @property
    def _settings(self) -> dict[str, object]:
        """What the label maps depend on, besides the images."""
        size = {} if self.resize_side == "none" else {"side": self.resize_side, "length": self.resize_to}
        settings = {"scales": list(self.scales), "flip": self.flip, "crf": self.crf}
        return {"model": self._model.digest(), **settings, **size}

    def _recorded(self) -> dict[str, list[str]]:
        """Name of each label map that was made with the same settings -> hashes of its image and of itself."""
        try:
            record = json.loads((Path(self.output) / RECORD).read_bytes())
            return dict(record["label maps"]) if record["settings"] == self._settings else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}  # without a record, nothing is known of the files in the folder

    def _waiting(self) -> list[Path]:
        recorded = self._recorded()
        return [path for path in self._names if recorded.get(self._target(path).name, []) != self._hashes(path)]

    def _hashes(self, image: Path) -> list[str] | None:
        target = self._target(image)
        return [hash_file(image), hash_file(target)] if target.is_file() else None

    def _target(self, image: Path) -> Path:
        return Path(self.output) / f"{self._names[image]}.png"

    def run(self):
        with resource_errors_told(self, Path(self.output)):
            self._predict()

    def _predict(self) -> None:
        import torch

        from tasks.runtime.tensors import rgb_tensor
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        model = self._model.load_segmenter(device)
        waiting, recorded, told = self._waiting(), self._recorded(), time.monotonic()
        for path in track(waiting, "PredictFolder", len(waiting), "image"):
            before, image = hash_file(path), read_image(path)
            with torch.inference_mode():
                seen = model.normalise(rgb_tensor(image)[None]).to(device)
                seen = resized(seen, resized_size(image.shape[:2], self.resize_side, self.resize_to))
                probabilities = model.network.predict(seen, self.scales, self.flip)[0]
            labels, target = self._labels(image, probabilities), self._target(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(_overlay(image, labels)).save(target.with_name(f"{target.stem}_overlay.jpg"), quality=90)
            write_bytes(target, exported_png(labels, len(model.class_names) - 1))
            found = cast(list[str], self._hashes(path))
            if found[0] != before:
                raise changed(path)
            recorded[target.name] = found
            if time.monotonic() - told > SECONDS_PER_RECORD:
                self._write_record(recorded, model.class_names)
                told = time.monotonic()
        self._write_record(recorded, model.class_names)
        log.info("PredictFolder: classes %s", ", ".join(f"{i} {name}" for i, name in enumerate(model.class_names)))
        log.info("PredictFolder: wrote %s", self.output)

    def _labels(self, image: np.ndarray, probabilities: Any) -> np.ndarray:
        """Label map (H, W) uint16 of an image from the probabilities (K+1, h, w) of the network, by CRF if it is on."""
        if self.crf == "none" and probabilities.shape[-2:] == image.shape[:2]:
            return probabilities.argmax(0).cpu().numpy().astype(np.uint16)
        classes = likely_classes(probabilities)
        values = probabilities[classes].float().cpu().numpy()
        if self.crf != "none":
            from models.crf import crf_from_probabilities

            engine = "torch" if has_gpu(self.device) else installed_engine()
            device = str(probabilities.device) if engine == "torch" else "cpu"
            seen = resized_picture(image, values.shape[-2:])
            values = crf_from_probabilities(seen, values, CRF_PRESETS[self.crf], engine, device)
        if values.shape[-2:] != image.shape[:2]:
            values = at_size(values, image.shape[:2])
        return classes.cpu().numpy()[values.argmax(0)].astype(np.uint16)

    def _write_record(self, recorded: Mapping[str, Sequence[str]], class_names: Sequence[str]) -> None:
        content = {"settings": self._settings, "class_names": list(class_names), "label maps": dict(recorded)}
        write_json(Path(self.output) / RECORD, content)


def _overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with all classes except 0 in half-transparent colours of VOC's palette."""
    coloured = voc_palette(int(labels.max()) + 1)[labels]
    return np.where((labels > 0)[..., None], (0.5 * image + 0.5 * coloured), image).astype(np.uint8)
