"""The training loop of all networks. An interrupted training continues after the last epoch, with the same result."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data.store.artifact import write_bytes, write_json
from models.backbones import freeze_batch_norm, freeze_early_layers
from tasks.runtime.memory import keep_freed_memory
from tasks.runtime.progress import Progress
from tasks.runtime.trained_model import HISTORY, MODEL

log = logging.getLogger("depthseed")

CHECKPOINT = "checkpoint.pt"
"""File of the state after the last complete epoch; deleted at the end of training."""


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained.

    Attributes
    ----------
    epochs, steps_per_epoch : int
    optimizer : {"adamw", "sgd"}
        sgd has momentum 0.9.
    learning_rate : float
        Peak learning rate of the backbone.
    head_factor : float
        Learning rate of the head, relative to that of the backbone.
    weight_decay : float
    schedule : callable
        (step, total steps, peak learning rate, steps per epoch) -> learning rate (`tasks.runtime.schedules`).
    clip_norm : float
        Maximum norm of the gradient; 0 = no limit.
    freeze_batch_norm : bool
        Keep the pretrained statistics, scale and shift of batch norm.
    frozen_stride : int
        Layers of the backbone up to this output stride are not trained; 0 = all are trained.
    average_decay : float
        d of the running mean of the weights, w' <- d w' + (1 - d) w after each step, which is the result; 0 = the
        last weights.
    seed : int
        The seed of an epoch depends on it and on the index of the epoch.
    """

    epochs: int
    steps_per_epoch: int
    optimizer: str
    learning_rate: float
    head_factor: float
    weight_decay: float
    schedule: Callable[[int, int, float, int], float]
    clip_norm: float
    freeze_batch_norm: bool
    frozen_stride: int
    average_decay: float
    seed: int

    def rate(self, step: int) -> float:
        """Learning rate of the backbone at a step; steps are counted from 0 over all epochs."""
        return self.schedule(step, self.epochs * self.steps_per_epoch, self.learning_rate, self.steps_per_epoch)


def parameter_groups(network: Any, plan: TrainingPlan) -> list[dict]:
    """Parameter groups of the optimizer: backbone and head (all other parameters), with learning rate factors."""
    backbone = list(network.backbone.parameters())
    known = {id(parameter) for parameter in backbone}
    head = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [{"params": backbone, "factor": 1.0}, {"params": head, "factor": plan.head_factor}]


def train(
    network: Any,
    plan: TrainingPlan,
    batches: Callable[[int], Iterable[dict[str, Tensor]]],
    loss_of: Callable[[dict[str, Tensor], float], dict[str, Tensor]],
    folder: Path,
    name: str,
    report: Callable[[int, int, str], None],
    device: torch.device,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train and write ``model.safetensors`` and ``history.json`` into `folder`.

    A checkpoint is written after every epoch. A later call continues from it. The changes of an epoch depend only on
    (seed, epoch) and on the state before it.

    Parameters
    ----------
    network : nn.Module
        It has an attribute ``backbone``. Its function ``pretrained_network()`` returns the timm network in it.
    plan : TrainingPlan
    batches : callable
        Index of the epoch -> batches, dicts of tensors with ``image``, (B, 3, H, W).
    loss_of : callable
        (batch on the device, number of epochs done as a float) -> dict of named scalars. ``loss`` is minimised. The
        history has the mean of each scalar over the epoch.
    folder : Path
    name : str
        Title of the progress bar.
    report : callable
        Called with (done, total, unit) after every epoch.
    device : torch.device
    after_epoch : callable
        Called with the index of the epoch that has ended, from 0, before its checkpoint is written. The network is in
        evaluation mode then.
    """
    keep_freed_memory()
    network.to(device, memory_format=torch.channels_last)
    groups = parameter_groups(network, plan)
    if plan.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            groups, lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
    else:
        optimizer = torch.optim.SGD(groups, lr=plan.learning_rate, momentum=0.9, weight_decay=plan.weight_decay)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(plan.average_decay))
    history = _resume(folder / CHECKPOINT, network, averaged, optimizer, device)
    total = plan.epochs * plan.steps_per_epoch
    with Progress(name, total, "step", initial=len(history) * plan.steps_per_epoch) as progress:
        for epoch in range(len(history), plan.epochs):
            torch.manual_seed(plan.seed * 100_003 + epoch)
            network.train()
            if plan.freeze_batch_norm:
                freeze_batch_norm(network)
            freeze_early_layers(network.pretrained_network(), plan.frozen_stride)
            sums: dict[str, float] = {}
            for number, batch in enumerate(batches(epoch)):
                step = epoch * plan.steps_per_epoch + number
                for group in optimizer.param_groups:
                    group["lr"] = plan.rate(step) * group["factor"]
                batch = {key: value.to(device) for key, value in batch.items()}
                batch["image"] = batch["image"].contiguous(memory_format=torch.channels_last)
                losses = loss_of(batch, step / plan.steps_per_epoch)
                optimizer.zero_grad(set_to_none=True)
                losses["loss"].backward()
                if plan.clip_norm:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm)
                optimizer.step()
                averaged.update_parameters(network)
                for key, value in losses.items():
                    sums[key] = sums.get(key, 0.0) + float(value.detach())
                progress.update(note=f"epoch {epoch + 1}, loss {float(losses['loss'].detach()):.3f}")
            history.append({key: value / plan.steps_per_epoch for key, value in sums.items()})
            network.eval()
            after_epoch(epoch)
            _save_checkpoint(folder / CHECKPOINT, network, averaged, optimizer, history)
            report(epoch + 1, plan.epochs, "epoch")
    state = {key: value.detach().cpu().contiguous() for key, value in averaged.module.state_dict().items()}
    write_bytes(folder / MODEL, save(state))
    write_json(folder / HISTORY, history)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _save_checkpoint(path: Path, network: nn.Module, averaged: nn.Module, optimizer, history: Sequence[dict]) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    state = {
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": json.dumps(list(history)),
    }
    torch.save(state, temporary)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _resume(path: Path, network: nn.Module, averaged: nn.Module, optimizer, device: torch.device) -> list[dict]:
    """Load the last checkpoint, if there is one. Returns the history up to it."""
    if not path.exists():
        return []
    try:
        saved = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # the zip reader and the unpickler have many errors
        log.warning("%s: checkpoint is damaged (%s); training starts again", path, type(error).__name__)
        return []
    network.load_state_dict(saved["network"])
    averaged.load_state_dict(saved["averaged"])
    optimizer.load_state_dict(saved["optimizer"])
    return json.loads(saved["history"])


def choose_device(name: str) -> torch.device:
    """The torch device of a name; ``auto`` is CUDA if it is available, else the CPU.

    This also switches on deterministic algorithms, with a warning for operations that have none.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
