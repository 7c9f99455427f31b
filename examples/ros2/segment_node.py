"""ROS 2 node: a colour topic in; the label image and the scores of the classes out. README.md says how to run it."""

from __future__ import annotations

import array
import time
from pathlib import Path

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from segment_core import Segmenter, rgb_of
from sensor_msgs.msg import Image
from vision_msgs.msg import Classification, ObjectHypothesis


class SegmentNode(Node):
    """Parameters: ``model`` (folder of ExportModel), ``file``, ``threads``."""

    def __init__(self) -> None:
        super().__init__("depthseed_segment")
        folder = self.declare_parameter("model", "").value
        if not folder:
            raise SystemExit("give the exported folder: --ros-args -p model:=DIR")
        file = self.declare_parameter("file", "model.onnx").value
        threads = self.declare_parameter("threads", 0).value
        self.segmenter = Segmenter(Path(folder), file, threads)
        self.labels = self.create_publisher(Image, "~/labels", 1)
        self.scores = self.create_publisher(Classification, "~/scores", 1)
        # A queue of one: a slow computer drops frames instead of falling behind. Cameras publish with best effort.
        quality = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self.on_image, quality)
        classes = ", ".join(f"{number} {name}" for number, name in enumerate(self.segmenter.classes))
        self.get_logger().info(f"{folder}/{file}: {classes}")

    def on_image(self, message: Image) -> None:
        start = time.perf_counter()
        try:
            image = rgb_of(
                message.encoding, message.height, message.width, message.step, message.is_bigendian, message.data
            )
        except ValueError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        found = self.segmenter(image)
        labels = Image(header=message.header, height=message.height, width=message.width, is_bigendian=0)
        labels.encoding, labels.step = found.encoding, found.step
        labels.data = array.array("B", found.data)  # of bytes, rclpy would check each one
        self.labels.publish(labels)
        results = [ObjectHypothesis(class_id=name, score=score) for name, score in found.scores.items()]
        self.scores.publish(Classification(header=message.header, results=results))
        self.get_logger().info(f"{1000 * (time.perf_counter() - start):.0f} ms", throttle_duration_sec=5.0)


def main() -> None:
    rclpy.init()
    node = SegmentNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
