"""The base of the stages that train a network: parameters, training images, call of the loop, the trained model."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi

from data.errors import SettingError
from data.sample import TRAIN
from tasks.runtime.devices import usable_cores, visible_gpus
from tasks.runtime.lock import TRAINING, artifact_lock, lock_name
from tasks.runtime.numeric import NumbersParameter, Range, flag_of, number, require_order, scale_parameter, whole
from tasks.runtime.parameters import RegistryParameter, flag, one_of, only
from tasks.runtime.resizing import SIDES
from tasks.runtime.schedules import SCHEDULES
from tasks.runtime.slurm_settings import SLURM
from tasks.runtime.stage import StageTask
from tasks.runtime.trained_model import TrainedArtifact
from tasks.runtime.weight_files import weights_identity

if TYPE_CHECKING:
    from tasks.runtime.batch_order import BatchOrder

log = logging.getLogger("depthseed")

STRIDE_HELP = "pixels per cell of the maps of the network"
STRIDES = (8, 16, 32)
EPOCHS_HELP = "passes over the training images; a small set gets more (least_steps)"
LEAST_STEPS_HELP = "least number of steps; if the epochs have fewer, each of them shows the images several times"

MAX_CROP = 2048
"""Largest side of a crop in pixels: that of `models.input_size.LARGEST_INPUT`."""


class TrainingStage(StageTask):
    """A stage that trains a network with a ``backbone`` on the train split.

    A subclass defines `network`, `network_settings` and `learn`, which calls `train`. ``requires()`` must name an
    IndexDataset as ``dataset``.
    """

    version = 2
    autocasts = True

    artifact_type = TrainedArtifact
    uses_seed = True

    backbone = luigi.Parameter(default="tf_efficientnet_lite0", description="timm name of the backbone, a CNN")
    weights = luigi.Parameter(
        default="package", description="pretrained weights: hub, package, random, or the path of a file"
    )
    epochs = whole(10, EPOCHS_HELP, at_least=1)
    least_steps = whole(0, LEAST_STEPS_HELP, at_least=0)
    rare_share = number(
        0.5,
        "a class with fewer images than this share of the mean over the classes is shown more often, 0 = no class is",
        at_least=0,
    )
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
    scale_steps = whole(
        0, "random scales: 0 = any between the two, else so many equally spaced ones", at_least=0, at_most=100
    )
    resize_side = one_of(SIDES, "none", "side of the image that is brought to a length before it is scaled")
    resize_to = only(
        NumbersParameter(
            (448.0, 768.0),
            "length of this side in pixels, or minimum and maximum of a random length",
            Range(at_least=16, at_most=MAX_CROP),
            are_whole=True,
        ),
        resize_side=("short", "long"),
    )
    jitter = number(0.2, "maximum change of brightness, contrast and saturation, as a share", at_least=0, at_most=1)
    hue = number(0.0, "maximum change of the hue, as a share of the colour circle", at_least=0, at_most=0.5)
    mosaic = number(0.0, "share of the items that are mosaics of four images at half size", at_least=0, at_most=1)
    optimizer = one_of(("adamw", "sgd"), "adamw", "optimizer; sgd has momentum 0.9")
    learning_rate = number(1e-3, "peak backbone learning rate", above=0)
    head_factor = number(10.0, "learning rate of the head, relative to the backbone", above=0, at_most=1e6)
    weight_decay = number(5e-4, "weight decay of the optimizer", at_least=0)
    schedule = RegistryParameter(SCHEDULES, "one_cycle", "learning rate schedule")
    warmup_epochs = number(0.0, "epochs of linear warm-up from 1e-6", at_least=0)
    clip_norm = number(5.0, "maximum gradient norm, 0 = no limit", at_least=0)
    freeze_batch_norm = flag(False, "keep the pretrained statistics, scale and shift of batch norm")
    frozen_stride = whole(
        4, "layers up to this output stride are not trained, 0 = all are trained", at_least=0, at_most=32
    )
    accumulate = whole(
        1,
        "parts of a batch that are computed one after the other, so that it needs less memory; the statistics of a "
        "batch norm that learns are those of a part",
        at_least=1,
        at_most=1024,
    )
    ranks = whole(
        0,
        "training processes, which share each batch; 0 = one per GPU of the machine, and one on the CPU",
        at_least=0,
        at_most=1024,
        significant=False,
    )
    loader_processes = whole(
        -1,
        "processes of each training process that load images; 0 = the training process itself, -1 = as many as fit "
        "the machine",
        at_least=-1,
        at_most=256,
        significant=False,
    )
    checkpoint_minutes = number(
        10.0, "minutes between two checkpoints in an epoch, 0 = only after each epoch", at_least=0, significant=False
    )

    least_side: Any = 0
    """Smaller images are enlarged first (`tasks.runtime.resizing`); a parameter in the stages that have it."""

    @property
    def enlarge_to(self) -> int:
        """`least_side`, or 0 if `resize_side` gives images a length."""
        return self.least_side if self.resize_side == "none" else 0

    def check(self):
        require_order(self, "scale_min", "scale_max")
        if self.resize_side != "none" and (len(self.resize_to) > 2 or list(self.resize_to) != sorted(self.resize_to)):
            raise SettingError(
                f"{flag_of(type(self), 'resize_to')} has {len(self.resize_to)} lengths; give one, or a minimum and a "
                "maximum"
            )

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

    def parameters(self):
        # A batch in one piece is what it was before there were parts: the identity stays.
        return {name: value for name, value in super().parameters().items() if (name, value) != ("accumulate", 1)}

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

    def training_images(self, maps: Mapping[str, Any], pasting=None, cutouts=None):
        """The train split with the augmentation of the parameters, a `tasks.runtime.training_images.TrainingImages`.

        Parameters
        ----------
        maps : dict of name -> MapSource
            Arrays that are augmented together with the images. A batch has them under these names.
        pasting : tasks.runtime.copy_paste.Pasting, optional
        cutouts : tasks.runtime.cutouts.Cutouts, optional
        """
        from tasks.runtime.augmentation import Augmentation
        from tasks.runtime.layout import training_crop
        from tasks.runtime.networks import normalisation_of
        from tasks.runtime.training_images import TrainingImages

        dataset = self.inputs["dataset"]
        samples = dataset.split(TRAIN)
        crop = (self.crop_size, self.crop_size) if self.crop_size else training_crop(samples, self.enlarge_to)
        augmentation = Augmentation(
            crop, self.scale_min, self.scale_max, flip=True, jitter=self.jitter, hue=self.hue, mosaic=self.mosaic,
            fit=not self.crop_size, scale_steps=self.scale_steps, resize_side=self.resize_side,
            resize_to=self.resize_to if self.resize_side != "none" else (), least_side=self.enlarge_to,
        )  # fmt: skip
        normalisation = normalisation_of(self.backbone)
        return TrainingImages(
            samples, dataset.num_classes, normalisation, augmentation, self.seed, maps, pasting, cutouts
        )

    @property
    def is_computed_here(self):
        return self.cluster != SLURM

    def learn(self) -> int:
        """Train the network. Each rank of a training calls it. Returns the number of images in all epochs."""
        raise NotImplementedError

    def work(self) -> int:
        """Train the network here, in several ranks, or in a SLURM job. Returns the number of images in all epochs."""
        from tasks.runtime.rank_launch import finished_training, taken_result, train_in_ranks

        if finished_training(self):
            log.info("%s: a job of an earlier run has trained it", self.label)
            return taken_result(self)
        if self.cluster == SLURM:
            from tasks.runtime.slurm_training import train_by_slurm

            return train_by_slurm(self)
        count = self.rank_count()
        if count > 1:
            return train_in_ranks(self, count)
        with self.being_trained():
            return taken_result(self) if finished_training(self) else self.learn()

    def being_trained(self):
        """The lock of the process that trains, a context manager; `tasks.runtime.lock.TRAINING` says what it is for."""
        folder = Path(self.artifacts) / self.dataset
        return artifact_lock(folder, self.label, f"{lock_name(self.artifact.path)}{TRAINING}")

    def batch_order(self) -> BatchOrder:
        """Which images the batches of each epoch show."""
        from tasks.runtime.batch_order import BatchOrder, repeat_factors
        from tasks.runtime.layout import training_crop

        samples = self.inputs["dataset"].split(TRAIN)
        factors, least_steps = repeat_factors(samples.tags, self.rare_share), self.least_steps
        if not self.crop_size:
            # A step on enlarged images takes longer: the network sees as many pixels as it would without.
            share = math.prod(training_crop(samples)) / math.prod(training_crop(samples, self.enlarge_to))
            least_steps = math.ceil(least_steps * share)
        return BatchOrder.of(factors, self.batch_size, self.seed, self.epochs, least_steps)

    def rank_count(self) -> int:
        """Number of the training processes of this machine: one image of each part of a batch, at least."""
        from tasks.runtime.ranks import most_ranks

        images, name = self.batch_order().size, f"--{type(self).__name__}"
        most = most_ranks(images, self.accumulate)
        if self.ranks > most:
            parts = f" in {self.accumulate} parts" if self.accumulate > 1 else ""
            less = f", lower {name}-accumulate" if parts else ""
            raise SettingError(
                f"{type(self).__name__}: {self.ranks} ranks share a batch of {images} images{parts}; set {name}-ranks "
                f"to {most} or less{less}, or raise {name}-batch-size"
            )
        return self.ranks or max(1, min(len(visible_gpus(self.device)), most))

    def training_log(self, images):
        """Where the training reports its steps, a `tasks.runtime.training_log.TensorBoardLog`; None without a folder.

        The folder is ``<tensorboard>/<dataset>/<stage>/<identity>``.
        """
        if not self.tensorboard:
            return None
        from tasks.runtime.training_log import TensorBoardLog
        from tasks.runtime.training_pictures import network_pictures

        folder = Path(self.tensorboard) / self.dataset / type(self).__name__ / self.identity
        return TensorBoardLog(folder, lambda network: network_pictures(network, images))

    def train(self, network, images, loss_of, after_epoch=lambda epoch: None) -> int:
        """Train on the result of `training_images` and write the model. Returns the number of images in all epochs.

        `network`, `loss_of` and `after_epoch` are as in `tasks.runtime.training_loop.train`.
        """
        from tasks.runtime.ranks import present_ranks, ranks_here
        from tasks.runtime.training_images import batches_from, fitting_processes
        from tasks.runtime.training_loop import TrainingPlan, choose_device, train

        schedule, device, ranks = SCHEDULES[self.schedule], choose_device(self.device), present_ranks()
        order = self.batch_order()
        plan = TrainingPlan(
            epochs=self.epochs,
            steps_per_epoch=order.steps,
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
            batch_images=order.size,
            accumulate=self.accumulate,
            precision=self.resolved_precision,
            checkpoint_minutes=self.checkpoint_minutes,
            compile=self.compile,
        )
        own = functools.partial(ranks.own, parts=self.accumulate)
        cores = usable_cores() // ranks_here()
        processes = fitting_processes(self.loader_processes, device.type, cores, order.items * self.epochs)
        class_names = self.inputs["dataset"].class_names
        if ranks.is_first:
            self.artifact.describe(
                self.network, self.network_settings(), class_names, self.backbone, images.augmentation.crop
            )
        use = train(
            network,
            plan,
            lambda step: batches_from(images, order, self.epochs, step, own, processes, device.type == "cuda"),
            loss_of,
            self.artifact.path,
            self.label,
            self.report_progress,
            device,
            after_epoch,
            lambda epoch, number: [images.samples[index].image_id for _, index in own(order.batches(epoch)[number])],
            self.training_log(images),
        )
        self.device_use.add(use)
        return order.items * self.epochs
