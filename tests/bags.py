"""Bags that tests write with the library rosbags, of ROS 1 and ROS 2."""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

SECOND = 10**9
COLOUR, DEPTH, INFO = "/camera/color/image_raw", "/camera/depth/image_raw", "/camera/color/camera_info"


def frame(number: int, size: tuple[int, int] = (6, 8)) -> np.ndarray:
    """Colours of a frame, (H, W, 3) uint8; no two frames are alike."""
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def depth_of(number: int, size: tuple[int, int] = (6, 8)) -> np.ndarray:
    """Depth of a frame, (H, W) uint16 in millimetres; the first pixel is not measured."""
    depth = np.full(size, 500 + number, np.uint16)
    depth[0, 0] = 0
    return depth


class Bag:
    """Collects messages, and writes them as a bag.

    Parameters
    ----------
    kind : {"sqlite3", "mcap", "ros1"}
    """

    def __init__(self, kind: str):
        from rosbags.typesys import Stores, get_typestore

        self.kind = kind
        self.types = get_typestore(Stores.ROS1_NOETIC if kind == "ros1" else Stores.ROS2_HUMBLE)
        self.sent: list[tuple[str, str, int, bytes]] = []

    def _header(self, stamp: int, frame_id: str):
        extra = {"seq": 0} if self.kind == "ros1" else {}
        time = self.types.types["builtin_interfaces/msg/Time"](sec=stamp // SECOND, nanosec=stamp % SECOND)
        return self.types.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id, **extra)

    def send(self, topic: str, name: str, stamp: int, late: int = 0, frame_id: str = "optical", **fields) -> None:
        """Add a message of sensor_msgs; `late`: nanoseconds from its stamp until it is recorded."""
        kind = f"sensor_msgs/msg/{name}"
        message = self.types.types[kind](header=self._header(stamp, frame_id), **fields)
        raw = (self.types.serialize_ros1 if self.kind == "ros1" else self.types.serialize_cdr)(message, kind)
        self.sent.append((topic, kind, stamp + late, bytes(raw)))

    def image(self, stamp: int, pixels: np.ndarray, encoding: str, topic: str, gap: int = 0, **options) -> None:
        """Add a sensor_msgs/Image; `gap`: bytes between its rows."""
        rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
        rows = np.pad(rows, ((0, 0), (0, gap)))
        self.send(
            topic, "Image", stamp, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, is_bigendian=0,
            step=rows.shape[1], data=rows.ravel(), **options,
        )  # fmt: skip

    def compressed(self, stamp: int, content: bytes, form: str, topic: str, **options) -> None:
        """Add a sensor_msgs/CompressedImage."""
        data = np.frombuffer(content, np.uint8)
        self.send(topic, "CompressedImage", stamp, format=form, data=data, **options)

    def camera_info(self, stamp: int, matrix: list[float], topic: str = INFO) -> None:
        """Add a sensor_msgs/CameraInfo with a matrix of 9 numbers, row by row."""
        names = ("D", "K", "R", "P") if self.kind == "ros1" else ("d", "k", "r", "p")
        values = ([0.1, 0, 0, 0, 0], matrix, [0.0] * 9, [0.0] * 12)
        region = self.types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        self.send(
            topic, "CameraInfo", stamp, height=6, width=8, distortion_model="plumb_bob", binning_x=0, binning_y=0,
            roi=region, **{name: np.array(value, float) for name, value in zip(names, values)},
        )  # fmt: skip

    def pair(self, number: int, stamp: int, apart: int = 0) -> None:
        """Add a colour image and its depth, `apart` nanoseconds later."""
        self.image(stamp, frame(number), "rgb8", COLOUR)
        self.image(stamp + apart, depth_of(number), "16UC1", DEPTH)

    def write(self, folder: Path, name: str = "kitchen") -> Path:
        """Write all messages in the order of recording. Returns the bag."""
        from rosbags import rosbag1, rosbag2

        if self.kind == "ros1":
            path = folder / f"{name}.bag"
            writer = rosbag1.Writer(path)
        else:
            path = folder / name
            plugin = rosbag2.StoragePlugin.MCAP if self.kind == "mcap" else rosbag2.StoragePlugin.SQLITE3
            writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
        with writer:
            known = {}
            for topic, kind, time, raw in sorted(self.sent, key=lambda sent: sent[2]):
                if topic not in known:
                    known[topic] = writer.add_connection(topic, kind, typestore=self.types)
                writer.write(known[topic], time, raw)
        return path


def packed(pixels: np.ndarray, kind: str, **options) -> bytes:
    """A picture as a file of a format of Pillow."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def depth_header(factor: float = 0, offset: float = 0) -> bytes:
    """The 12 bytes before a compressed depth image."""
    return struct.pack("<iff", 0, factor, offset)
