"""What the stages that train a segmentation network from tags share: its architecture, start and augmentation."""

from __future__ import annotations

import luigi

from data.errors import SettingError
from tasks.runtime.parameters import ScalesParameter, flag, one_of, only
from tasks.runtime.schedules import SCHEDULES
from tasks.runtime.training_stage import STRIDE_HELP, RegistryParameter, TrainingStage
from tasks.train_classifier import TrainClassifier


class SegmenterStage(TrainingStage):
    """A stage that trains a network that labels every pixel; methods differ in targets and losses alone."""

    network = "deeplab_aspp"

    weights = only(
        luigi.Parameter(default="package", description="hub, package, random, or a file of weights"),
        start="pretrained",
    )
    output_stride = luigi.IntParameter(default=16, description=STRIDE_HELP)
    start = one_of(("pretrained", "classifier"), "classifier", "weights with which the backbone begins")
    rates = ScalesParameter(default=(1.0, 2.0, 4.0, 6.0), description="dilations of the ASPP branches, in cells")
    epochs = luigi.IntParameter(default=5, description="passes over the training images")
    scale_min = luigi.FloatParameter(default=0.8, description="minimum random scale")
    scale_max = luigi.FloatParameter(default=2.0, description="maximum random scale")
    jitter = luigi.FloatParameter(default=0.3, description="largest change of brightness, contrast and saturation")
    mosaic = luigi.FloatParameter(default=0.6, description="share of the items that are four images at half size")
    input_scales = ScalesParameter(
        default=(1.0,), description="sizes at which each batch is seen; the loss is their mean"
    )
    learning_rate = luigi.FloatParameter(default=5e-4, description="peak backbone learning rate")
    schedule = RegistryParameter(SCHEDULES, "poly", "learning rate over the steps")
    warmup_epochs = luigi.FloatParameter(default=0.5, description="epochs of linear warm-up from 1e-6")
    freeze_batch_norm = flag(True, "keep the pretrained statistics, scale and shift")
    average_decay = luigi.FloatParameter(
        default=0.99, description="the result is a running mean of the weights with this decay, 0 = the last weights"
    )

    def network_settings(self):
        return {"backbone": self.backbone, "output_stride": self.output_stride, "rates": self.rates}

    def content_identity(self):
        if self.start == "pretrained":
            return super().content_identity()
        classifier = self.upstream(TrainClassifier)
        if classifier.backbone != self.backbone:
            name = type(self).__name__
            raise SettingError(
                f"{name} starts from the classifier, whose backbone is {classifier.backbone}, not {self.backbone}; "
                f"give both the same backbone, or set --{name}-start pretrained"
            )
        return {}

    def new_network(self):
        """The segmentation network with the weights with which training begins."""
        import torch

        from tasks.runtime.networks import build_network

        if self.start == "pretrained":
            return super().new_network()
        network = build_network(self.network, self.inputs["dataset"].num_classes, self.network_settings())
        classifier = self.inputs["classifier"].load(torch.device("cpu")).network
        network.backbone.load_state_dict(classifier.pretrained_network().state_dict())
        return network

    def logits_at_scales(self, network, images, size) -> list:
        """Class logits of a batch at each of the `input_scales`, resized to `size`."""
        import torch.nn.functional as F

        logits = []
        for scale in self.input_scales:
            seen = images
            if scale != 1:
                seen = F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
            logits.append(F.interpolate(network(seen), size=size, mode="bilinear", align_corners=False))
        return logits
