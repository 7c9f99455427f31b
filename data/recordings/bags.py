"""Bags of ROS 1 (``.bag``) and ROS 2 (folders with ``metadata.yaml``, ``.mcap``, ``.db3``), read by rosbags."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import DatasetError, DepthseedError, ImageError, SettingError
from data.recordings.frames import COLOUR, DEPTH, NANOSECONDS, Packed, pinhole
from data.recordings.messages import COMPRESSED, RAW, encoding_of, jpeg_of, read_colour, read_depth, stream_of

CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

BAGS = (".bag", ".mcap", ".db3")
"""Endings of bags that are one file."""

NO_TOPIC = "none"
"""The topic of a stream that is not imported."""


def is_bag(path: Path) -> bool:
    """True for what `open_bag` can open."""
    return path.suffix in BAGS or (path / "metadata.yaml").exists() or any(path.glob("*.bag"))


@contextmanager
def open_bag(
    path: Path, topics: dict[str, str], counts_per_metre: float = 0, skip_broken: bool = False
) -> Iterator[BagRecording]:
    """Open a bag, or a folder of bags of ROS 1 that were recorded in parts.

    Parameters
    ----------
    path : Path
    topics : dict
        `COLOUR` and `DEPTH` -> topic; empty: the only one of this kind; `NO_TOPIC`: depth is not wanted.
    counts_per_metre : float
        Of depth; 0 = as the encoding says.
    skip_broken : bool
        Leave out messages that cannot be read.

    Raises
    ------
    DatasetError
        If the bag is cut, damaged, or lacks a topic.
    SettingError
        If the library rosbags is missing, or several topics are possible.
    """
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError as error:
        raise SettingError(
            "bags are read by the library rosbags, which is not installed; run: pip install rosbags (the extra "
            "recordings of this package)"
        ) from error
    parts = sorted(path.glob("*.bag")) if path.is_dir() and not (path / "metadata.yaml").exists() else [path]
    with _damage_told(path):
        _require_whole_database(path)
        reader = AnyReader(parts, default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
    try:
        yield BagRecording(path, reader, topics, counts_per_metre, skip_broken)
    finally:
        reader.close()


def _require_whole_database(path: Path) -> None:
    """Raise ValueError if an sqlite database of a bag is cut: sqlite finds out only when it reads what is lost."""
    for file in [path] if path.suffix == ".db3" else sorted(path.glob("*.db3")):
        with file.open("rb") as opened:
            header = opened.read(32)
        page, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
        whole = (65536 if page == 1 else page) * pages  # section 1.3 of sqlite's file format
        if (size := file.stat().st_size) < whole:
            raise ValueError(f"{file.name} has {size} of {whole} bytes")


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Tell errors of rosbags as one line: on a cut or damaged bag it raises errors of many kinds."""
    try:
        yield
    except (DepthseedError, MemoryError):
        raise
    except Exception as error:
        advice = {".bag": "rosbag reindex", ".mcap": "mcap recover"}.get(path.suffix, "ros2 bag reindex")
        raise DatasetError(
            f"{path}: cannot be read to its end ({' '.join(str(error).split()) or type(error).__name__}); it is cut or "
            f"damaged, so nothing was imported; repair it ({advice}) or copy it again"
        ) from error


class BagRecording:
    """The chosen topics of an open bag; see `data.recordings.frames.Recording`."""

    def __init__(self, path: Path, reader: Any, topics: dict[str, str], counts_per_metre: float, skip_broken: bool):
        self.path, self.reader = path, reader
        self.counts_per_metre, self.skip_broken = counts_per_metre, skip_broken
        self.chosen = self._chosen(topics)

    def _chosen(self, topics: dict[str, str]) -> dict[str, list[Any]]:
        """Stream -> connections of the reader with its topic: each node that published there has one."""
        images: dict[str, list[Any]] = {}
        for connection in self.reader.connections:
            if connection.msgtype in (RAW, COMPRESSED) and connection.msgcount:
                images.setdefault(connection.topic, []).append(connection)
        kinds = {topic: self._first(found) for topic, found in images.items()}
        known = ", ".join(f"{topic} ({encoding})" for topic, (_, encoding) in sorted(kinds.items())) or "none"
        chosen = {}
        for stream, topic in topics.items():
            if topic == NO_TOPIC and stream == DEPTH:
                continue
            found = [name for name in images if (name == topic if topic else kinds[name][0] == stream)]
            if len(found) > 1:
                raise SettingError(
                    f"{self.path}: {', '.join(sorted(found))} could be the {stream}; choose one with --{stream}"
                )
            if not found:
                what = f"topic {topic} with images" if topic else f"{stream} topic that is known by its encoding"
                advice = f", or --{DEPTH} {NO_TOPIC} to import colour alone" if stream == DEPTH else ""
                raise DatasetError(
                    f"{self.path}: has no {what}; image topics: {known}; choose one with --{stream}{advice}"
                )
            chosen[stream] = images[found[0]]
        return chosen

    def _first(self, connections: list[Any]) -> tuple[str | None, str]:
        """Stream and encoding of the first message of a topic that can be read."""
        for connection, _, raw in self._raw(connections):
            message = self._message(connection, raw)
            if message is not None:
                return stream_of(connection.msgtype, message), encoding_of(connection.msgtype, message)
        return None, "damaged"

    def _raw(self, connections: list[Any]) -> Iterator[tuple[Any, int, bytes]]:
        """Yield connection, time of recording in nanoseconds, and bytes of each message."""
        with _damage_told(self.path):
            yield from self.reader.messages(connections=connections)

    def _message(self, connection: Any, raw: bytes) -> Any:
        """The message; None if it cannot be read."""
        try:
            return self.reader.deserialize(raw, connection.msgtype)
        except MemoryError:
            raise
        except Exception:  # rosbags raises errors of many kinds on damaged bytes
            return None

    def _messages(self) -> Iterator[tuple[str, int, Any, str]]:
        """Yield stream, time of recording in nanoseconds, message or None, and its place for error lines."""
        streams = {found[0].topic: stream for stream, found in self.chosen.items()}
        start = None
        for connection, time, raw in self._raw([connection for found in self.chosen.values() for connection in found]):
            start = time if start is None else start
            place = f"{self.path}: {connection.topic} at {(time - start) / NANOSECONDS:.3f} s"
            message = self._message(connection, raw)
            if message is None and not self.skip_broken:
                raise ImageError(f"{place}: the message is damaged; leave such messages out with --broken skip")
            yield streams[connection.topic], time, message, place

    def stamps(self) -> dict[str, np.ndarray]:
        """As of `Recording`: the time of the camera, or that of the recording where the camera gave none."""
        found: dict[str, list[int]] = {COLOUR: [], DEPTH: []}
        for stream, time, message, _ in self._messages():
            found[stream].append(-1 if message is None else _stamp(message) or time)
        return {stream: np.array(times, np.int64) for stream, times in found.items()}

    def images(self) -> Iterator[tuple[str, int, Packed]]:
        """As of `Recording`."""
        numbers = {COLOUR: -1, DEPTH: -1}
        for stream, _, message, place in self._messages():
            numbers[stream] += 1
            if message is not None:
                yield stream, numbers[stream], self._packed(stream, message, place)

    def _packed(self, stream: str, message: Any, place: str) -> Packed:
        kind = self.chosen[stream][0].msgtype
        if stream == COLOUR:
            return Packed(
                place,
                lambda: read_colour(kind, message, place),
                lambda: jpeg_of(kind, message),
                message.data.nbytes,
                message.header.frame_id,
            )
        return Packed(
            place,
            lambda: read_depth(kind, message, place, self.counts_per_metre),
            lambda: None,
            message.data.nbytes,
            message.header.frame_id,
        )

    def intrinsics(self) -> dict[str, Any] | None:
        """As of `Recording`, from the CameraInfo beside the colour topic."""
        name = self.chosen[COLOUR][0].topic
        while name := name.rpartition("/")[0]:
            for connection in self.reader.connections:
                if connection.topic == f"{name}/camera_info" and connection.msgtype == CAMERA_INFO:
                    return self._of_camera_info(connection)
        return None

    def _of_camera_info(self, connection: Any) -> dict[str, Any] | None:
        for _, _, raw in self._raw([connection]):
            info = self._message(connection, raw)
            matrix = None if info is None else np.asarray(info.k if hasattr(info, "k") else info.K)
            if matrix is not None and matrix[0] > 0:  # 0: not calibrated
                distortion = (info.d if hasattr(info, "d") else info.D).tolist()
                known = {"distortion_model": str(info.distortion_model), "distortion": distortion}
                return {**pinhole(info.width, info.height, matrix), **known}
        return None


def _stamp(message: Any) -> int:
    """Time of the camera in nanoseconds; 0 if it gave none."""
    return int(message.header.stamp.sec) * int(NANOSECONDS) + int(message.header.stamp.nanosec)
