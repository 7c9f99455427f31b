"""The training loop of all networks. An interrupted training continues after the last epoch, with the same result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data.errors import SettingError, TrainingError
from data.store.artifact import write_bytes, write_json
from models.backbones import freeze_batch_norm, freeze_early_layers
from tasks.runtime.checkpoint import resume, save_checkpoint
from tasks.runtime.memory import keep_freed_memory
from tasks.runtime.progress import Progress
from tasks.runtime.trained_model import HISTORY, MODEL

CHECKPOINT = "checkpoint"
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
    image_ids: Callable[[int, int], Sequence[str]] = lambda epoch, number: (),
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
    image_ids : callable
        (index of the epoch, number of the batch in it) -> ids of its images, for an error line.

    Raises
    ------
    TrainingError
        If the loss or a weight is not finite.
    StoreError
        If a file cannot be written.
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
    modules = {"network": network, "averaged": averaged}
    history = resume(folder / CHECKPOINT, modules, optimizer)
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
                loss = float(losses["loss"].detach())
                if not math.isfinite(loss):
                    ids = ", ".join(image_ids(epoch, number)) or "unknown"
                    raise TrainingError(_advice(name, f"the loss is {loss} at step {step + 1}, images {ids}"))
                optimizer.zero_grad(set_to_none=True)
                losses["loss"].backward()
                if plan.clip_norm:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm)
                optimizer.step()
                averaged.update_parameters(network)
                for key, value in losses.items():
                    sums[key] = sums.get(key, 0.0) + float(value.detach())
                progress.update(note=f"epoch {epoch + 1}, loss {loss:.3f}")
            history.append({key: value / plan.steps_per_epoch for key, value in sums.items()})
            network.eval()
            if not all(value.isfinite().all() for value in averaged.state_dict().values()):
                raise TrainingError(_advice(name, f"a weight is not finite after epoch {epoch + 1}"))
            after_epoch(epoch)
            save_checkpoint(folder / CHECKPOINT, modules, optimizer, history)
            report(epoch + 1, plan.epochs, "epoch")
    state = {key: value.detach().cpu().contiguous() for key, value in averaged.module.state_dict().items()}
    write_bytes(folder / MODEL, save(state))
    write_json(folder / HISTORY, history)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _advice(stage: str, problem: str) -> str:
    return (
        f"{stage}: {problem}; lower --{stage}-learning-rate, limit the gradient by --{stage}-clip-norm, or look at "
        "these images and their maps: python -m pipeline show"
    )


def choose_device(name: str) -> torch.device:
    """The torch device of a name; ``auto`` is CUDA if it is available, else the CPU.

    This also switches on deterministic algorithms, with a warning for operations that have none.

    Raises
    ------
    SettingError
        If there is no such device here.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except Exception as error:  # each backend of torch has errors of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SettingError(f"--device {name}: cannot be used here ({reason}); use auto or cpu") from error
    return torch.device(name)
