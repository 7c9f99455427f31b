"""A file for the viewer Rerun (rerun.io): the images of a split and what each stage has made of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import luigi
import numpy as np

from data.errors import SettingError
from data.files.intrinsics import Intrinsics, read_intrinsics
from data.files.working_size import sample_image
from data.sample import UNLABELLED, spread
from data.store.artifact import writing
from models.palette import palette
from models.pinhole import back_project
from pipeline.report.colours import UNLABELLED_COLOUR, colour_heat
from pipeline.view.panels import PANELS, Changes, Side, shown_panels, values
from pipeline.view.run import ViewedImage, ViewedRun
from pipeline.write_report import WriteReport
from tasks.index_dataset import IndexDataset
from tasks.runtime.image_stage import OfSplit
from tasks.runtime.numeric import number, whole
from tasks.runtime.stage import StageTask

log = logging.getLogger("depthseed")

TIMELINE = "frame"
"""Name of the timeline: the position of the image in the file, from 0."""

CAMERA = "world/camera"
"""Entity of the camera. What has one value per pixel is below it, label maps in `LABELS`."""

LABELS = f"{CAMERA}/labels"
"""Entity with the names and colours of the classes."""

MILLIMETRES = 1000.0
"""Counts of a depth image per metre."""

QUALITY = 90
"""Of JPEG, for colours and heat maps."""


class ExportRerun(OfSplit, StageTask):
    """Writes an ``.rrd`` file. What no stage has computed yet is left out, with a line in the log.

    The file is no artifact: Rerun puts random numbers and the time into it. It is written again by each run.
    """

    file = luigi.Parameter(
        default="", description="what is written, empty = <dataset>-<split>.rrd in this folder", significant=False
    )
    sequence = luigi.Parameter(
        default="", description="only images whose ids begin so, such as one recording; empty = all", significant=False
    )
    images = whole(
        0, "largest number of images, evenly spread over the chosen ones; 0 = all", at_least=0, significant=False
    )
    focal = number(
        0.0,
        "focal length in pixels, principal point in the middle; 0 = the intrinsics of the data set",
        at_least=0,
        significant=False,
    )
    cloud_step = whole(
        2, "every so many-th pixel, in rows and columns, is a point of the cloud", at_least=1, significant=False
    )

    def requires(self):
        return {"dataset": self.upstream(IndexDataset)}

    _is_written = False

    def complete(self):
        return self._is_written  # in this run

    def output(self):
        return []

    @property
    def path(self) -> Path:
        """The file that is written."""
        return Path(self.file or f"{self.dataset}-{self.split}.rrd")

    def run(self):
        rerun = _rerun()
        seen = ViewedRun(self.upstream(WriteReport))
        places, path = self._places(seen), self.path
        temporary = path.with_name(f"{path.name}.partial")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            recording = rerun.RecordingStream("depthseed", recording_id=f"{self.dataset}-{self.split}")
            recording.save(temporary)
            self._write(rerun, recording, seen, places)
            recording.flush()
            recording.disconnect()
            temporary.replace(path)
        self._is_written = True
        log.info("%s: %d images, %.1f MB: %s", self.label, len(places), path.stat().st_size / 1e6, path)

    def _places(self, seen: ViewedRun) -> list[int]:
        """Positions in the split of the images that are written."""
        samples = seen.samples(self.split)
        found = [place for place, name in enumerate(samples.ids) if name.startswith(self.sequence)]
        if not found:
            raise SettingError(
                f"ExportRerun: no image of the {self.split} split has an id that begins with '{self.sequence}'; choose "
                "another --sequence or --split"
            )
        return [found[place] for place in spread(found, self.images or len(found))]

    def _write(self, rerun: Any, recording: Any, seen: ViewedRun, places: list[int]) -> None:
        classes = _annotation(rerun, seen.dataset.class_names)
        recording.log("world", rerun.ViewCoordinates.RDF, static=True)
        recording.log(LABELS, classes, static=True)
        shown: set[str] = set()
        without_camera = 0
        for frame, place in enumerate(self.progress(places, len(places))):
            image = seen.image(self.split, place)
            recording.set_time(TIMELINE, sequence=frame)
            recording.log("image_id", rerun.TextDocument(image.sample.image_id))
            camera = self._camera(seen, image)
            if camera:
                recording.log(CAMERA, _pinhole(rerun, camera, image.sample.size))
            without_camera += camera is None
            titles = [title for title in shown_panels(image, Changes()) if title in EXPORTED]
            for title in titles:
                found = values(image, Side(title), Changes())
                recording.log(entity(title), DRAWN[PANELS[title].kind](rerun, found, image))
            if camera and "depth" in titles:
                recording.log("world/points", self._cloud(rerun, image, camera))
            shown.update(titles)
        for line in self._left_out(seen, shown, without_camera):
            log.warning("%s: left out: %s", self.label, line)

    def _left_out(self, seen: ViewedRun, shown: set[str], without_camera: int) -> Iterator[str]:
        sources = {PANELS[title].source for title in EXPORTED}
        missing = [found for found in seen.left_out if found.split == self.split and found.name in sources]
        if missing:
            yield f"what is not computed yet: {', '.join(f'{found.title} ({found.state})' for found in missing)}"
        if "depth" in shown and without_camera:
            yield f"the points of {without_camera} images, since the data set has no intrinsics for them; give --focal"
        if "ground truth" not in shown:
            yield "ground truth, since no image has any"

    def _camera(self, seen: ViewedRun, image: ViewedImage) -> Intrinsics | None:
        if not self.focal:
            return read_intrinsics(seen.dataset.root, image.sample)
        height, width = image.sample.size
        return Intrinsics(self.focal, self.focal, (width - 1) / 2, (height - 1) / 2)

    def _cloud(self, rerun: Any, image: ViewedImage, camera: Intrinsics) -> Any:
        step = self.cloud_step
        points = back_project(values(image, Side("depth"), Changes()), *camera)[::step, ::step].reshape(-1, 3)
        colours = sample_image(image.sample)[::step, ::step].reshape(-1, 3)
        measured = np.isfinite(points).all(1)
        return rerun.Points3D(points[measured], colors=colours[measured])


EXPORTED = tuple(title for title in PANELS if title not in ("CAM seed", "seed, changed"))
"""Titles of the panels that are written: what artifacts hold, without what the page can change."""


def entity(title: str) -> str:
    """Entity of a panel in the file: label maps below `LABELS`, all others below `CAMERA`.

    Examples
    --------
    >>> entity("initial seed"), entity("CAM")
    ('world/camera/labels/initial_seed', 'world/camera/CAM')
    """
    parent = LABELS if PANELS[title].kind == "labels" else CAMERA
    return f"{parent}/{title.replace(' ', '_').replace('-', '_')}"


def _rerun() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise SettingError(
            f"ExportRerun needs the extra 'rerun' ({error}); run: pip install 'depthseed[rerun]'"
        ) from error
    return rerun


def _annotation(rerun: Any, class_names: tuple[str, ...]) -> Any:
    """Names and colours of all classes, as label maps have them in the report."""
    colours = palette(len(class_names)).tolist()
    named = [(number, name, colour) for number, (name, colour) in enumerate(zip(class_names, colours, strict=True))]
    return rerun.AnnotationContext([*named, (UNLABELLED, "unlabelled", UNLABELLED_COLOUR)])


def _pinhole(rerun: Any, camera: Intrinsics, size: tuple[int, int]) -> Any:
    """The camera in Rerun's convention: the corner of the first pixel is (0, 0)."""
    return rerun.Pinhole(
        focal_length=[camera.fx, camera.fy],
        principal_point=[camera.cx + 0.5, camera.cy + 0.5],
        width=size[1],
        height=size[0],
        camera_xyz=rerun.ViewCoordinates.RDF,
    )


def _depth(rerun: Any, found: np.ndarray, image: ViewedImage) -> Any:
    counts = np.nan_to_num(found * MILLIMETRES).round().clip(0, 65535).astype(np.uint16)
    return rerun.DepthImage(counts, meter=MILLIMETRES)


def _heat(rerun: Any, found: np.ndarray, image: ViewedImage) -> Any:
    picture = colour_heat(found.astype(np.float32), sample_image(image.sample))
    return rerun.Image(picture).compress(QUALITY)


DRAWN = {
    "image": lambda rerun, found, image: rerun.Image(found).compress(QUALITY),
    "depth": _depth,
    "heat": _heat,
    **dict.fromkeys(
        ("labels", "two", "superpixels", "instances"),
        lambda rerun, found, image: rerun.SegmentationImage(found.astype(np.uint16)),
    ),
}
"""Kind of a panel -> function (rerun, values, image) -> what Rerun shows."""
