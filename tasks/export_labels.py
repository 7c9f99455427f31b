"""Pseudo-labels or predictions as files for other tools: indexed PNG, COCO run lengths, BOP masks."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import PurePosixPath

import luigi
import numpy as np
from PIL import Image

from data.errors import SettingError
from data.files.label_export import class_masks, coco_content, indexed_png
from data.sample import Sample
from data.store.artifact import write_bytes, write_json
from tasks.index_dataset import IndexDataset
from tasks.predict_masks import PredictMasks
from tasks.runtime.image_stage import SplitTask

FORMATS = ("png", "coco", "bop")


class ExportLabels(SplitTask):
    """Writes ``png/<image id>.png``, ``coco.json`` or ``bop/<scene>/mask_visib/`` of one split."""

    suffix = ""

    formats = luigi.ChoiceListParameter(default=("png", "coco"), choices=FORMATS, description="which files")

    def requires(self):
        return [self.upstream(IndexDataset), self.upstream(PredictMasks, split=self.split)]

    def work(self) -> int:
        for name in self.formats:
            {"png": self._png, "coco": self._coco, "bop": self._bop}[name]()
        write_json(self.artifact.path / "classes.json", list(self.index.class_names))
        return len(self.samples)

    def _labels(self) -> Iterator[tuple[Sample, np.ndarray]]:
        store, samples = self.upstream(PredictMasks, split=self.split).artifact, self.samples
        for number, sample in enumerate(self.progress(samples, len(samples))):
            height, width = sample.size
            yield sample, store.read_image("label", number)[:height, :width]

    def _png(self) -> None:
        for sample, labels in self._labels():
            write_bytes(self.artifact.path / "png" / f"{sample.image_id}.png", indexed_png(labels))

    def _coco(self) -> None:
        root = self.index.root
        named = (
            (
                sample.image.relative_to(root).as_posix() if sample.image.is_relative_to(root) else sample.image.name,
                labels,
            )
            for sample, labels in self._labels()
        )
        write_json(self.artifact.path / "coco.json", coco_content(self.index.class_names, named))

    def _bop(self) -> None:
        """One mask a class and frame, in the order of ``scene_gt.json``, whose ``obj_id`` is the class number."""
        scenes: dict[str, dict[str, list[dict]]] = {}
        for sample, labels in self._labels():
            place = PurePosixPath(sample.image_id)
            if not place.name.isdigit():
                raise SettingError(f"{sample.image_id}: is no frame of a BOP scene; export png or coco instead")
            scene = str(place.parent)
            found = scenes.setdefault(scene, {}).setdefault(str(int(place.name)), [])
            for number, mask in class_masks(labels):
                file = io.BytesIO()
                Image.fromarray(mask.astype(np.uint8) * 255).save(file, "PNG")
                name = f"{place.name}_{len(found):06d}.png"
                write_bytes(self.artifact.path / "bop" / scene / "mask_visib" / name, file.getvalue())
                found.append({"obj_id": number})
        for scene, frames in scenes.items():
            write_json(self.artifact.path / "bop" / scene / "scene_gt.json", frames)
