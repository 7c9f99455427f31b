"""Import of a recording of an RGB-D camera into the folder layout of ``--dataset folder``."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import luigi
import numpy as np

from data.errors import DatasetError, ImageError, SettingError
from data.readers.folder import BACKGROUND_NAME
from data.readers.tag_rows import TAGS_APART, class_folders
from data.recordings.bags import NO_TOPIC, is_bag, open_bag
from data.recordings.folders import is_open3d, is_tum, read_open3d, read_tum
from data.recordings.frames import COLOUR, DEPTH, NANOSECONDS, Packed, Recording
from data.recordings.pairing import NO_DEPTH, Motion, matched, paired
from data.recordings.project_folder import ProjectFolder
from data.sample import EVALUATION, TRAIN
from tasks.runtime.lock import artifact_lock
from tasks.runtime.numeric import number, require_legal, whole
from tasks.runtime.parameters import one_of
from tasks.runtime.progress import Progress

log = logging.getLogger("depthseed")

VERSION = 2
"""Increase it when a change of the code gives other frames."""

ALLOWED_NAME = re.compile(r"[\w.+-]+")


class Frame(NamedTuple):
    """A decoded frame: number and colour image as recorded, colours (H, W, 3) uint8, depth (H, W) uint16 in mm."""

    number: int
    packed: Packed
    colour: np.ndarray
    depth: np.ndarray | None


class ImportRecording(luigi.Task):
    """Reads a bag of ROS 1 or ROS 2, or a folder of TUM RGB-D or Open3D, and writes images and depth into a data set.

    Colour and depth are matched by time. The same command does nothing the second time. Another recording goes into the
    same ``--data-root``. If the command has other settings, the frames of the recording are replaced.

    Raises
    ------
    SettingError
        If a parameter is not legal, several topics are possible, `data_root` lies in the recording, or another
        recording was imported under the name and `name` is empty.
    DatasetError
        If the recording is missing, cut, or has no frames with depth.
    ImageError
        If a message is damaged and `broken` is ``stop``.
    """

    recording = luigi.Parameter(
        description="bag (.bag, .mcap, .db3 or folder of a rosbag2), or folder in the layout of TUM RGB-D or Open3D"
    )
    data_root = luigi.Parameter(description="folder of the data set")
    name = luigi.Parameter(default="", description="name of the recording, empty = that of its file")
    colour = luigi.Parameter(default="", description="topic of the colour images, empty = the only one")
    depth = luigi.Parameter(
        default="", description="topic of the depth images, registered to colour; empty = the only one; none = no depth"
    )
    tolerance = number(0.02, "largest difference between the times of colour and depth, in seconds", at_least=0)
    every = whole(1, "every so many frames one is kept", at_least=1)
    motion = number(
        0.0,
        "a frame is kept if its grey values differ from the last kept frame by more than this, on average; 0 = all are",
        at_least=0,
        at_most=255,
    )
    tags = luigi.Parameter(default="", description="tags of every frame, separated by a space; - = background alone")
    split = one_of((TRAIN, EVALUATION), TRAIN, "split of the frames, if tags are given")
    depth_scale = number(
        0.0, "counts of a depth image per metre; 0 = usual: 1000, TUM RGB-D 5000, floats 1", at_least=0
    )
    broken = one_of(("stop", "skip"), "stop", "what to do with messages that cannot be read")

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """As of luigi; SettingError for a number that is not legal."""
        values = super().get_param_values(params, args, kwargs)
        require_legal(cls, dict(values))
        return values

    @property
    def path(self) -> Path:
        """The recording; DatasetError if it is missing."""
        path = Path(self.recording)
        if not path.exists():
            raise DatasetError(f"{path}: there is no such recording; correct --recording")
        return path

    @property
    def folder(self) -> ProjectFolder:
        """The part of the data set that belongs to this recording."""
        name = self.name or self.path.resolve().stem
        if not ALLOWED_NAME.fullmatch(name):
            raise SettingError(
                f"'{name}' cannot be the name of a recording; give one of letters, digits and .+-_ with --name"
            )
        root, recording = Path(self.data_root), self.path.resolve()
        if recording.is_dir() and recording in (root.resolve(), *root.resolve().parents):
            # Its frames would become files of the recording, which would then be another one.
            raise SettingError(f"--data-root {root}: lies in the recording {self.path}; name a folder outside of it")
        return ProjectFolder(root, name)

    @cached_property
    def made(self) -> dict[str, object]:
        """What the frames depend on: the files of the recording with size and time, and the parameters."""
        path = self.path
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        stamps = [(file.relative_to(path.parent).as_posix(), file.stat()) for file in files]
        settings = {
            name: getattr(self, name) for name, _ in self.get_params() if name not in ("recording", "data_root")
        }
        known = [[name, found.st_size, found.st_mtime_ns] for name, found in stamps]
        return {"version": VERSION, "files": known, "settings": settings}

    def complete(self):
        return self.folder.has(self.made)

    def run(self):
        tags = self._checked_tags()
        with artifact_lock(Path(self.data_root), "ImportRecording", "ImportRecording"):
            if not self.complete():  # another run may have completed it while this run waited
                self._require_own_name()
                self._require_table(tags)
                with self._opened() as recording:
                    self._import(recording, self.folder, tags)

    def _require_own_name(self) -> None:
        """Raise SettingError if the frames of another recording would be replaced, whose file has the same name.

        A file that has changed in its place is the same recording, and so is one that was moved without a change.
        """
        known, folder, place = self.folder.known(), self.folder, self.path.resolve()
        if self.name or not known or known.get("place") == str(place):
            return
        if known["made"].get("files") != self.made["files"]:
            theirs = known.get("place", "imported before its place was kept")
            raise SettingError(
                f"{place}: {folder.root} has frames of another recording '{folder.name}' ({theirs}); give this one "
                f"another name with --name, or replace those frames with --name {folder.name}"
            )

    def _require_table(self, tags: str) -> None:
        """Raise DatasetError if the tags would make a ``labels.csv`` that hides the images in folders of classes."""
        root = Path(self.data_root)
        if tags and not (root / "labels.csv").exists() and class_folders(root):
            raise DatasetError(
                f"{root}: its images lie in one folder for each class; --tags would write labels.csv, and then only "
                "images that it lists count; name another --data-root, or write labels.csv for these images first"
            )

    def _checked_tags(self) -> str:
        tags = self.tags.split()
        if any(sign in self.tags for sign in TAGS_APART):
            raise SettingError(f"--tags '{self.tags}': separate tags by a space, as in --tags \"mug plate\"")
        if any("|" in tag or tag == BACKGROUND_NAME for tag in tags) or ("-" in tags and len(tags) > 1):
            raise SettingError(
                f"--tags '{self.tags}': '|' and '{BACKGROUND_NAME}' are no tags; '-' alone means that no class is shown"
            )
        return " ".join(tags)

    def _opened(self) -> AbstractContextManager[Recording]:
        """The recording, open."""
        path = self.path
        if is_bag(path):
            topics = {COLOUR: self.colour, DEPTH: self.depth}
            return open_bag(path, topics, self.depth_scale, self.broken == "skip")
        for is_known, read in ((is_tum, read_tum), (is_open3d, read_open3d)):
            if is_known(path):
                found = read(path, self.depth_scale)
                if self.depth == NO_TOPIC:
                    found.listed[DEPTH] = []
                return nullcontext(found)
        raise DatasetError(
            f"{path}: is no recording: neither a bag (.bag, .mcap, .db3, or a folder with metadata.yaml), nor a folder "
            "with rgb.txt (TUM RGB-D) or color/ (Open3D)"
        )

    def _import(self, recording: Recording, folder: ProjectFolder, tags: str) -> None:
        stamps = recording.stamps()
        partners = self._partners(stamps[COLOUR], stamps[DEPTH])
        wanted = dict(list(partners.items())[:: self.every])
        folder.begin()
        written = 0
        with ExitStack() as stack:
            bar = stack.enter_context(Progress("ImportRecording", len(wanted), "frame"))
            for frame in self._frames(recording, wanted, bar.update):
                folder.add(frame.number, frame.colour, frame.packed.jpeg(), frame.depth)
                written += 1
        if not written:
            raise DatasetError(f"{self.path}: no frame can be used: none has depth that was measured")
        folder.finish(self.made, self.path.resolve(), tags, self.split, recording.intrinsics())
        log.info(
            "ImportRecording: wrote %d of %d colour frames of %s into %s; %d have depth within %g s",
            written, len(stamps[COLOUR]), folder.name, folder.root,
            sum(partner != NO_DEPTH for partner in partners.values()), self.tolerance,
        )  # fmt: skip
        if not tags:
            log.info("ImportRecording: no tags were given (--tags); docs/datasets.md says how images get theirs")

    def _partners(self, colour: np.ndarray, depth: np.ndarray) -> dict[int, int]:
        """Number of each colour image that can be used, in the order of time -> number of its depth image."""
        order = [number for number in np.argsort(colour, kind="stable").tolist() if colour[number] >= 0]
        if not order:
            raise DatasetError(f"{self.path}: has no colour image that can be read")
        if self.depth == NO_TOPIC:
            return dict.fromkeys(order, NO_DEPTH)
        if not (depth >= 0).any():
            raise DatasetError(f"{self.path}: has no depth; import colour alone with --depth {NO_TOPIC}")
        for stream, times in ((COLOUR, colour), (DEPTH, depth)):
            back = np.flatnonzero(np.diff(times[times >= 0]) < -NANOSECONDS)
            if len(back):
                log.warning(
                    "ImportRecording: the clock of the %s images goes back after image %d; images of other parts may "
                    "be matched: cut the recording there, and import each part under a --name of its own",
                    stream, back[0] + 1,
                )  # fmt: skip
        found = matched(colour, depth, self.tolerance * NANOSECONDS)
        partners = {number: int(found[number]) for number in order if found[number] != NO_DEPTH}
        if not partners:
            apart = np.abs(colour[order][:, None][:1000] - depth[depth >= 0][None][:, :1000]).min() / NANOSECONDS
            raise DatasetError(
                f"{self.path}: no colour image has depth within {self.tolerance:g} s, the nearest are {apart:.3f} s "
                "apart; raise --tolerance, or synchronise the clocks of the cameras"
            )
        return partners

    def _frames(self, recording: Recording, wanted: dict[int, int], tell) -> Iterator[Frame]:
        """Yield the frames that are kept."""
        moves, empty, is_told = Motion(self.motion), 0, False
        for place, packed, packed_depth in paired(recording, wanted):
            tell()
            try:
                colour = packed.decode()
                depth = packed_depth.decode() if packed_depth else None
            except ImageError as error:
                if self.broken == "skip":
                    log.warning("ImportRecording: left out: %s", error)
                    continue
                raise ImageError(f"{error}; leave such images out with --broken skip") from error
            if packed_depth is not None and depth is not None:
                if depth.shape != colour.shape[:2]:
                    raise DatasetError(
                        f"{packed_depth.place}: depth is {depth.shape[1]}x{depth.shape[0]}, colour is "
                        f"{colour.shape[1]}x{colour.shape[0]}; choose the depth that is registered to colour (--depth)"
                    )
                if not is_told and packed.frame_id and packed_depth.frame_id != packed.frame_id:
                    is_told = True
                    log.warning(
                        "ImportRecording: colour is in the frame %s, depth in %s; is the depth registered to colour?",
                        packed.frame_id, packed_depth.frame_id or "without a name",
                    )  # fmt: skip
                if not depth.any():
                    empty += 1
                    continue
            if moves.keeps(colour):
                yield Frame(place, packed, colour, depth)
        if empty:
            log.warning("ImportRecording: left out %d frames whose depth is 0 everywhere", empty)
