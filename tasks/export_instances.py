"""Instances as files for other tools: PNG, COCO, BOP masks and results, CVAT, Label Studio, YOLO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import luigi
import numpy as np

from data.files.exported_frames import ExportedFrame, frame_of_instances, image_name
from data.files.instance_export import NO_TIME, ExportedInstance, bop_results, coco_instances
from data.files.labels import label_png
from data.files.mask_files import bop_place
from data.files.png import png_bytes
from data.files.working_size import full_size, nearest
from data.readers.bop import object_ids
from data.sample import EVALUATION, Sample
from data.store.artifact import Artifact, write_bytes, write_json
from tasks.evaluate_instances import INSTANCES, STAGES, instances_of
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import OfSplit
from tasks.runtime.instance_arrays import read_stored
from tasks.runtime.numeric import number
from tasks.runtime.parameters import one_of, only
from tasks.runtime.stage import StageTask
from tasks.runtime.tool_formats import TOOL_FORMATS, ToolFormats, image_table, images_at_parameter

FORMATS = ("png", "coco", "bop", "bop_results", *TOOL_FORMATS)


def writes_results(stage) -> bool:
    """A condition of `only`: the results of the BOP challenge are among the formats."""
    return "bop_results" in stage.formats


class ExportInstances(OfSplit, StageTask):
    """Writes the instances of a split, ``classes.json``, and ``images.json``: image id -> file of the image.

    - ``png/<image id>.png``: instance of each pixel, 16 bits, 0 = none
    - ``coco.json``: one annotation per instance
    - ``bop/<scene>/mask_visib/`` with ``scene_gt.json``
    - ``bop_results.json``: a results file of the BOP challenge's 2D segmentation
    - ``cvat.zip``, ``label_studio/``, ``yolo/``: see `data.files.cvat_export`, `.label_studio_export`, `.yolo_export`
    """

    version = 4
    artifact_type = Artifact

    split: Any = one_of((EVALUATION, "train"), EVALUATION, "split whose images are used")
    instances = one_of(("method", *STAGES), "method", "instances that are written: those of the method, or of a stage")
    formats = luigi.ChoiceListParameter(default=("png", "coco"), choices=FORMATS, description="formats of the files")
    images_at = images_at_parameter()
    seconds = only(
        number(NO_TIME, "time of an image in bop_results, in seconds; -1 = not measured", at_least=-1),
        when=writes_results,
    )

    @property
    def label(self):
        return f"ExportInstances-{self.split}"

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), INSTANCES: instances_of(self, self.instances, self.split)}

    def work(self) -> int:
        dataset, samples = self.inputs["dataset"], self._samples
        own = {"png": self._png, "coco": self._coco, "bop": self._bop, "bop_results": self._results}
        for name in self.formats:
            if name in own:
                own[name]()
            else:
                ToolFormats(self, dataset, samples, self._frames, parts_apart=False).write(name)
        write_json(self.artifact.path / "classes.json", list(dataset.class_names))
        write_json(self.artifact.path / "images.json", image_table(dataset, samples))
        return len(self._samples)

    @property
    def _samples(self) -> Sequence[Sample]:
        return self.inputs["dataset"].split(self.split)

    @property
    def _object_ids(self) -> list[int]:
        dataset = self.inputs["dataset"]
        return object_ids(dataset.root, dataset.class_names)

    def _found(self) -> Iterator[tuple[Sample, np.ndarray, list[ExportedInstance]]]:
        from models.instance_table import instance_table

        store, samples = self.inputs[INSTANCES], self._samples
        for index, sample in enumerate(self.progress(samples, len(samples))):
            instances, table = read_stored(store.image(index, sample.size))
            if self.required["dataset"].size:  # the run works at another size than that of the images
                instances = nearest(instances, full_size(sample))
                table = instance_table(instances, table.classes, table.scores)
            rows = zip(table.classes, table.scores, table.boxes, strict=True)
            items = [
                ExportedInstance(int(class_number), score, box.tolist(), instances == place)
                for place, (class_number, score, box) in enumerate(rows, start=1)
            ]
            yield sample, instances, items

    def _frames(self) -> Iterator[ExportedFrame]:
        root = self.inputs["dataset"].root
        return (
            frame_of_instances(sample, root, (instances.shape[0], instances.shape[1]), items)
            for sample, instances, items in self._found()
        )

    def _png(self) -> None:
        for sample, instances, _ in self._found():
            write_bytes(self.artifact.path / "png" / f"{sample.image_id}.png", label_png(instances.astype(np.uint16)))

    def _coco(self) -> None:
        dataset = self.inputs["dataset"]
        images = (
            (image_name(sample, dataset.root), instances.shape, items) for sample, instances, items in self._found()
        )
        write_json(self.artifact.path / "coco.json", coco_instances(dataset.class_names, images))

    def _bop(self) -> None:
        """One mask per instance, with BOP's ``obj_id``; 0 = any class."""
        ids = self._object_ids
        scenes: dict[str, dict[str, list[dict]]] = {}
        for sample, _, items in self._found():
            bop_place(sample)
            place = PurePosixPath(sample.image_id)
            found = scenes.setdefault(str(place.parent), {}).setdefault(str(int(place.name)), [])
            for item in items:
                name = f"{place.name}_{len(found):06d}.png"
                write_bytes(
                    self.artifact.path / "bop" / place.parent / "mask_visib" / name,
                    png_bytes(item.mask.astype(np.uint8) * 255),
                )
                found.append({"obj_id": ids[item.class_number], **item.scored})
        for scene, frames in scenes.items():
            write_json(self.artifact.path / "bop" / scene / "scene_gt.json", frames)

    def _results(self) -> None:
        frames = ((bop_place(sample), items) for sample, _, items in self._found())
        write_json(self.artifact.path / "bop_results.json", bop_results(frames, self._object_ids, self.seconds))
