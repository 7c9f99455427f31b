"""Every network at the real sizes of the papers, with random weights: what a GPU computes, and how long it waits.

    python benchmarks/gpu.py [--images 128] [--repeats 3] [--device auto] [--precisions 32,bf16] [--onnx FILE] [--tiny]

Meant to take less than 8 minutes on a GPU of the year 2022. Nothing is downloaded: images are random textures of
448x448, and the ONNX network is a chain of convolutions, unless ``--onnx`` names a real one. ``--tiny`` uses small
networks and images, to try the script on a CPU. The tables, one line per stage and precision:

- Stages over images: images per second of the whole stage (with loading of the network and writing, median of the
  repeats) and of the network alone (on the CPU: of one thread); share of its time that the device waited for data;
  peak device memory.
- Trainings of the profiles of the papers: images per second without the start, and the seconds of one epoch over the
  10,582 images of PASCAL VOC, reckoned from it.
- Dense CRF per image: torch on the device against pydensecrf on one core.
- Superpixel discovery on the device, alone and in batches.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from crf import problem
from discovery import demo_frames, median_seconds, patches, peak_mb, reset_peak
from PIL import Image

from models.crf import crf_from_probabilities
from models.crf_constants import CRF_PRESETS
from models.superpixels import discover_superpixels
from tasks.estimate_depth import EstimateDepth
from tasks.extract_cams import ExtractCams
from tasks.extract_keys import ExtractKeys
from tasks.load_saliency import LoadSaliency
from tasks.predict_masks import PredictMasks
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.stage import StageTask
from tasks.runtime.training_loop import choose_device
from tasks.train_by_masking import TrainByMasking
from tasks.train_classifier import TrainClassifier
from tasks.train_coarse import TrainCoarse
from tasks.train_segmenter import TrainSegmenter

CLASSES = 20
VOC_IMAGES = 10_582
"""Training images of PASCAL VOC with the usual additions."""

RANDOM = {
    "weights": "random", "epochs": 6, "least_steps": 0, "ranks": 1,
    "loader_processes": min(12, (os.cpu_count() or 1) - 1),
}  # fmt: skip
SETTINGS = {
    **dict.fromkeys(("TrainClassifier", "TrainSegmenter", "TrainByMasking", "TrainCoarse"), RANDOM),
    "ExtractKeys": {"weights": "random"},
    # What follows takes no GPU and is not measured here.
    "DiscoverSuperpixels": {"units": "slic"},
    "CoarsenMasks": {"source": "given"},
    "PredictMasks": {"crf": "none"},
}
SMALL = {"backbone": "test_efficientnet", "weights": "random"}
TINY = {
    **{  # loader processes would take longer to start than all the rest
        name: {**RANDOM, **SMALL, "epochs": 1, "crop_size": 32, "batch_size": 2, "loader_processes": 0}
        for name in SETTINGS
        if name.startswith("Train")
    },
    "ExtractKeys": SMALL,
}
TRAININGS = (
    ("voc-superpixel", TrainClassifier),
    ("voc-superpixel", TrainSegmenter),
    ("hope-deal", TrainClassifier),
    ("voc-masking", TrainByMasking),
    ("suim-coarse", TrainCoarse),
)
"""(profile, stage)"""


def write_data_set(root: Path, count: int, side: int) -> None:
    """A folder set of textures with one or two tags, depth, and coarse labels; and saliency maps beside it."""
    rng = np.random.default_rng(0)
    for name in ("images", "depth", "coarse", "saliency/train"):
        (root / name).mkdir(parents=True)

    def save(blobs: np.ndarray, path: Path, kind=Image.Resampling.BICUBIC) -> None:
        Image.fromarray(blobs).resize((side, side), kind).save(path)

    (root / "classes.txt").write_text("".join(f"class{number:02d}\n" for number in range(CLASSES)))
    with open(root / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "tags", "split"])
        for number in range(count):
            tags, name = sorted({number % CLASSES, *rng.integers(0, CLASSES, 1).tolist()}), f"{number:05d}"
            table.writerow([f"{name}.jpg", " ".join(f"class{tag:02d}" for tag in tags), "train"])
            save(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8), root / "images" / f"{name}.jpg")
            salient = rng.random((6, 6)) < 0.5
            save(np.where(salient, 255, 0).astype(np.uint8), root / "saliency/train" / f"{name}.png")
            coarse = np.where(salient, 1 + rng.choice(tags, (6, 6)), 0).astype(np.uint8)
            save(coarse, root / "coarse" / f"{name}.png", Image.Resampling.NEAREST)
            depth = (1000 + 300 * rng.random((side, side))).astype(np.uint16)
            Image.fromarray(depth).save(root / "depth" / f"{name}.png")


def write_depth_network(folder: Path, tiny: bool) -> Path:
    """A Depth Anything V2 Small with random weights, as the transformers library saves it."""
    import transformers

    width, side = (16, 28) if tiny else (384, 518)
    outputs = [1, 2] if tiny else [3, 6, 9, 12]
    backbone = transformers.Dinov2Config(
        hidden_size=width, num_hidden_layers=outputs[-1], num_attention_heads=max(1, width // 64), image_size=side,
        patch_size=14, out_indices=outputs, reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    small = {"neck_hidden_sizes": [8, 8], "reassemble_factors": [2, 1], "fusion_hidden_size": 8, "head_hidden_size": 8}
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=width, **(small if tiny else {})
    )
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    transformers.DPTImageProcessor(
        size={"height": side, "width": side}, ensure_multiple_of=14, keep_aspect_ratio=True
    ).save_pretrained(folder)
    return folder


def write_onnx_network(path: Path, tiny: bool) -> Path:
    """Ten convolutions of 64 channels at the side of the input, and a sigmoid."""
    import onnx

    side, width, depth = (32, 8, 2) if tiny else (320, 64, 10)
    rng, helper, nodes, weights = np.random.default_rng(0), onnx.helper, [], []
    channels = [3, *[width] * (depth - 1), 1]
    for layer, (taken, given) in enumerate(zip(channels, channels[1:], strict=False)):
        values = rng.normal(0, (9 * taken) ** -0.5, (given, taken, 3, 3)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(values, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [f"x{layer}", f"w{layer}"], [f"y{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Sigmoid" if given == 1 else "Relu", [f"y{layer}"], [f"x{layer + 1}"]))
    ends = [
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, number, side, side])]
        for name, number in (("x0", 3), (f"x{len(channels) - 1}", 1))
    ]
    graph = helper.make_graph(nodes, "graph", *ends, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def run_what_is_missing(stages) -> None:
    """Run stages and those upstream that are not complete."""
    for stage in stages:
        if not stage.complete():
            run_what_is_missing(stage.required.values())
            run(stage)


def run(stage: StageTask) -> None:
    """Run a stage. What is unusual about its result is not said: networks with random weights find nothing."""
    vars(stage)["findings"] = list
    stage.run()


def runs_of(stage: StageTask, repeats: int) -> Iterator[tuple[dict, DeviceUse]]:
    """Run a stage several times, after the stages upstream. Yields the record of each run and the use of the device."""
    run_what_is_missing(stage.required.values())
    for _ in range(repeats):
        stage.artifact.discard()
        vars(stage).pop("device_use", None)
        run(stage)
        yield stage.record(), stage.device_use


def print_row(*cells, widths=(32, 11, 10, 13, 9, 12)) -> None:
    print("".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False)), flush=True)


def used(use: DeviceUse) -> tuple[str, str]:
    """Share of waiting and memory, as text."""
    share = "" if use.wait_share is None else f"{100 * use.wait_share:.1f} %"
    return share, f"{use.memory / 2**20:.0f} MB" if use.memory else "-"


def stage_cells(found: list[tuple[dict, DeviceUse]]) -> tuple[str, str]:
    """Images per second of the whole stage, and of the network alone."""
    whole = statistics.median(record["images_per_second"] for record, _ in found)
    return f"{whole:.3g}", f"{statistics.median(record['images'] / use.seconds for record, use in found):.3g}"


def training_cells(found: list[tuple[dict, DeviceUse]]) -> tuple[str, str]:
    """Images per second without the start, and seconds of an epoch over PASCAL VOC."""
    rate = statistics.median(record["images"] / use.seconds for record, use in found)
    return f"{rate:.3g}", f"{VOC_IMAGES / rate:.0f}"


def table(stages: dict[str, StageTask], repeats: int, cells_of) -> None:
    """One line per stage."""
    for name, stage in stages.items():
        try:
            found = list(runs_of(stage, repeats))
        except Exception as error:  # a GPU is rare: the other rows are measured all the same
            print(f"{name}: not measured: {type(error).__name__}: {error}", flush=True)
        else:
            print_row(name, stage.resolved_precision, *cells_of(found), *used(found[-1][1]))


def crf_table(device: torch.device, side: int, repeats: int) -> None:
    image, constants = demo_frames(side, side, 1)[0][0], CRF_PRESETS["irn"]
    engines = {f"torch on {device.type}": "torch"}
    if find_spec("pydensecrf"):
        engines["pydensecrf"] = "pydensecrf"
    for classes in (2, 4, 21):
        probabilities = problem(image, classes)[1].astype(np.float32)
        for name, engine in engines.items():
            seconds = median_seconds(
                lambda engine=engine, values=probabilities: crf_from_probabilities(
                    image, values, constants, engine, str(device)
                ),
                repeats,
            )
            print_row(f"{classes} classes, {name}", f"{seconds:.4f} s")


def discovery_table(device: torch.device, sizes, repeats: int) -> None:
    for count, dim in sizes:
        for batch in (1, 8, 32):
            features = torch.stack([patches(count, dim, 30)] * batch).to(device)
            reset_peak(device.type)
            discover_superpixels(features, 0.3)
            seconds = median_seconds(lambda features=features: discover_superpixels(features, 0.3), repeats) / batch
            print_row(f"{count} x {dim}, batch {batch}", f"{1 / seconds:.1f}/s", f"{peak_mb(device.type):.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", default="")
    parser.add_argument("--onnx", default="")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args()
    device, tiny = choose_device(arguments.device), arguments.tiny
    on_gpu = device.type == "cuda"
    precisions = arguments.precisions or ("32,bf16" if on_gpu else "32")
    count, repeats, side = (4, 1, 48) if tiny else (arguments.images, arguments.repeats, 448)
    where = torch.cuda.get_device_name(device) if on_gpu else f"cpu, {torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {where}, {count} images of {side}x{side}, median of {repeats}, seed 0")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_data_set(folder / "set", count, side)
        settings = {**SETTINGS, **TINY} if tiny else dict(SETTINGS)
        if find_spec("transformers"):
            settings["EstimateDepth"] = {"model": str(write_depth_network(folder / "depth_network", tiny))}
        onnx = arguments.onnx
        if not onnx and find_spec("onnx"):
            onnx = str(write_onnx_network(folder / "network.onnx", tiny))

        def stage(kind, profile="voc-superpixel", precision="32", **more):
            return kind(
                dataset="folder", data_root=str(folder / "set"), artifacts=str(folder / "artifacts"), profile=profile,
                device=arguments.device, precision=precision, settings={**settings, **more},
            )  # fmt: skip

        print("\nStages over images")
        print_row("stage", "precision", "images/s", "network", "waited", "memory")
        for precision in precisions.split(","):
            stages = {kind.__name__: stage(kind, precision=precision) for kind in (ExtractCams, ExtractKeys)}
            if "EstimateDepth" in settings:
                stages["EstimateDepth"] = stage(EstimateDepth, precision=precision)
            if onnx and find_spec("onnxruntime") and precision == "32":
                stages["LoadSaliency"] = stage(LoadSaliency, LoadSaliency={"source": "onnx", "model": onnx})
            stages["PredictMasks"] = stage(PredictMasks, precision=precision)
            table(stages, repeats, stage_cells)
        print("\nTrainings")
        print_row("profile, stage", "precision", "images/s", "VOC epoch s", "waited", "memory")
        saliency = {"source": "files", "folder": str(folder / "set" / "saliency")}
        for precision in precisions.split(","):
            trainings = {
                f"{profile}, {kind.__name__}": stage(kind, profile, precision, LoadSaliency=saliency)
                for profile, kind in TRAININGS
            }
            table(trainings, 1, training_cells)
    print("\nDense CRF, seconds per image")
    crf_table(device, side, repeats)
    print("\nSuperpixel discovery, images per second")
    discovery_table(device, ((36, 8),) if tiny else ((784, 384), (3136, 768)), repeats)
    print(f"\n{time.perf_counter() - begun:.0f} s in all")


if __name__ == "__main__":
    main()
