"""The base of the stages that train a segmentation network from tags: architecture, initial weights, augmentation."""

from __future__ import annotations

import luigi

from data.errors import SettingError
from tasks.runtime.layout import LARGEST_CROP
from tasks.runtime.numeric import NumbersParameter, Range, number, scale_parameter, scales_parameter, whole
from tasks.runtime.parameters import flag, one_of, only
from tasks.runtime.resizing import least_side_parameter
from tasks.runtime.schedules import SCHEDULES
from tasks.runtime.training_stage import (
    EPOCHS_HELP,
    LEAST_STEPS_HELP,
    STRIDE_HELP,
    STRIDES,
    RegistryParameter,
    TrainingStage,
)
from tasks.train_classifier import TrainClassifier


class SegmenterStage(TrainingStage):
    """A stage that trains a DeepLab-ASPP network. The stages of the methods differ only in targets and losses."""

    network = "deeplab_aspp"

    least_side = least_side_parameter()
    weights = only(
        luigi.Parameter(
            default="package", description="pretrained weights: hub, package, random, or the path of a file"
        ),
        start="pretrained",
    )
    output_stride = whole(16, STRIDE_HELP, among=STRIDES)
    start = one_of(
        ("pretrained", "classifier"),
        "classifier",
        "initial weights of the backbone: pretrained, or those of the trained classifier",
    )
    rates = NumbersParameter(
        (1.0, 2.0, 4.0, 6.0),
        "dilations of the ASPP branches, in cells",
        Range(at_least=1, at_most=1000),
        are_whole=True,
    )
    epochs = whole(5, EPOCHS_HELP, at_least=1)
    least_steps = whole(300, LEAST_STEPS_HELP, at_least=0)
    scale_min = scale_parameter(0.8, "minimum random scale")
    scale_max = scale_parameter(2.0, "maximum random scale")
    jitter = number(0.3, "maximum change of brightness, contrast and saturation, as a share", at_least=0, at_most=1)
    mosaic = number(0.6, "share of the items that are mosaics of four images at half size", at_least=0, at_most=1)
    input_scales = scales_parameter((1.0,), "scales at which the network sees each batch, relative to the crop")
    learning_rate = number(5e-4, "peak backbone learning rate", above=0)
    schedule = RegistryParameter(SCHEDULES, "poly", "learning rate schedule")
    warmup_epochs = number(0.5, "epochs of linear warm-up from 1e-6", at_least=0)
    freeze_batch_norm = flag(True, "keep the pretrained statistics, scale and shift of batch norm")
    average_decay = number(
        0.99,
        "decay of the running mean of the weights, which is the result; 0 = the last weights",
        at_least=0,
        below=1,
    )

    def network_settings(self):
        return {"backbone": self.backbone, "output_stride": self.output_stride, "rates": self.rates}

    def content_identity(self):
        # Enlarged images that the largest crop does not hold were once cut, and are now scaled down to it.
        is_beyond = not self.crop_size and self.enlarge_to**2 > LARGEST_CROP
        changed = {"enlarged images": "2"} if is_beyond else {}
        if any(not self.crop_size or self.crop_size * scale % 1 for scale in self.input_scales if scale != 1):
            changed["input scales"] = "2"  # a scale that gives no whole size once cut off the last pixels
        if self.start == "pretrained":
            return {**changed, **super().content_identity()}
        classifier = self.upstream(TrainClassifier)
        if classifier.backbone != self.backbone:
            name = type(self).__name__
            raise SettingError(
                f"{name} starts from the classifier, whose backbone is {classifier.backbone}, not {self.backbone}; "
                f"give both the same backbone, or set --{name}-start pretrained"
            )
        return changed

    def new_network(self):
        """The segmentation network with its initial weights."""
        import torch

        from tasks.runtime.networks import build_network

        if self.start == "pretrained":
            return super().new_network()
        network = build_network(self.network, self.inputs["dataset"].num_classes, self.network_settings())
        classifier = self.inputs["classifier"].load(torch.device("cpu")).network
        network.backbone.load_state_dict(classifier.pretrained_network().state_dict())
        return network

    def logits_at_scales(self, network, images, size) -> list:
        """Class logits of a batch at each of the `input_scales`, resized to one size.

        Parameters
        ----------
        network : nn.Module
        images : Tensor, (B, 3, H, W), normalised
        size : (height, width) of the logits

        Returns
        -------
        list of Tensor, (B, K+1, height, width)
            One per scale.
        """
        import torch.nn.functional as F

        from models.input_size import scaled

        found = [network(scaled(images, scale)) for scale in self.input_scales]
        return [F.interpolate(logits, size=size, mode="bilinear", align_corners=False) for logits in found]
