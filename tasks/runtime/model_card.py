"""The card of an exported network: README.md with the header that the Hugging Face hub reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.runtime.onnx_network import OPSET

UNKNOWN_LICENCE = "unknown"
"""The hub's identifier of a licence that nobody has stated."""


@dataclass(frozen=True)
class FileScores:
    """What was measured of one exported file.

    Attributes
    ----------
    miou, pixel_accuracy : float, percent
    per_class : mapping
        Class name -> IoU in percent; None for a class that the ground truth does not have.
    images : int
        Number of the evaluation images.
    """

    miou: float
    pixel_accuracy: float
    per_class: Mapping[str, float | None]
    images: int


@dataclass(frozen=True)
class CardFacts:
    """What the card says.

    Attributes
    ----------
    title : str
    class_names : sequence of str
        Number 0 first.
    dataset : str
        Name of the data set.
    split_sizes : mapping
        Split -> number of images.
    licence : str
        Identifier of the hub, of the network.
    data_licence : str
        In words; empty: not stated.
    method : str
        How the labels of the training were made, in one sentence.
    stages : mapping
        Stage -> identity of its artifact, from the training upwards.
    parameters : mapping
        Parameters of the training.
    scores : mapping
        File name -> FileScores; empty if nothing was measured.
    difference : float
        Largest difference of the file to torch, as a probability.
    calibration_images : int
        Training images that gave the ranges of the 8-bit file; 0 if there is none.
    limits : sequence of str
        Sentences.
    """

    title: str
    class_names: Sequence[str]
    dataset: str
    split_sizes: Mapping[str, int]
    licence: str
    data_licence: str
    method: str
    stages: Mapping[str, str]
    parameters: Mapping[str, Any]
    scores: Mapping[str, FileScores]
    difference: float
    calibration_images: int = 0
    limits: Sequence[str] = field(default=())


def model_card(facts: CardFacts) -> str:
    """The text of README.md.

    Raises
    ------
    ImportError
        If huggingface_hub is not installed.
    """
    return "\n".join(["---", _header(facts), "---", "", *_text(facts)]) + "\n"


def _header(facts: CardFacts) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    first = next(iter(facts.scores.values()), None)
    results = [
        EvalResult(
            task_type="image-segmentation", dataset_type=facts.dataset, dataset_name=facts.dataset,
            dataset_split="evaluation", metric_type="mean_iou", metric_value=first.miou,
        )
    ] if first else None  # fmt: skip
    return ModelCardData(
        license=facts.licence,
        library_name="onnx",
        pipeline_tag="image-segmentation",
        tags=["onnx", "onnxruntime", "semantic-segmentation", "weakly-supervised", "robotics"],
        model_name=facts.title,
        eval_results=results,
    ).to_yaml()


def _text(facts: CardFacts) -> list[str]:
    sizes = ", ".join(f"{count} {split} images" for split, count in facts.split_sizes.items())
    int8 = ["| `model_int8.onnx` | the same with convolutions in 8 bits |"] if facts.calibration_images else []
    return [
        f"# {facts.title}",
        "",
        f"Semantic segmentation with {len(facts.class_names)} classes. {facts.method}".strip(),
        "",
        "```bash",
        "pip install onnxruntime numpy pillow",
        "python predict.py image.jpg --output predictions    # predictions/image.png: class of each pixel",
        "```",
        "",
        "| file | content |",
        "|---|---|",
        f"| `model.onnx` | the network, ONNX, opset {OPSET}; batch, height and width are open |",
        *int8,
        "| `labels.json` | names of the classes, in the order of their numbers |",
        "| `predict.py` | label maps of images; needs onnxruntime, numpy and pillow |",
        "",
        "Input: `image`, uint8, (batch, height, width, 3), RGB. The normalisation is inside. Outputs: `labels`, "
        "(batch, height, width), the number of the most probable class; `scores`, float32, of the same shape, its "
        "probability.",
        "",
        "## Classes",
        "",
        *_class_table(facts),
        "",
        "## Data",
        "",
        f"Data set `{facts.dataset}`: {sizes}. Licence of the data: {facts.data_licence or 'not stated'}.",
        "",
        "## Scores",
        "",
        *_scores(facts),
        "",
        "## How it was made",
        "",
        f"Largest difference of `model.onnx` to the network in torch: {facts.difference:.1e}, as a probability.",
        "",
        "| stage of depthseed | identity |",
        "|---|---|",
        *(f"| {stage} | `{identity}` |" for stage, identity in facts.stages.items()),
        "",
        "Parameters of the training:",
        "",
        "```json",
        json.dumps(dict(facts.parameters), indent=1, sort_keys=True),
        "```",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in facts.limits),
    ]


def _class_table(facts: CardFacts) -> list[str]:
    first = next(iter(facts.scores.values()), None)
    rows = []
    for number, name in enumerate(facts.class_names):
        shown = name.replace("|", "\\|")
        iou = f" {_percent(first.per_class[name])} |" if first else ""
        rows.append(f"| {number} | {shown} |{iou}")
    return ["| number | class |" + (" IoU, % |" if first else ""), "|---:|---|" + ("---:|" if first else ""), *rows]


def _scores(facts: CardFacts) -> list[str]:
    if not facts.scores:
        return ["Nothing was measured: there is no evaluation image with ground truth, or the measurement was off."]
    first = next(iter(facts.scores.values()))
    lines = [
        f"Measured with the files of this folder on {first.images} evaluation images, with one scale, without mirror "
        "images and CRF.",
        "",
        "| file | mIoU, % | pixel accuracy, % | loss of mIoU |",
        "|---|---:|---:|---:|",
    ]
    for name, score in facts.scores.items():
        loss = "" if score is first else f"{first.miou - score.miou:.2f}"
        lines.append(f"| `{name}` | {score.miou:.2f} | {score.pixel_accuracy:.2f} | {loss} |")
    if facts.calibration_images:
        lines += ["", f"The ranges of the 8-bit file are those of {facts.calibration_images} training images."]
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
