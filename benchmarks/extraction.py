"""Images per second of ExtractCams and ExtractKeys against a plain loop, as the scripts of the field have it.

    python benchmarks/extraction.py [--images 64] [--size 320x240] [--repeats 3] [--device auto] [--precision 32]

The plain loop decodes one image after the other in line, shows the network each scale of it with its mirror image as a
batch of two, and writes one npy file per image. Both use the same network with the same weights on the same device, in
turn, in one run. The first round is not counted. Times are medians, from the first image to the last written byte; the
loading of the network counts in neither. The images are random textures, JPEG files. The classifier is not trained.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save

from data.store.artifact import write_bytes
from tasks.extract_cams import CAM_STRIDE, ExtractCams
from tasks.extract_keys import ExtractKeys
from tasks.runtime.layout import padded_size
from tasks.runtime.luigi_seam import forget_instances
from tasks.runtime.network_map import NetworkSource
from tasks.runtime.tensors import image_tensor
from tasks.runtime.trained_model import MODEL
from tasks.runtime.training_loop import choose_device
from tasks.runtime.weights import load_weights

CLASSES = 20


def write_images(folder: Path, count: int, size: tuple[int, int]) -> None:
    """A folder data set of textures; each image has one or two tags."""
    rng, (width, height) = np.random.default_rng(0), size
    (folder / "images").mkdir(parents=True)
    with open(folder / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "tags", "split"])
        for number in range(count):
            coarse = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
            image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            image.save(folder / "images" / f"{number:05d}.jpg", quality=90)
            tags = sorted({f"class{n}" for n in rng.integers(0, CLASSES, 2)})
            table.writerow([f"{number:05d}.jpg", " ".join(tags), "train"])


def plain_cams(network, normalise, samples, scales, device, folder: Path) -> None:
    for sample in samples:
        image = normalise(image_tensor(sample))[None]
        size, total = padded_size([sample], CAM_STRIDE), 0
        with torch.inference_mode():
            for scale in scales:
                scaled = image if scale == 1 else F.interpolate(image, scale_factor=scale, mode="bilinear")
                cams = network(torch.cat([scaled, scaled.flip(-1)]).to(device)).cams
                cams = F.interpolate(cams[:1] + cams[1:].flip(-1), size=size, mode="bilinear")
                total = total + cams[0].cpu()
        present = total[[tag - 1 for tag in sample.tags]].clamp(min=0)
        peak = present.amax((1, 2), keepdim=True)
        np.save(
            folder / f"{Path(sample.image_id).name}.npy",
            {"keys": sample.tags, "cam": (present / (peak + 1e-5)).numpy()},
        )


def plain_keys(network, normalise, samples, scale, device, folder: Path) -> None:
    for sample in samples:
        image = image_tensor(sample)[None]
        size = [round(side * scale) for side in sample.size]
        image = F.interpolate(image, size=size, mode="bicubic", antialias=True).clamp(0, 1)
        with torch.inference_mode():
            keys = network(normalise(image).to(device))
        np.save(folder / f"{Path(sample.image_id).name}.npy", keys[0].cpu().half().numpy())


def write_classifier(stage) -> None:
    """The artifact of a classifier that was not trained, as TrainClassifier would write it."""
    trainer = stage.required["classifier"]
    network = trainer.new_network()
    names = trainer.inputs["dataset"].class_names
    trainer.artifact.describe("classifier", trainer.network_settings(), names, trainer.backbone, (240, 320))
    write_bytes(trainer.artifact.path / MODEL, save({k: v.contiguous() for k, v in network.state_dict().items()}))
    trainer.artifact.finish({}, trainer.identity)


class Ours:
    """The work of a stage, with its network already loaded."""

    def __init__(self, stage, precision: str):
        self.stage = stage
        self.loaded = NetworkSource(
            stage, stage.network_inputs(), "", stage.processes or torch.get_num_threads(), stage.values_per_pixel
        ).load()
        self.waited = 0.0

    def __call__(self) -> None:
        stage = self.stage
        vars(stage).pop("device_use", None)
        stage.artifact.discard()
        stage._network_source = lambda: self
        stage.work()
        self.waited = stage.device_use.wait_share or 0.0

    def load(self):
        """Stands for `NetworkSource.load`."""
        return self.loaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="32", choices=("auto", "32", "bf16"))
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    width, height = map(int, arguments.size.split("x"))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    print(
        f"torch {torch.__version__}, {where}, {arguments.images} images of {arguments.size}, precision of ours "
        f"{arguments.precision}, median of {arguments.repeats}, seed 0"
    )
    heads = {"stage": 14, "plain images/s": 16, "ours images/s": 16, "ratio": 8, "device waited": 15}
    print("".join(f"{head:>{width}}" for head, width in heads.items()))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_images(folder / "textures", arguments.images, (width, height))
        common = {
            "dataset": "folder", "data_root": str(folder / "textures"), "artifacts": str(folder / "artifacts"),
            "device": arguments.device, "precision": arguments.precision,
        }  # fmt: skip
        cams, keys = (stage(**common) for stage in (ExtractCams, ExtractKeys))
        cams.required["dataset"].run()
        write_classifier(cams)
        samples, output = cams.samples, folder / "npy"
        output.mkdir()
        classifier = cams.required["classifier"].artifact.load(device)
        plain_network = classifier.network.to(memory_format=torch.contiguous_format)
        extractor = keys.new_extractor()
        load_weights(extractor.network, keys.backbone, keys.weights)
        extractor = extractor.to(device).eval()
        pairs = {
            "ExtractCams": (
                lambda: plain_cams(plain_network, classifier.normalise, samples, cams.scales, device, output),
                Ours(cams, arguments.precision),
            ),
            "ExtractKeys": (
                lambda: plain_keys(extractor, classifier.normalise, samples, keys.image_scale, device, output),
                Ours(keys, arguments.precision),
            ),
        }
        for name, (plain, ours) in pairs.items():
            seconds: dict[str, list[float]] = {"plain": [], "ours": []}
            for _ in range(arguments.repeats + 1):
                for key, function in (("plain", plain), ("ours", ours)):
                    start = time.perf_counter()
                    function()
                    seconds[key].append(time.perf_counter() - start)
            slow, fast = (statistics.median(times[1:]) for times in seconds.values())
            print(
                f"{name:>14}{len(samples) / slow:>16.2f}{len(samples) / fast:>16.2f}{slow / fast:>8.2f}"
                f"{100 * ours.waited:>13.1f} %"
            )
        forget_instances()


if __name__ == "__main__":
    main()
