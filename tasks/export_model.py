"""The trained segmentation network as a folder that needs nothing of this project: ONNX, predict.py, model card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
import numpy as np

from data.errors import SettingError
from data.files.labels import read_truth
from data.files.working_size import sample_image
from data.sample import EVALUATION, TRAIN, Sample, spread
from data.store.artifact import Artifact, write_bytes, write_json
from tasks.index_dataset import IndexDataset
from tasks.methods import trainer
from tasks.predict_masks import PredictMasks
from tasks.refine_saliency import RefineSaliency
from tasks.runtime.corrections import UsesCorrections
from tasks.runtime.dag import stages
from tasks.runtime.layout import padded_size
from tasks.runtime.numeric import SCALES, number, whole
from tasks.runtime.parameters import flag, only
from tasks.runtime.stage import StageTask

if TYPE_CHECKING:
    from tasks.runtime.model_card import FileScores

MODEL, INT8_MODEL, LABELS, CARD, PREDICT = "model.onnx", "model_int8.onnx", "labels.json", "README.md", "predict.py"

PREDICT_SOURCE = Path(__file__).parent / "runtime" / "exported_predict.py"
"""The program that is copied as `PREDICT`."""

METHODS_TOLD = {
    "superpixel": "It was trained on pseudo-labels that were made from image tags and depth",
    "masking": "It was trained from image tags and saliency",
    "coarse": "It was trained on coarse pixel labels",
}
"""Method -> what the card says of it; `learnt_from` adds whether there were other pixel labels."""

SMALLER = 3, 7
"""Pixels by which the second image of the comparison with torch is smaller: the file must hold for other sizes."""


class ExportModel(StageTask):
    """Writes a folder for the Hugging Face hub, after a comparison of the ONNX file with torch on random images.

    - ``model.onnx``: RGB images (B, H, W, 3) uint8 -> labels (B, H, W) and their scores float32; B, H and W are open
    - ``model_int8.onnx``: the same with convolutions in 8 bits, with `int8`
    - ``labels.json``: class names in the order of their numbers, and facts about the files
    - ``predict.py``: needs onnxruntime, numpy and pillow
    - ``README.md``: the model card, with the scores of these files on evaluation images

    Ground truth is opened for these scores alone.
    """

    version = 4
    artifact_type = Artifact

    scale = number(
        0.0,
        "size at which the network sees an image, relative to its own; 0 = the smallest evaluation scale of "
        "PredictMasks",
        at_least=0,
        at_most=16,
    )
    int8 = flag(False, "also write model_int8.onnx, whose convolutions compute in 8 bits")
    calibration = only(
        whole(32, "training images that give the ranges of the 8-bit activations, evenly spread", at_least=1), int8=True
    )
    measured = whole(
        200, "evaluation images with ground truth on which the files are measured, evenly spread; 0 = none", at_least=0
    )
    licence: Any = luigi.Parameter(
        default="unknown", description="licence of the network for the card, an identifier of the Hugging Face hub"
    )
    data_licence: Any = luigi.Parameter(default="", description="licence of the data for the card, in words")
    tolerance = number(
        1e-3, "maximum difference to the probabilities of the network in torch", at_least=0, significant=False
    )

    def check(self):
        if self.scale and not SCALES.allows(self.scale):
            raise SettingError(f"--ExportModel-scale is {self.scale:g}; set it to 0, or to a number {SCALES}")

    @property
    def seen_scale(self) -> float:
        """The scale inside the file."""
        return self.scale or self._usual_scale

    @cached_property  # kept from planning: the flags of other stages hold only while luigi parses
    def _usual_scale(self) -> float:
        return min(self.upstream(PredictMasks, split=EVALUATION).evaluation_scales)

    def parameters(self):
        return {**super().parameters(), "scale": self.seen_scale}

    def requires(self):
        return {"dataset": self.upstream(IndexDataset), "model": self.upstream(trainer(self.method))}

    def content_identity(self):
        return {"ground truth": self.required["dataset"].fingerprint(truth=True)} if self.measured else {}

    def watched(self):
        return [*super().watched(), *([self.required["dataset"].truth_files] if self.measured else [])]

    def work(self) -> int:
        try:
            return self._export()
        except ImportError as error:
            raise SettingError(
                f"ONNX files need onnx and onnxruntime: pip install 'depthseed[onnx]' ({error})"
            ) from error

    def _export(self) -> int:
        import torch

        from tasks.runtime.onnx_int8 import int8_bytes
        from tasks.runtime.onnx_network import OPSET, OUTPUTS, ImageNetwork, largest_difference, onnx_bytes

        dataset = self.inputs["dataset"]
        model = self.inputs["model"].load(torch.device("cpu"))
        network = model.network.to(memory_format=torch.contiguous_format)
        wrapped = ImageNetwork(network, model.normalise, len(model.class_names), self.seen_scale).eval()
        random = torch.Generator().manual_seed(0)
        height, width = padded_size(dataset.samples)
        sizes = [(height, width), (max(32, height - SMALLER[0]), max(32, width - SMALLER[1]))]
        images = [torch.randint(0, 256, (1, *size, 3), generator=random, dtype=torch.uint8) for size in sizes]
        files = {MODEL: onnx_bytes(wrapped, images[0])}
        difference = largest_difference(wrapped, files[MODEL], images)
        if difference > self.tolerance:
            raise SettingError(
                f"the probabilities of the ONNX file differ from those of the network by {difference:.2g}; increase "
                f"--ExportModel-tolerance (now {self.tolerance:g}) if this is acceptable"
            )
        calibration = self._calibration_images(dataset.split(TRAIN)) if self.int8 else []
        if calibration:
            files[INT8_MODEL] = int8_bytes(files[MODEL], (sample_image(sample) for sample in calibration))
        scores = self._scores(files, model.class_names)
        for name, content in files.items():
            write_bytes(self.artifact.path / name, content)
        described = {
            "classes": list(model.class_names),
            "opset": OPSET,
            "scale": self.seen_scale,
            "size": self.required["dataset"].size,
            "outputs": list(OUTPUTS),
            "difference": difference,
            "miou": {name: score.miou for name, score in scores.items()},
        }
        write_json(self.artifact.path / LABELS, described)
        write_bytes(self.artifact.path / PREDICT, PREDICT_SOURCE.read_bytes())
        card = self._card(model, scores, difference, len(calibration))
        write_bytes(self.artifact.path / CARD, card.encode())
        return 1

    def _calibration_images(self, samples: Sequence[Sample]) -> list[Sample]:
        if not samples:
            raise SettingError("--ExportModel-int8 needs training images for the ranges of activations; leave it out")
        return [samples[place] for place in spread(samples, self.calibration)]

    def _measured_images(self) -> Iterator[tuple[Sample, Any]]:
        """Evaluation images with their ground truth."""
        if not self.measured:
            return
        dataset = self.required["dataset"].read_with_truth()
        samples = [sample for sample in dataset.split(EVALUATION) if sample.truth]
        chosen = [samples[place] for place in spread(samples, self.measured)]
        for sample in self.progress(chosen, len(chosen)):
            yield sample, read_truth(sample, dataset.num_classes)

    def _scores(self, files: dict[str, bytes], class_names: Sequence[str]) -> dict[str, FileScores]:
        """File -> what it gets on the evaluation images; empty if none has ground truth."""
        from models.metrics import confusion_matrix, iou_by_class, mean_iou, pixel_accuracy
        from tasks.runtime.model_card import FileScores
        from tasks.runtime.onnx_network import INPUT, session_of

        sessions = {name: session_of(content) for name, content in files.items()}
        totals = {name: np.zeros((len(class_names), len(class_names) + 1), np.int64) for name in files}
        images = 0
        for sample, truth in self._measured_images():
            image = sample_image(sample)[None]
            for name, session in sessions.items():
                labels = session.run(["labels"], {INPUT: image})[0][0].astype(np.uint16)
                totals[name] += confusion_matrix(truth, labels, len(class_names))
            images += 1
        found = {}
        for name, total in totals.items():
            if total.any():
                percents = [round(100 * float(score(total)), 2) for score in (mean_iou, pixel_accuracy)]
                found[name] = FileScores(percents[0], percents[1], iou_by_class(total, class_names), images)
        return found

    def _card(self, model, scores: dict[str, FileScores], difference: float, calibration: int) -> str:
        from tasks.runtime.model_card import CardFacts, model_card

        training, dataset = self.required["model"], self.inputs["dataset"]
        read = stages(training)
        sizes = {split: len(dataset.split(split)) for split in (TRAIN, EVALUATION)}
        return model_card(
            CardFacts(
                title=f"depthseed {self.dataset} {self.method}",
                class_names=model.class_names,
                dataset=self.dataset,
                split_sizes=sizes,
                licence=self.licence,
                data_licence=self.data_licence,
                method=learnt_from(self.method, read),
                stages={stage.label: stage.identity for stage in read},
                parameters=training.description()["parameters"],
                scores=scores,
                difference=difference,
                calibration_images=calibration,
                limits=self._limits(model.size),
            )
        )

    def _limits(self, crop: tuple[int, int]) -> list[str]:
        training, size = self.required["model"], self.required["dataset"].size
        lines = [
            f"It was trained on crops of {crop[1]}x{crop[0]} pixels. Objects that look much larger or smaller than "
            "there are found less well.",
            "Every pixel gets a class: what belongs to none of them is background at best.",
            "`scores` are softmax probabilities. They are not calibrated.",
            f"The network sees an image at {self.seen_scale:g} times its size; this is inside the file. Large images "
            "cost as much more.",
            "PredictMasks of depthseed averages several scales and mirror images. This file does not.",
        ]
        if size:
            lines.append(
                f"In training and for the scores, images had at most {size} pixels on the longer side; larger ones "
                "were made smaller before. The file does not do this: give images of this size."
            )
        side = getattr(training, "resize_side", "none")
        if side != "none":
            lengths = " to ".join(f"{length:g}" for length in training.resize_to)
            lines.append(f"In training, the {side} side of an image had {lengths} pixels: give images of this size.")
        if self.required["dataset"].is_rendered:
            lines.append("All images were rendered. Nothing is known of photographs.")
        return lines


def learnt_from(method: str, read: Sequence[StageTask]) -> str:
    """What a network was trained on, in one sentence.

    Parameters
    ----------
    method : str
    read : sequence of StageTask
        The training and the stages that it read.
    """
    told = METHODS_TOLD[method]
    if method == "coarse":
        return f"{told}."
    corrected = sum(len(stage.corrected) for stage in read if isinstance(stage, UsesCorrections))
    labels = [f"the corrected label maps of {corrected} training images"] if corrected else []
    if any(isinstance(stage, RefineSaliency) and stage.ground_truth for stage in read):
        labels.append("the GROUND TRUTH of the training images, which was their saliency (an upper bound)")
    return f"{told}, and from pixel labels: {', and '.join(labels)}." if labels else f"{told}, without pixel labels."
