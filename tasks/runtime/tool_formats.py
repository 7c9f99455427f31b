"""The formats of annotation and training tools that ExportLabels and ExportInstances have in common."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import luigi

from data.errors import SettingError
from data.files.cvat_export import LABEL_MAP, cvat_files, cvat_labels
from data.files.exported_frames import ExportedFrame, image_name, stems
from data.files.label_studio_export import label_studio_files
from data.files.yolo_export import yolo_files
from data.sample import DatasetIndex, Sample
from data.store.archive import write_zip
from data.store.artifact import write_bytes, write_json
from tasks.runtime.parameters import only

TOOL_FORMATS = ("cvat", "label_studio", "yolo")

CVAT_ARCHIVE, CVAT_LABELS = "cvat.zip", "cvat_labels.json"
"""The archive of masks, and the labels of a task that takes them."""

LOCAL_FILES = "/data/local-files/?d="
"""The address below which Label Studio serves the files of its machine."""


def writes_label_studio(stage) -> bool:
    """A condition of `only`: Label Studio is among the formats."""
    return "label_studio" in stage.formats


def images_at_parameter():
    """The parameter that says where Label Studio finds the images."""
    return only(
        luigi.Parameter(
            default=LOCAL_FILES,
            description="what the address of an image begins with in label_studio; its path in the data set follows",
        ),
        when=writes_label_studio,
    )


class ToolFormats:
    """Writes the frames of a split for the tools of `TOOL_FORMATS` into the artifact of a stage.

    Parameters
    ----------
    stage : StageTask
        With ``split`` and ``images_at``.
    dataset : DatasetIndex
    samples : sequence of Sample
    frames : callable
        () -> the frame of each sample.
    parts_apart : bool
        Whether YOLO gets each connected part as an object of its own.
    """

    def __init__(
        self,
        stage: Any,
        dataset: DatasetIndex,
        samples: Sequence[Sample],
        frames: Callable[[], Iterable[ExportedFrame]],
        parts_apart: bool,
    ):
        self.stage, self.class_names, self.frames, self.parts_apart = stage, dataset.class_names, frames, parts_apart
        self.files = [image_name(sample, dataset.root) for sample in samples]
        self.folder = stage.artifact.path

    def write(self, name: str) -> None:
        """Write one of the `TOOL_FORMATS`.

        Raises
        ------
        DatasetError
            If names or numbers of objects do not fit the format.
        SettingError
            If a library is missing.
        """
        {"cvat": self._cvat, "label_studio": self._label_studio, "yolo": self._yolo}[name]()

    def _cvat(self) -> None:
        write_zip(self.folder / CVAT_ARCHIVE, cvat_files(self.frames(), stems(self.files), self.class_names))
        with zipfile.ZipFile(self.folder / CVAT_ARCHIVE) as archive:
            write_json(self.folder / CVAT_LABELS, cvat_labels(archive.read(LABEL_MAP)))

    def _label_studio(self) -> None:
        stage = self.stage
        version = f"depthseed {stage.identity}"
        self._write("label_studio", label_studio_files(self.frames(), self.class_names, stage.images_at, version))

    def _yolo(self) -> None:
        names = stems(self.files)
        try:
            files = yolo_files(self.frames(), names, self.class_names, self.stage.split, self.parts_apart)
            self._write("yolo", files)
        except ImportError as error:
            raise SettingError(f"the format yolo needs OpenCV: pip install 'depthseed[opencv]' ({error})") from error

    def _write(self, folder: str, files: Iterator[tuple[str, bytes]]) -> None:
        for name, content in files:
            write_bytes(self.folder / folder / name, content)


def image_table(dataset: DatasetIndex, samples: Sequence[Sample]) -> dict[str, str]:
    """Image id -> its file, relative to the folder of the data set: which image ``png/<image id>.png`` belongs to."""
    return {sample.image_id: image_name(sample, dataset.root) for sample in samples}
