"""Prediction on new images: label maps and overlays for a folder of images."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import luigi
import numpy as np
from PIL import Image

from data.depth.cleaning import clean_depth
from data.errors import ImageError, SettingError
from data.files.facts import changed, stamp_of
from data.files.fingerprint import hash_file
from data.files.images import read_depth_image, read_image
from data.files.label_export import exported_png, voc_palette
from data.files.labels import label_png
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
from tasks.split_instances import CONSTANTS, SplitInstances

log = logging.getLogger("depthseed")

RECORD = "predictions.json"
"""File beside the label maps: hash of the model, settings, class names, and hashes of the images and label maps."""

MILLIMETRE = 0.001
"""Metres per count of the depth maps."""

ENDINGS = (".png", "_overlay.jpg", "_instances.png", "_instances.json")
"""Of the files of an image, in the order of `Results`."""

SECONDS_PER_RECORD = 30.0
"""How often the record is written. If a run is killed, what it made since then is made again."""


class Results(NamedTuple):
    """Files of the results of an image. The instances and their table are written if there is depth."""

    labels: Path
    overlay: Path
    instances: Path
    table: Path


class PredictFolder(luigi.Task):
    """Writes ``<output>/<name>.png`` (class numbers) and ``<name>_overlay.jpg`` for each image of a folder.

    Two images whose names differ only in the ending, a.jpg and a.png, give a.jpg.png and a.png.png. The file
    `RECORD` says by which model and settings each label map was made, and from which image. A second run predicts only
    what is missing or was made otherwise.

    With `depth`, the label map is cut into instances (`models.instances`), with the settings of SplitInstances. They go
    into ``<name>_instances.png`` (16 bits, 0 = none) and ``<name>_instances.json`` (class, score, box, area of each).

    Raises
    ------
    SettingError
        If the folder has no images, `model` is not a complete artifact of a segmentation network, or `output` is the
        folder of the images or of the depth maps, or a result would replace one of them.
    DatasetError
        If an image is no regular file.
    """

    model = luigi.Parameter(description="folder of the artifact of TrainSegmenter, TrainByMasking or TrainCoarse")
    images = luigi.Parameter(description="folder of images")
    output: Any = luigi.Parameter(default="predictions", description="folder for the results")
    scales = scales_parameter((2.0,), "scales of the image, relative to its size; probabilities are averaged")
    flip = flag(True, "also use the mirrored image")
    resize_side = resize_side_parameter()
    resize_to = resize_to_parameter()
    crf = one_of(("none", *CRF_PRESETS), "none", "preset of CRF constants, none = no CRF; it takes about as long")
    depth: Any = luigi.Parameter(
        default="", description="folder of depth maps <name>.png (16 bits, millimetres): write instances, too"
    )
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
        for path in found:
            stamp_of(path)  # a named pipe would be read without end
        uses = Counter(path.stem for path in found)
        names = {path: path.stem if uses[path.stem] == 1 else path.name for path in found}
        for name, count in Counter(names.values()).items():
            if count > 1:
                raise SettingError(f"{folder}: two images would have the result {name}.png; rename one of them")
        self._require_other_places(names)
        return names

    def _require_other_places(self, names: Mapping[Path, str]) -> None:
        """Raise SettingError if a result would replace an image or a depth map: these are the user's own files."""
        output = Path(self.output)
        for folder in filter(None, (self.images, self.depth)):
            if output.resolve() == Path(folder).resolve():
                raise SettingError(f"--output {output}: is the folder {folder} of the inputs; name another --output")
        depth, written = ([self._depth_of(path) for path in names], 4) if self.depth else ([], 2)
        inputs = _resolved([*names, *depth]).keys()
        results = _resolved(path for name in names.values() for path in self._results(name)[:written])
        for place, result in results.items():
            if place in inputs:  # a link in one of the folders leads to the other
                raise SettingError(f"{result}: this result would replace an input; name another --output folder")

    @property
    def _settings(self) -> dict[str, object]:
        """What the label maps depend on, besides the images."""
        size = {} if self.resize_side == "none" else {"side": self.resize_side, "length": self.resize_to}
        settings = {"scales": list(self.scales), "flip": self.flip, "crf": self.crf}
        instances = {"instances": dataclasses.asdict(self._split_settings())} if self.depth else {}
        return {"model": self._model.digest(), **settings, **size, **instances}

    @staticmethod
    def _split_settings():
        """The settings of SplitInstances, as they are set for that stage."""
        from models.instances import SplitSettings

        stage = SplitInstances()
        return SplitSettings(**{name: getattr(stage, name) for name in CONSTANTS})

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
        needed = [image, self._target(image)]
        if self.depth:
            needed += [self._depth_of(image), *self._results(self._names[image])[2:]]
        return [hash_file(path) for path in needed] if all(path.is_file() for path in needed) else None

    def _depth_of(self, image: Path) -> Path:
        return Path(self.depth) / f"{image.stem}.png"

    def _target(self, image: Path) -> Path:
        return self._results(self._names[image]).labels

    def _results(self, name: str) -> Results:
        return Results(*(Path(self.output) / f"{name}{ending}" for ending in ENDINGS))

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
            labels, results = self._labels(image, probabilities), self._results(self._names[path])
            target = results.labels
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(_overlay(image, labels)).save(results.overlay, quality=90)
            write_bytes(target, exported_png(labels, len(model.class_names) - 1))
            if self.depth:
                self._write_instances(path, image, labels)
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

    def _write_instances(self, path: Path, image: np.ndarray, labels: np.ndarray) -> None:
        from models.instances import found_instances

        depth_file = self._depth_of(path)
        raw = read_depth_image(depth_file, path.name, MILLIMETRE)
        if raw.shape != labels.shape:
            raise ImageError(
                f"{depth_file}: depth has shape {raw.shape}, but {path.name} has {labels.shape}; register depth to the "
                "image first"
            )
        try:
            depth, valid = clean_depth(raw)
        except ValueError as error:
            raise ImageError(f"{depth_file}: {error}; it must hold millimetres") from error
        instances, table = found_instances(image, depth, valid, labels.astype(np.int64), self._split_settings())
        results = self._results(self._names[path])
        write_bytes(results.instances, label_png(instances.astype(np.uint16)))
        rows = zip(*(values.tolist() for values in table), strict=True)
        write_json(results.table, [dict(zip(("class", "score", "box", "area"), row, strict=True)) for row in rows])

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


def _resolved(paths: Iterable[Path]) -> dict[Path, Path]:
    """Where each path leads -> the path. A folder is followed once, and not for each of its files."""
    folder = cache(Path.resolve)
    return {path.resolve() if path.is_symlink() else folder(path.parent) / path.name: path for path in paths}


def _overlay(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with all classes except 0 in half-transparent colours of VOC's palette."""
    coloured = voc_palette(int(labels.max()) + 1)[labels]
    return np.where((labels > 0)[..., None], (0.5 * image + 0.5 * coloured), image).astype(np.uint8)
