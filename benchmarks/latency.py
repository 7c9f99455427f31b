"""Milliseconds per frame of an exported network on the CPU: torch, ONNX, and ONNX with convolutions in 8 bits.

    python benchmarks/latency.py [--backbone NAME] [--classes 6] [--sizes 320x240,640x480] [--threads 1,2] [--repeats N]

The network is DeepLab-ASPP as TrainSegmenter builds it, with random weights: time does not depend on them. All three
take the same RGB image of bytes and give labels and scores. They run in turn, frame by frame, in one process, so that a
busy machine slows all of them. Times are medians and, in brackets, the least, which is the better guess on a busy
machine. The ratio is that of the medians of torch and of the file. The 8-bit ranges are those of four textures.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

from tasks.runtime.networks import build_network
from tasks.runtime.onnx_int8 import int8_bytes
from tasks.runtime.onnx_network import INPUT, ImageNetwork, onnx_bytes, session_of
from tasks.runtime.tensors import Normalisation

WARM_UP = 3
"""Rounds that are not counted."""


def texture(width: int, height: int, seed: int) -> np.ndarray:
    """A smooth random RGB image, (H, W, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def milliseconds(functions: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median and least milliseconds of each function; they are called in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(WARM_UP + repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    counted = {name: [1000 * value for value in times[WARM_UP:]] for name, times in seconds.items()}
    return {name: (statistics.median(times), min(times)) for name, times in counted.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--classes", type=int, default=6, help="with the background")
    parser.add_argument("--sizes", default="320x240,640x480")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    settings = {"backbone": arguments.backbone, "output_stride": 16, "rates": (1, 2, 4, 6)}
    network = build_network("deeplab_aspp", arguments.classes - 1, settings)
    wrapped = ImageNetwork(network, Normalisation((0.5,) * 3, (0.5,) * 3), arguments.classes).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its successor
        content = onnx_bytes(wrapped, torch.from_numpy(texture(320, 240, 0)[None]))
    small = int8_bytes(content, [texture(320, 240, seed) for seed in range(4)])
    cpu = next((line.split(":")[1] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    flags = next((line.split() for line in _lines("/proc/cpuinfo") if line.startswith("flags")), [])
    print(
        f"{arguments.backbone}, {arguments.classes} classes, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__},{cpu}{' with VNNI' if any('vnni' in flag for flag in flags) else ''}; files of "
        f"{len(content) / 1e6:.1f} and {len(small) / 1e6:.1f} MB; medians of {arguments.repeats} frames, in ms (least)"
    )
    heads = ["threads", "size", "torch", "onnx", "int8", "torch / onnx", "torch / int8"]
    print("| " + " | ".join(heads) + " |\n|" + "---:|" * len(heads))
    for threads in map(int, arguments.threads.split(",")):
        torch.set_num_threads(threads)
        onnx, int8 = session_of(content, threads), session_of(small, threads)
        for size in arguments.sizes.split(","):
            width, height = map(int, size.split("x"))
            image = texture(width, height, 9)[None]

            def in_torch(image=image) -> None:
                with torch.inference_mode():
                    wrapped(torch.from_numpy(image))

            found = milliseconds(
                {
                    "torch": in_torch,
                    "onnx": lambda onnx=onnx, image=image: onnx.run(None, {INPUT: image}),
                    "int8": lambda int8=int8, image=image: int8.run(None, {INPUT: image}),
                },
                arguments.repeats,
            )
            times = [f"{median:.1f} ({least:.1f})" for median, least in found.values()]
            ratios = [f"{found['torch'][0] / found[name][0]:.2f}" for name in ("onnx", "int8")]
            print("| " + " | ".join([str(threads), size, *times, *ratios]) + " |", flush=True)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # not on Linux
        return []


if __name__ == "__main__":
    main()
