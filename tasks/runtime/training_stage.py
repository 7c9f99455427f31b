"""The base of the stages that train a network: parameters, training images, call of the loop, the trained model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import luigi

from data.sample import TRAIN
from tasks.runtime.numeric import number, require_order, scale_parameter, whole
from tasks.runtime.parameters import RegistryParameter, flag, one_of
from tasks.runtime.schedules import SCHEDULES
from tasks.runtime.stage import StageTask
from tasks.runtime.trained_model import TrainedArtifact
from tasks.runtime.weight_files import weights_identity

STRIDE_HELP = "pixels per cell of the maps of the network"
STRIDES = (8, 16, 32)

MAX_CROP = 2048
"""Largest side of a crop in pixels: that of `models.input_size.LARGEST_INPUT`."""


class TrainingStage(StageTask):
    """A stage that trains a network with a ``backbone`` on the train split.

    A subclass defines `network`, `network_settings` and ``work()``, which calls `train`. ``requires()`` must name an
    IndexDataset as ``dataset``.
    """

    artifact_type = TrainedArtifact
    uses_seed = True
    resources = {"gpu": 1}

    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of the backbone, a CNN")
    weights = luigi.Parameter(
        default="package", description="pretrained weights: hub, package, random, or the path of a file"
    )
    epochs = whole(10, "passes over the training images", at_least=1)
    batch_size = whole(8, "images per step", at_least=1)
    crop_size = whole(
        0,
        "side of the square crop in pixels, 0 = size of the usual images, at most 1 megapixel; larger images are "
        "scaled down to fit",
        at_least=0,
        at_most=MAX_CROP,
    )
    scale_min = scale_parameter(1.0, "minimum random scale")
    scale_max = scale_parameter(1.0, "maximum random scale")
    jitter = number(0.2, "maximum change of brightness, contrast and saturation, as a share", at_least=0, at_most=1)
    hue = number(0.0, "maximum change of the hue, as a share of the colour circle", at_least=0, at_most=0.5)
    mosaic = number(0.0, "share of the items that are mosaics of four images at half size", at_least=0, at_most=1)
    optimizer = one_of(("adamw", "sgd"), "adamw", "optimizer; sgd has momentum 0.9")
    learning_rate = number(1e-3, "peak backbone learning rate", above=0)
    head_factor = number(10.0, "learning rate of the head, relative to the backbone", above=0)
    weight_decay = number(5e-4, "weight decay of the optimizer", at_least=0)
    schedule = RegistryParameter(SCHEDULES, "one_cycle", "learning rate schedule")
    warmup_epochs = number(0.0, "epochs of linear warm-up from 1e-6", at_least=0)
    clip_norm = number(5.0, "maximum gradient norm, 0 = no limit", at_least=0)
    freeze_batch_norm = flag(False, "keep the pretrained statistics, scale and shift of batch norm")
    frozen_stride = whole(
        4, "layers up to this output stride are not trained, 0 = all are trained", at_least=0, at_most=32
    )
    loader_processes = whole(
        0, "processes that load training images, 0 = the training process", at_least=0, at_most=256, significant=False
    )

    def check(self):
        require_order(self, "scale_min", "scale_max")

    average_decay: Any = 0.0
    """Decay of the running mean of the weights, which is the result; 0 = the last weights."""

    network: str
    """Name of the network (`tasks.runtime.networks.build_network`)."""

    @property
    def learns_superpixels(self) -> bool:
        """True if the network upsamples by learned superpixels and has ``superpixels(images)``."""
        return False

    def network_settings(self) -> dict[str, Any]:
        """Keywords of the builder of the network."""
        raise NotImplementedError

    def is_current(self, known):
        """As of the base; DatasetError if nothing can be learnt from the data set, before anything is computed."""
        self.required["dataset"].require_training()
        return super().is_current(known)

    def content_identity(self):
        return {"weights": weights_identity(self.weights, self.backbone)}

    def open(self):
        """Itself: a stage that requires a trained network calls `load`."""
        return self

    def load(self, device):
        """The trained network, a `tasks.runtime.trained_model.TrainedModel`; raises as `TrainedArtifact.load`."""
        return self.artifact.load(device)

    def new_network(self):
        """The network with its initial weights. Raises WeightsError if they are not available."""
        from tasks.runtime.networks import build_network, pretrained

        network = build_network(self.network, self.inputs["dataset"].num_classes, self.network_settings())
        return pretrained(network, self.backbone, self.weights)

    def training_images(self, maps: Mapping[str, Any], pasting=None):
        """The train split with the augmentation of the parameters, a `tasks.runtime.training_images.TrainingImages`.

        Parameters
        ----------
        maps : dict of name -> MapSource
            Arrays that are augmented together with the images. A batch has them under these names.
        pasting : tasks.runtime.copy_paste.Pasting, optional
        """
        from tasks.runtime.augmentation import Augmentation
        from tasks.runtime.layout import training_crop
        from tasks.runtime.networks import normalisation_of
        from tasks.runtime.training_images import TrainingImages

        dataset = self.inputs["dataset"]
        samples = dataset.split(TRAIN)
        crop = (self.crop_size, self.crop_size) if self.crop_size else training_crop(samples)
        augmentation = Augmentation(
            crop, self.scale_min, self.scale_max, flip=True, jitter=self.jitter, hue=self.hue, mosaic=self.mosaic,
            fit=not self.crop_size,
        )  # fmt: skip
        normalisation = normalisation_of(self.backbone)
        return TrainingImages(samples, dataset.num_classes, normalisation, augmentation, self.seed, maps, pasting)

    def train(self, network, images, loss_of, after_epoch=lambda epoch: None) -> int:
        """Train on the result of `training_images` and write the model. Returns the number of images in all epochs.

        `network`, `loss_of` and `after_epoch` are as in `tasks.runtime.training_loop.train`.
        """
        from tasks.runtime.training_images import batch_order, epoch_batches, steps_per_epoch
        from tasks.runtime.training_loop import TrainingPlan, choose_device, train

        schedule = SCHEDULES[self.schedule]
        plan = TrainingPlan(
            epochs=self.epochs,
            steps_per_epoch=steps_per_epoch(len(images), self.batch_size),
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            head_factor=self.head_factor,
            weight_decay=self.weight_decay,
            schedule=functools.partial(schedule.function, **schedule.settings(self)),
            clip_norm=self.clip_norm,
            freeze_batch_norm=self.freeze_batch_norm,
            frozen_stride=self.frozen_stride,
            average_decay=self.average_decay,
            seed=self.seed,
        )
        class_names = self.inputs["dataset"].class_names
        self.artifact.describe(
            self.network, self.network_settings(), class_names, self.backbone, images.augmentation.crop
        )
        train(
            network,
            plan,
            lambda epoch: epoch_batches(images, epoch, self.batch_size, self.loader_processes),
            loss_of,
            self.artifact.path,
            self.label,
            self.report_progress,
            choose_device(self.device),
            after_epoch,
            lambda epoch, number: [
                images.samples[index].image_id for index in batch_order(images, epoch, self.batch_size)[number]
            ],
        )
        return len(images) * self.epochs
