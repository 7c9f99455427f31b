"""Pseudo-labels or predictions as files for other tools: PNG, COCO, BOP, VOC, CVAT, Label Studio, YOLO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import luigi
import numpy as np

from data.errors import SettingError
from data.files.exported_frames import ExportedFrame, frame_of_labels, image_name
from data.files.label_export import class_masks, coco_content, exported_png, voc_submission
from data.files.png import png_bytes
from data.files.working_size import full_size
from data.readers.bop import object_ids
from data.sample import EVALUATION, UNLABELLED, Sample
from data.store.artifact import Artifact, write_bytes, write_json
from tasks.index_dataset import IndexDataset
from tasks.methods import named_labels_stage
from tasks.runtime.corrections import UsesCorrections
from tasks.runtime.image_stage import OfSplit
from tasks.runtime.resizing import labels_at_size
from tasks.runtime.stage import StageTask
from tasks.runtime.tool_formats import TOOL_FORMATS, ToolFormats, image_table, images_at_parameter

FORMATS = ("png", "coco", "bop", "voc", *TOOL_FORMATS)

SUBMISSION = "voc_submission.tar.gz"
"""File of the format ``voc``."""


class ExportLabels(UsesCorrections, OfSplit, StageTask):
    """Writes the label maps of a split in each of the `formats`, ``classes.json``, and ``images.json``.

    - ``png/<image id>.png``: class of each pixel; ``images.json`` names the image of each id
    - ``coco.json``: one annotation per class and image
    - ``bop/<scene>/mask_visib/`` with ``scene_gt.json``
    - `SUBMISSION`: the archive that the evaluation server of PASCAL VOC takes
    - ``cvat.zip``, ``label_studio/``, ``yolo/``: see `data.files.cvat_export`, `.label_studio_export`, `.yolo_export`

    An image with a corrected label map is written as corrected; pixels that it leaves unlabelled have the label of the
    stage before.
    """

    version = 4
    artifact_type = Artifact

    formats = luigi.ChoiceListParameter(default=("png", "coco"), choices=FORMATS, description="formats of the files")
    images_at = images_at_parameter()

    def requires(self):
        return {
            "dataset": self.upstream(IndexDataset),
            "labels": self.upstream(named_labels_stage(self.method), split=self.split),
        }

    def work(self) -> int:
        dataset, samples = self.inputs["dataset"], self._samples
        own = {"png": self._png, "coco": self._coco, "bop": self._bop, "voc": self._voc}
        for name in self.formats:
            if name in own:
                own[name]()
            else:
                ToolFormats(self, dataset, samples, self._frames, parts_apart=True).write(name)
        write_json(self.artifact.path / "classes.json", list(dataset.class_names))
        write_json(self.artifact.path / "images.json", image_table(dataset, samples))
        return len(self._samples)

    @property
    def is_resized(self) -> bool:
        """True if the run works at another size than that of the images."""
        return bool(self.required["dataset"].size)

    @property
    def _samples(self) -> Sequence[Sample]:
        return self.inputs["dataset"].split(self.split)

    def _labels(self) -> Iterator[tuple[Sample, np.ndarray]]:
        store, samples, num_classes = self.inputs["labels"], self._samples, self.inputs["dataset"].num_classes
        for index, sample in enumerate(self.progress(samples, len(samples))):
            labels = store.read_image("label", index, sample.size)
            if self.is_resized:
                labels = labels_at_size(labels, full_size(sample))
            certain = self.correction(sample, num_classes, full_size=True)
            yield sample, labels if certain is None else np.where(certain == UNLABELLED, labels, certain)

    def _frames(self) -> Iterator[ExportedFrame]:
        root = self.inputs["dataset"].root
        return (frame_of_labels(sample, root, labels) for sample, labels in self._labels())

    def _png(self) -> None:
        num_classes = self.inputs["dataset"].num_classes
        for sample, labels in self._labels():
            write_bytes(self.artifact.path / "png" / f"{sample.image_id}.png", exported_png(labels, num_classes))

    def _voc(self) -> None:
        dataset = self.required["dataset"]
        if self.dataset != "voc" or self.split != EVALUATION:
            raise SettingError(
                "--ExportLabels-formats voc is for the predictions of PASCAL VOC; use --dataset voc --split evaluation "
                "--IndexDataset-evaluation-folder test"
            )
        num_classes = self.inputs["dataset"].num_classes
        name = dataset.evaluation_folder or dataset.spec.splits[EVALUATION]
        files = (
            (PurePosixPath(sample.image_id).name, exported_png(labels, num_classes))
            for sample, labels in self._labels()
        )
        write_bytes(self.artifact.path / SUBMISSION, voc_submission(name, files))

    def _coco(self) -> None:
        root = self.inputs["dataset"].root
        named = ((image_name(sample, root), labels) for sample, labels in self._labels())
        write_json(self.artifact.path / "coco.json", coco_content(self.inputs["dataset"].class_names, named))

    def _bop(self) -> None:
        """One mask per class and frame, in the order of ``scene_gt.json``, with BOP's ``obj_id``."""
        dataset = self.inputs["dataset"]
        ids = object_ids(dataset.root, dataset.class_names)
        scenes: dict[str, dict[str, list[dict]]] = {}
        for sample, labels in self._labels():
            place = PurePosixPath(sample.image_id)
            if not place.name.isdigit():
                raise SettingError(f"{sample.image_id}: is not a frame of a BOP scene; export png or coco instead")
            scene = str(place.parent)
            found = scenes.setdefault(scene, {}).setdefault(str(int(place.name)), [])
            for number, mask in class_masks(labels):
                name = f"{place.name}_{len(found):06d}.png"
                write_bytes(
                    self.artifact.path / "bop" / scene / "mask_visib" / name, png_bytes(mask.astype(np.uint8) * 255)
                )
                found.append({"obj_id": ids[number]})
        for scene, frames in scenes.items():
            write_json(self.artifact.path / "bop" / scene / "scene_gt.json", frames)
