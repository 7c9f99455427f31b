"""Stage 3: an image classifier that learns from the tags. Its maps become CAMs."""

from __future__ import annotations

from typing import Any

from models.cam import HEADS
from models.cam_normalisation import NORMALISATIONS
from models.losses import MAP_LOSSES
from tasks.index_dataset import IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.backbone_names import is_cnn
from tasks.runtime.cutout_parameters import PastesCutouts
from tasks.runtime.loss_parameters import active_losses, loss_settings, with_map_losses
from tasks.runtime.numeric import NumbersParameter, Range, number, require_order, whole
from tasks.runtime.parameters import one_of, only
from tasks.runtime.stage import Stages
from tasks.runtime.training_stage import EPOCHS_HELP, LEAST_STEPS_HELP, STRIDE_HELP, STRIDES, TrainingStage


def uses_cnn(stage) -> bool:
    """A condition of `only`: the head uses a CNN, whose output stride can be set."""
    return stage.head != "vit" or is_cnn(stage.backbone)


def has_loss_on_cams(stage) -> bool:
    """A condition of `only`: a loss on normalised CAMs is used."""
    return any(not MAP_LOSSES[name].replaces_classification for name in active_losses(stage))


@with_map_losses
class TrainClassifier(PastesCutouts, TrainingStage):
    """Multi-label classifier: binary cross entropy on tags, plus the losses of `MAP_LOSSES` whose weight is not 0.

    Losses on CAMs begin after `ramp_start` epochs. Their weight rises linearly until `ramp_end`.
    """

    version = 7
    network = "classifier"

    output_stride = only(whole(16, STRIDE_HELP, among=STRIDES), when=uses_cnn)
    head = one_of(HEADS, "gap", "CAM head; vit takes a ViT as backbone, or a CNN, to which it adds a small ViT")
    block_rates = only(
        NumbersParameter(
            (3.0, 6.0, 9.0), "dilations of the dilated blocks, in cells", Range(at_least=1, at_most=100), are_whole=True
        ),
        head="dilated",
    )
    block_width = only(
        whole(256, "outputs of the 3x3 convolutions of a block; published: 1024", at_least=1, at_most=4096),
        head="dilated",
    )
    epochs = whole(4, EPOCHS_HELP, at_least=1)
    least_steps = whole(240, LEAST_STEPS_HELP, at_least=0)
    cam_normalisation = only(
        one_of(NORMALISATIONS, "max", "normalisation of the CAMs in the losses on CAMs"), when=has_loss_on_cams
    )
    ramp_start = only(number(1.0, "epochs before the losses on CAMs begin", at_least=0), when=has_loss_on_cams)
    ramp_end = only(
        number(2.0, "epochs after which the losses on CAMs have their full weight", at_least=0),
        when=has_loss_on_cams,
    )

    def check(self):
        super().check()
        require_order(self, "ramp_start", "ramp_end")

    def requires(self):
        stages: Stages = {"dataset": self.upstream(IndexDataset)}
        if self.cutouts or any(MAP_LOSSES[name].needs_depth for name in active_losses(self)):
            stages["depth"] = self.upstream(LoadDepth)
        return stages

    def content_identity(self):
        changed = {}
        if self.head == "seam":  # its second image once lost the last pixels where its size is no whole number
            changed["seam"] = "2"
        # Sobel once saw edges at the rim of holes; the grid of odd strides was that of the even ones below them.
        deal: Any = loss_settings(self, "deal") if "deal" in active_losses(self) else {"edges": "", "stride": 0}
        if deal["stride"] in (2, 3) if deal["edges"] == "sobel" else deal["stride"] % 2:
            changed["cells of depth edges"] = "2"
        return {**changed, **super().content_identity()}

    def network_settings(self):
        stride = {"output_stride": self.output_stride} if uses_cnn(self) else {}
        blocks = {"block_rates": self.block_rates, "block_width": self.block_width} if self.head == "dilated" else {}
        return {"head": self.head, "backbone": self.backbone, **stride, **blocks}

    def learn(self) -> int:
        import torch

        from tasks.runtime.networks import normalisation_of

        torch.manual_seed(self.seed)
        network = self.new_network()
        weights = active_losses(self)
        losses_on_maps = {name: self._map_loss(name) for name in weights}
        colours = normalisation_of(self.backbone)

        def loss_of(batch, epoch):
            output = network(batch["image"])
            losses = network.classification_losses(batch["image"], batch["tags"], output)
            total = sum(losses.values())
            for name, loss in losses_on_maps.items():
                entry = MAP_LOSSES[name]
                losses[name] = loss(*(_loss_input(key, batch, output, colours) for key in entry.inputs))
                if entry.replaces_classification:
                    total = total + weights[name] * (losses[name] - losses["classification"])
                else:
                    total = total + weights[name] * self._ramp(epoch) * losses[name]
            return {**losses, "loss": total}

        images = self.training_images(self.depth_maps(), cutouts=self.pasted_cutouts())
        return self.train(network, images, loss_of)

    def _map_loss(self, name: str):
        settings = loss_settings(self, name)
        if not MAP_LOSSES[name].replaces_classification:
            settings["normalisation"] = self.cam_normalisation
        return MAP_LOSSES[name].build(**settings)

    def _ramp(self, epoch: float) -> float:
        """Factor of the weights of the losses on CAMs, in [0, 1], after a number of epochs."""
        return min(max((epoch - self.ramp_start) / max(self.ramp_end - self.ramp_start, 1e-9), 0.0), 1.0)


def _loss_input(name: str, batch, output, colours):
    """The tensor of an input name of `models.losses.map_loss.MapLoss`."""
    if name in ("maps", "cams"):
        return getattr(output, name)
    if name == "image":
        return colours.undo(batch["image"])
    if name == "depth":
        return batch["depth"][:, None].nan_to_num(0.0)
    if name == "valid":
        return batch["valid"][:, None]
    return batch[name]
