"""Draws docs/real-cameras.png: depth as the models of cameras give it, and the depth segments that are found in it.

    python docs/sensor_pictures.py [--images 3] [--output docs/real-cameras.png]

One row per frame of the demo, rendered at 640x480: the image; depth as the demo's own sensor gives it, and its
segments; the same for `kinect` and for `realsense`. Missing depth is black.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from data.demo import scenes
from data.depth import SENSORS
from data.depth.cleaning import clean_depth
from data.depth.sensors import sense
from models.depth_segments import surfaces_of
from pipeline.report.colours import colour_depth, colour_superpixels, save_sheet


def row(image: np.ndarray, depth: np.ndarray, seed: int) -> list[np.ndarray]:
    measured = {"demo": depth}
    for name, model in SENSORS.items():
        measured[name] = sense(depth, image, model, 1.0, np.random.default_rng(seed))
    panels = [image]
    for values in measured.values():
        cleaned, valid = clean_depth(values)
        segments = surfaces_of(image, cleaned, valid).segments
        panels += [colour_depth(cleaned, valid), colour_superpixels(segments, image)]
    return panels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("docs/real-cameras.png"))
    options = parser.parse_args()
    scenes.WIDTH, scenes.HEIGHT = 640, 480
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        scenes.render_demo(Path(folder) / "demo", {"all": (options.images, 1)})
        for number, scene in enumerate(sorted((Path(folder) / "demo/all").iterdir())):
            image = np.asarray(Image.open(scene / "rgb/000000.jpg"))
            depth = np.asarray(Image.open(scene / "depth/000000.png")) / np.float32(1000)
            pictures += row(image, depth, number)
    save_sheet(options.output, pictures, columns=len(pictures) // options.images)
    print(f"picture: {options.output}")


if __name__ == "__main__":
    main()
