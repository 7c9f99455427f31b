"""Stage 9: label maps from the trained network: pseudo-labels (train split) or predictions (evaluation split)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import luigi
import numpy as np

from data.errors import SettingError, StoreError
from data.files.working_size import sample_image
from data.sample import TRAIN
from data.store.tiles import ArraySpec
from models.crf_constants import CRF_PRESETS, ENGINES, installed_engine
from tasks.discover_superpixels import NO_SUPERPIXEL
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth, read_surface
from tasks.methods import trainer
from tasks.runtime.devices import has_gpu
from tasks.runtime.image_stage import SplitStage
from tasks.runtime.layout import image_map, label_map
from tasks.runtime.numeric import scales_parameter, whole
from tasks.runtime.parameters import flag, one_of, only
from tasks.runtime.quality import class_pixels, classes_without, listed
from tasks.runtime.resizing import ResizesImages, at_size, nearest_at_size, resized, resized_picture
from tasks.runtime.stage import Stages
from tasks.runtime.trained_model import TrainedArtifact

UNLIKELY = 0.02
"""A class whose probability is below this value everywhere is left out. The time of the CRF grows with the classes."""


class Candidates(NamedTuple):
    """Output of the network for one image, with only the classes that are possible there.

    Attributes
    ----------
    probabilities : ndarray, (L, H, W), float16
    classes : ndarray, (L,), integer
        Class numbers of the probabilities.
    superpixels : ndarray, (H, W), uint16, or None
        Superpixels that the network has learned, if it learns any.
    tag_pixels : ndarray, (S,), int32, or None
        For each tag of a training image: the pixels where its class has the highest probability of all K+1 classes.
    """

    probabilities: np.ndarray
    classes: np.ndarray
    superpixels: np.ndarray | None
    tag_pixels: np.ndarray | None


def used(crf: str) -> bool:
    """A condition of `only`: a CRF is used."""
    return crf != "none"


def likely_classes(probabilities):
    """Numbers of the classes that an image may have, (L,) int64: the background, and all that are not `UNLIKELY`.

    Parameters
    ----------
    probabilities : Tensor, (K+1, H, W)
    """
    likely = probabilities.amax(dim=(-2, -1)) >= UNLIKELY
    likely[0] = True
    likely[probabilities.argmax(0).unique()] = True  # the best of a hundred classes may be unlikely
    return likely.nonzero()[:, 0]


class PredictMasks(ResizesImages, SplitStage):
    """Label maps: probabilities over scales and mirror images, dense CRF, argmax.

    On the train split, only the background and the tags of the image are possible (pseudo-labels). On the evaluation
    split, all classes are possible (predictions).

    The label maps have the size of the images. If an image is resized first, the network and the CRF see it at that
    size, and the probabilities are brought to the size of the image.
    """

    version = 4
    bf16_version = 1
    autocasts = True

    train_scales = only(
        scales_parameter((1.5,), "scales of the image, relative to its size; probabilities are averaged"),
        split=TRAIN,
    )
    evaluation_scales = only(
        scales_parameter((2.0, 3.0), "scales of the image, relative to its size; large scales separate classes better"),
        split="evaluation",
    )
    flip = flag(True, "also use the mirrored image")
    crf = one_of(("none", *CRF_PRESETS), "irn", "preset of CRF constants, none = no CRF")
    crf_engine = only(
        one_of(
            ("auto", *ENGINES),
            "auto",
            "engine of the CRF, equal up to rounding; auto: torch on a GPU or without pydensecrf (it has no build "
            "for Python 3.13 and newer), else pydensecrf",
        ),
        crf=used,
    )
    vote = one_of(
        ("none", "depth"),
        "none",
        "after the CRF; depth: small regions between depth edges get the class with the highest mean probability",
    )
    batch_size = whole(8, "images per batch", at_least=1, significant=False)

    model = luigi.Parameter(
        default="",
        description="folder of a trained model from elsewhere, empty = the model that the method trains",
        significant=False,
    )

    @classmethod
    def get_param_values(cls, params, args, kwargs):
        """As of the base; the engine ``auto`` of the CRF is the one that it stands for on this machine."""
        values = dict(super().get_param_values(params, args, kwargs))
        if values["crf_engine"] == "auto":
            values["crf_engine"] = "torch" if has_gpu(values["device"]) else installed_engine()
        return [(name, values[name]) for name, _ in params]

    @property
    def label(self):
        return f"PredictMasks-{self.split}"

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales of the split."""
        return self.train_scales if self.split == TRAIN else self.evaluation_scales

    @property
    def network_scales(self):
        return self.scales

    @property
    def values_per_pixel(self):
        return self.num_classes + 1

    @property
    def in_workers(self):
        return self.crf != "none" and self.crf_engine == "pydensecrf"

    def requires(self):
        trained_by = trainer(self.method)  # it refuses a method without training, also with a model from elsewhere
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        if not self.model:
            stages["model"] = self.upstream(trained_by)
        if self.vote == "depth":
            stages["depth"] = self.upstream(LoadDepth, split=self.split)
        return stages

    def content_identity(self):
        return {"model": self._digest_of_model} if self.model else {}

    @functools.cached_property
    def _digest_of_model(self) -> str:
        return TrainedArtifact(Path(self.model)).require_trained()

    def _require_unchanged(self, watched, parents):
        super()._require_unchanged(watched, parents)
        if self.model and TrainedArtifact(Path(self.model)).digest() != self._digest_of_model:
            self.artifact.discard()  # it may hold results of another model
            raise StoreError(f"{self.model}: the model has changed while {self.label} used it; run the command again")

    @property
    def learns_superpixels(self) -> bool:
        """True if the superpixels that the network has learned are stored, too."""
        return "model" in self.required and self.required["model"].learns_superpixels

    def arrays(self, samples):
        arrays = {"label": label_map(samples, "0 background, 1.. class, 65535 padding")}
        if self.split == TRAIN:
            slots = max([1, *(len(sample.tags) for sample in samples)])
            name = "pixels where the class of a tag is the most probable of all classes"
            arrays["tag_pixels"] = ArraySpec(("slot",), (slots,), "int32", -1, {"long_name": name})
        if self.learns_superpixels:
            arrays["superpixel"] = image_map(
                samples, "uint16", NO_SUPERPIXEL, "superpixel by which the network has upsampled"
            )
        return arrays

    def image_bytes(self, samples):
        """Also the probabilities of the possible classes, which are kept for a whole shard: 16 bits each."""
        classes = [1 + (len(sample.tags) if self.split == TRAIN else self.num_classes) for sample in samples]
        pixels = [height * width for height, width in (self.seen_size(sample.size) for sample in samples)]
        return super().image_bytes(samples) + 2.0 * np.array(classes) * np.array(pixels)

    def network_inputs(self):
        model = TrainedArtifact(Path(self.model)) if self.model else self.required["model"].artifact
        known, wanted = model.class_names(), self.inputs["dataset"].class_names
        if known != wanted:
            raise SettingError(
                f"{self.model}: the model knows the classes {listed(known)}, the data set has {listed(wanted)}; choose "
                "a model of these classes, in this order"
            )
        return {"model": model, "learns_superpixels": self.learns_superpixels}

    def network(self, model, learns_superpixels):
        import torch

        from tasks.runtime.network_map import BatchNetwork
        from tasks.runtime.networks import compiled
        from tasks.runtime.tensors import colours
        from tasks.runtime.training_loop import choose_device

        device = choose_device(self.device)
        trained = model.load_segmenter(device)
        compiled(trained.network, self.compile)

        def probabilities_of(images, samples):
            images = trained.normalise(colours(images))
            images = resized(images, self.seen_size((images.shape[-2], images.shape[-1])))
            found = {"probability": trained.network.predict(images, self.scales, self.flip)}
            if self.split == TRAIN:
                found["best"] = found["probability"].argmax(1).to(torch.int16)
            if learns_superpixels:
                found["superpixel"] = trained.network.superpixels(images)
            return found

        def results(found, samples):
            regions = found["superpixel"].numpy().astype(np.uint16) if learns_superpixels else [None] * len(samples)
            all_best = found["best"] if self.split == TRAIN else [None] * len(samples)
            for sample, values, superpixels, best in zip(samples, found["probability"], regions, all_best, strict=True):
                classes = self._candidates(sample, values)
                tag_pixels = None
                if best is not None:
                    tag_pixels = np.array([int((best == tag).sum()) for tag in sample.tags], np.int32)
                yield Candidates(values[classes].half().numpy(), classes.numpy(), superpixels, tag_pixels)

        return BatchNetwork(device, probabilities_of, results)

    def _candidates(self, sample, probabilities):
        """Numbers of the possible classes: background and tags (train), or classes with a probability (evaluation)."""
        import torch

        return torch.tensor([0, *sample.tags]) if self.split == TRAIN else likely_classes(probabilities)

    def count(self, sample, image, num_classes):
        labelled = class_pixels(image.read("label"), num_classes)
        if self.split != TRAIN:
            return labelled
        predicted = np.zeros(num_classes + 1, np.int64)
        predicted[list(sample.tags)] = image.read("tag_pixels")[: len(sample.tags)]
        return np.concatenate([labelled, predicted])

    def findings(self):
        names, counted = self.inputs["dataset"].class_names, self.counts()
        pixels, predicted = np.split(counted, [len(names) + 1])
        present = [name for name, count in zip(names, pixels, strict=False) if count]
        if self.samples and len(present) == 1:
            return [f"every pixel of {len(self.samples)} images has the class {present[0]}"]
        if self.split != TRAIN:
            return []
        longer = f"train longer (--{trainer(self.method).__name__}-least-steps), or look at their seeds"
        return [
            *classes_without(self, pixels, "pseudo-label"),
            *classes_without(self, predicted, "pixel where the network prefers them to all other classes", longer),
        ]

    def compute(self, sample, inputs):
        from models.crf import crf_from_probabilities
        from models.depth_vote import vote_by_depth
        from tasks.runtime.training_loop import choose_device

        found = inputs.inferred
        values = found.probabilities.astype(np.float32)
        if self.crf != "none":
            device = str(choose_device(self.device)) if self.crf_engine == "torch" else "cpu"
            image = resized_picture(sample_image(sample), values.shape[-2:])
            values = crf_from_probabilities(image, values, CRF_PRESETS[self.crf], self.crf_engine, device)
        if values.shape[-2:] != sample.size:
            values = at_size(values, sample.size)
        if self.vote == "depth":
            values = vote_by_depth(values, sample_image(sample), *read_surface(inputs["depth"]))
        arrays = {"label": found.classes[values.argmax(0)].astype(np.uint16)}
        if self.split == TRAIN:
            arrays["tag_pixels"] = found.tag_pixels
        if found.superpixels is None:
            return arrays
        return {**arrays, "superpixel": nearest_at_size(found.superpixels, sample.size)}
