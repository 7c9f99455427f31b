"""Stage 9: label maps from the trained network: pseudo-labels (train split) or predictions (evaluation split)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

import luigi
import numpy as np

from data.files.images import read_image
from data.sample import TRAIN
from models.crf_constants import CRF_PRESETS, ENGINES
from tasks.discover_superpixels import NO_SUPERPIXEL
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.methods import trainer
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map, label_map
from tasks.runtime.luigi_seam import is_set
from tasks.runtime.parameters import ScalesParameter, flag, one_of, only
from tasks.runtime.stage import Stages

UNLIKELY = 0.02
"""A class whose probability stays below this everywhere is left out of the CRF, whose time grows with the classes."""


class Candidates(NamedTuple):
    """What the network says of one image.

    Attributes
    ----------
    probabilities : ndarray, (L, H, W), float16
    classes : ndarray, (L,)
        Their class numbers.
    superpixels : ndarray, (H, W), uint16, or None
        Where the network has learned some.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    superpixels: np.ndarray | None


def used(crf: str) -> bool:
    """True for the constants of a CRF, false for none."""
    return crf != "none"


class PredictMasks(SplitStage):
    """Multi-scale probabilities, the image's tags applied on the train split, dense CRF, argmax."""

    resources = {"gpu": 1}

    train_scales = only(
        ScalesParameter(default=(1.5,), description="sizes of the image, relative; probabilities are averaged"),
        split=TRAIN,
    )
    evaluation_scales = only(
        ScalesParameter(default=(2.0, 3.0), description="sizes of the image; larger ones separate classes better"),
        split="evaluation",
    )
    flip = flag(True, "also mirrored")
    crf = one_of(("none", *CRF_PRESETS), "irn", "CRF constants")
    crf_engine = only(
        one_of(ENGINES, "pydensecrf", "torch: the same on the GPU, slow without one; default without pydensecrf"),
        crf=used,
    )
    vote = one_of(
        ("none", "depth"),
        "none",
        "depth: what depth edges enclose gets the class with the highest mean, after the CRF",
    )
    batch_size = luigi.IntParameter(default=8, description="images per batch", significant=False)

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """Torch computes the CRF where pydensecrf is not installed (it has no build for Python 3.13 and newer)."""
        values = dict(super().get_param_values(params, args, kwargs))
        asked = "crf_engine" in kwargs or is_set(dict(params)["crf_engine"], cls.get_task_family(), "crf_engine")
        if not asked and values["crf_engine"] == "pydensecrf" and find_spec("pydensecrf") is None:
            values["crf_engine"] = "torch"
        return [(name, values[name]) for name, _ in params]

    @property
    def label(self):
        return f"PredictMasks-{self.split}"

    @property
    def scales(self) -> tuple[float, ...]:
        return self.train_scales if self.split == TRAIN else self.evaluation_scales

    @property
    def in_workers(self):
        return self.crf != "none" and self.crf_engine == "pydensecrf"

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset), "model": self.upstream(trainer(self.method))}
        if self.vote == "depth":
            stages["depth"] = self.upstream(LoadDepth, split=self.split)
        return stages

    def arrays(self, samples):
        arrays = {"label": label_map(samples, "0 background, 1.. class, 255 padding")}
        if self.required["model"].learns_superpixels:
            arrays["superpixel"] = image_map(
                samples, "uint16", NO_SUPERPIXEL, "superpixel by which the network has upsampled"
            )
        return arrays

    def batch_function(self, dataset):
        import torch

        from tasks.runtime.tensors import image_batch
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        model = self.inputs["model"].load_segmenter(device)
        learns_superpixels = self.required["model"].learns_superpixels

        def candidates_of(samples):
            images = model.normalise(image_batch(samples)).to(device)
            superpixels = [None] * len(samples)
            with torch.inference_mode():
                probabilities = model.network.predict(images, self.scales, self.flip).cpu()
                if learns_superpixels:
                    superpixels = model.network.superpixels(images).cpu().numpy().astype(np.uint16)
            for sample, values, regions in zip(samples, probabilities, superpixels, strict=True):
                classes = self._candidates(sample, values)
                yield Candidates(values[classes].half().numpy(), classes.numpy(), regions)

        return candidates_of

    def _candidates(self, sample, probabilities):
        """Classes the image may hold: background and its tags (train), or what the network thinks possible."""
        import torch

        if self.split == TRAIN:
            return torch.tensor([0, *sample.tags])
        likely = probabilities.amax(dim=(-2, -1)) >= UNLIKELY
        likely[0] = True
        return likely.nonzero()[:, 0]

    def compute(self, sample, inputs):
        from models.crf import crf_from_probabilities
        from models.depth_vote import vote_by_depth
        from tasks.runtime.training_loop import choose_device

        found = inputs.inferred
        values, image = found.probabilities.astype(np.float32), read_image(sample.image)
        if self.crf != "none":
            device = str(choose_device(self.device)) if self.crf_engine == "torch" else "cpu"
            values = crf_from_probabilities(image, values, CRF_PRESETS[self.crf], self.crf_engine, device)
        if self.vote == "depth":
            values = vote_by_depth(values, image, *read_surface(inputs["depth"]))
        arrays = {"label": found.classes[values.argmax(0)].astype(np.uint8)}
        return arrays if found.superpixels is None else {**arrays, "superpixel": found.superpixels}
