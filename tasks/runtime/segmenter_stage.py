"""What the stages share that train a segmentation network: its architecture, its start, its augmentation."""

from __future__ import annotations

import luigi

from tasks.runtime.stage import ScalesParameter
from tasks.runtime.training_stage import TrainingTask
from tasks.train_classifier import TrainClassifier


class SegmenterTask(TrainingTask):
    """A stage that trains a network that labels every pixel; methods differ in targets and losses alone."""

    start = luigi.ChoiceParameter(
        default="classifier", choices=("pretrained", "classifier"), description="weights with which the backbone begins"
    )
    rates = ScalesParameter(default=(1.0, 2.0, 4.0, 6.0), description="dilations of the ASPP branches, in cells")
    epochs = luigi.IntParameter(default=5)
    scale_min = luigi.FloatParameter(default=0.8, description="least random resize")
    scale_max = luigi.FloatParameter(default=2.0, description="greatest random resize")
    jitter = luigi.FloatParameter(default=0.3, description="colour jitter")
    mosaic = luigi.FloatParameter(default=0.6, description="share of the items that are four images at half size")
    input_scales = ScalesParameter(
        default=(1.0,), description="sizes at which each batch is seen; the loss is their mean"
    )
    optimizer = luigi.ChoiceParameter(default="adamw", choices=("adamw", "sgd"))
    learning_rate = luigi.FloatParameter(default=5e-4, description="of the backbone, at its peak")
    schedule = luigi.ChoiceParameter(default="poly", choices=("one_cycle", "poly"))
    warmup_epochs = luigi.FloatParameter(default=0.5, description="epochs of linear warm-up from 1e-6 (poly)")
    freeze_batch_norm = luigi.BoolParameter(default=True, parsing=luigi.BoolParameter.EXPLICIT_PARSING)
    average_decay = luigi.FloatParameter(
        default=0.99, description="the result is a running mean of the weights with this decay, 0 = the last weights"
    )

    def network(self):
        from tasks.runtime.networks import build_segmenter

        return build_segmenter(self, self.index.num_classes, pretrained=False)

    def network_at_start(self):
        """The segmentation network with the weights with which training begins."""
        from tasks.runtime.networks import build_segmenter, start_from_classifier

        network = build_segmenter(self, self.index.num_classes, pretrained=self.start == "pretrained")
        if self.start == "classifier":
            start_from_classifier(network, self.upstream(TrainClassifier))
        return network

    def logits_at_scales(self, network, images, size) -> list:
        """Class logits of a batch seen at each of the `input_scales`, resized to `size`."""
        import torch.nn.functional as F

        logits = []
        for scale in self.input_scales:
            seen = images
            if scale != 1:
                seen = F.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
            logits.append(F.interpolate(network(seen), size=size, mode="bilinear", align_corners=False))
        return logits
