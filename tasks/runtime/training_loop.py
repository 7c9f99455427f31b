"""The training loop of all networks. An interrupted training goes on at its last checkpoint, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data.errors import SettingError, TrainingError, WorkerError
from data.store.artifact import write_bytes, write_json
from models.backbones import freeze_batch_norm, freeze_early_layers, memory_format
from tasks.runtime.batch_gradient import BatchGradient, LossFunction, in_precision, with_synchronised_batch_norm
from tasks.runtime.batches_ahead import StepTimes, on_device
from tasks.runtime.checkpoint import Position, random_state, resume, save_checkpoint, set_random_state
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.looks import Looks
from tasks.runtime.loss_sums import LossSums, added
from tasks.runtime.memory import keep_freed_memory
from tasks.runtime.networks import compiled
from tasks.runtime.progress import Progress
from tasks.runtime.ranks import Ranks, local_rank, present_ranks
from tasks.runtime.stop_requests import StopRequests
from tasks.runtime.trained_model import HISTORY, MODEL
from tasks.runtime.training_log import TrainingLog

CHECKPOINT = "checkpoint"
"""File of the state after some step; deleted at the end of training."""


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
    batch_images : int
        Images of a batch, on all ranks together. It is needed only if a batch is computed in parts.
    accumulate : int
        Parts of a batch that are computed one after the other.
    precision : {"32", "bf16"}
        Of the network; losses and weights are float32.
    checkpoint_minutes : float
        Time between two checkpoints in an epoch; 0 = only after each epoch.
    compile : bool
        Compile the network by `torch.compile`.
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
    batch_images: int = 0
    accumulate: int = 1
    precision: str = "32"
    checkpoint_minutes: float = 0.0
    compile: bool = False

    def epoch_seed(self, epoch: int) -> int:
        """Seed of the random numbers of an epoch."""
        return self.seed * 100_003 + epoch

    def rate(self, step: int) -> float:
        """Learning rate of the backbone at a step; steps are counted from 0 over all epochs."""
        return self.schedule(step, self.epochs * self.steps_per_epoch, self.learning_rate, self.steps_per_epoch)


def rank_seed(seed: int, rank: int) -> int:
    """Seed of a rank, from that of all. Dropout draws for the images of a rank: no two ranks may draw the same.

    Torch takes the lower 32 bits alone on the CPU.
    """
    return int(np.random.SeedSequence([seed, rank]).generate_state(1)[0]) if rank else seed


def parameter_groups(network: Any, plan: TrainingPlan) -> list[dict]:
    """Parameter groups of the optimizer: backbone and head (all other parameters), with learning rate factors."""
    backbone = list(network.backbone.parameters())
    known = {id(parameter) for parameter in backbone}
    head = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [{"params": backbone, "factor": 1.0}, {"params": head, "factor": plan.head_factor}]


def optimizer_of(network: Any, plan: TrainingPlan, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of a plan; on a GPU, one kernel updates many weights."""
    groups, fused = parameter_groups(network, plan), device.type == "cuda" or None
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=fused)
    return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=0.9, weight_decay=plan.weight_decay, fused=fused)


def train(
    network: Any,
    plan: TrainingPlan,
    batches: Callable[[int], Iterable[dict[str, Tensor]]],
    loss_of: LossFunction,
    folder: Path,
    name: str,
    report: Callable[[int, int, str], None],
    device: torch.device,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    image_ids: Callable[[int, int], Sequence[str]] = lambda epoch, number: (),
    log: TrainingLog | None = None,
) -> DeviceUse:
    """Train and write ``model.safetensors`` and ``history.json`` into `folder`.

    A checkpoint is written after every epoch, every ``checkpoint_minutes``, and after the signals of
    `tasks.runtime.stop_requests`. A later call continues from it. The changes of an epoch depend only on (seed, epoch)
    and on the state before it.

    If torch's process group is there, all its ranks call this function, each with its part of the batches. The first
    rank alone writes files.

    Parameters
    ----------
    network : nn.Module
        It has an attribute ``backbone``. Its function ``pretrained_network()`` returns the timm network in it.
    plan : TrainingPlan
    batches : callable
        Number of steps done in all epochs -> the batches that follow, until the end of the training: dicts of tensors
        with ``image``, (B, 3, H, W).
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
    log : TrainingLog, optional
        Gets the losses, the learning rates and the network. The first rank alone calls it; with several ranks, only
        after each epoch.

    Returns
    -------
    DeviceUse
        Times and memory of the device of this process.

    Raises
    ------
    TrainingError
        If the loss or a weight is not finite. A GPU is asked at least every `tasks.runtime.looks.LOOK_STEPS` steps, and
        before anything is written.
    StoreError
        If a file cannot be written.
    WorkerError
        If the ranks have read different checkpoints.
    """
    keep_freed_memory()
    with StopRequests() as asked:
        training = _Training(network, plan, loss_of, folder, name, device, image_ids, asked, log)
        with Progress(name, plan.epochs * plan.steps_per_epoch, "step", initial=training.steps_done) as progress:
            stream = on_device(batches(training.steps_done), device, training.layout)
            for epoch in range(len(training.position.history), plan.epochs):
                training.run_epoch(epoch, stream, progress)
                if training.ranks.is_first:
                    after_epoch(epoch)
                training.save()
                if training.ranks.is_first:
                    report(epoch + 1, plan.epochs, "epoch")
                training.end_if_asked()
    if training.ranks.is_first:
        training.write_result()
    return training.times.read()


class _Training:
    """The state of a training that runs, and its steps."""

    def __init__(self, network, plan, loss_of, folder, name, device, image_ids, asked, log):
        self.plan, self.loss_of, self.folder, self.name = plan, loss_of, folder, name
        self.device, self.image_ids, self.asked = device, image_ids, asked
        self.ranks = present_ranks()
        self.layout = memory_format(network, device)
        network = network.to(device, memory_format=self.layout)
        self.network = with_synchronised_batch_norm(network, self.ranks, device)
        self.optimizer = optimizer_of(self.network, plan, device)
        self.averaged = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(plan.average_decay))
        in_precision(self.network, device, plan.precision)
        compiled(self.network, plan.compile)
        self.modules = {"network": self.network, "averaged": self.averaged}
        self.position = resume(folder / CHECKPOINT, self.modules, self.optimizer) or Position()
        if len(set(self.ranks.gather(self.steps_done))) > 1:
            raise WorkerError(
                f"{name}: the ranks have read different versions of {folder / CHECKPOINT}; check that all machines see "
                "the same folder of artifacts, then run the same command again"
            )
        self.gradient: BatchGradient | None = None
        self.sums = LossSums(device)
        self.times = StepTimes(device)
        self.looks = Looks(self.ranks, asked, plan.checkpoint_minutes, device)
        self.log = log if log and self.ranks.is_first else TrainingLog()
        self.log.begin(self.steps_done)

    @property
    def steps_done(self) -> int:
        """Steps done in all epochs."""
        return len(self.position.history) * self.plan.steps_per_epoch + self.position.step

    def run_epoch(self, epoch: int, stream: Iterable[dict[str, Tensor]], progress: Progress) -> None:
        """Run the steps of an epoch that are not done. Adds its losses to the history."""
        plan, position = self.plan, self.position
        self._begin_epoch(epoch)
        if self.gradient is None:  # now it is known which layers are trained
            self.gradient = BatchGradient(
                self.network, self.loss_of, self.device, self.ranks, plan.batch_images, plan.accumulate
            )
        self.gradient.seed(plan.epoch_seed(epoch))
        self.sums = LossSums(self.device, _own_sums(position.sums, self.ranks))
        if position.random:
            is_same = len(position.random) == self.ranks.count
            states = position.random[self.ranks.rank if is_same else 0]
            set_random_state(states, self.device, self.gradient.draws, is_same)
        self.times.pause()
        # The range comes first: it ends without taking a batch of the next epoch.
        for number, batch in zip(range(position.step, plan.steps_per_epoch), stream, strict=False):
            self.times.begin()
            step = epoch * plan.steps_per_epoch + number
            for group in self.optimizer.param_groups:
                group["lr"] = plan.rate(step) * group["factor"]
            self.optimizer.zero_grad(set_to_none=True)
            self.sums.add(self.gradient(batch, step / plan.steps_per_epoch), step)
            if plan.clip_norm:
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), plan.clip_norm)
            self.optimizer.step()
            self.averaged.update_parameters(self.network)
            self.times.end()
            position.step = number + 1
            is_look = self.looks.is_due(step)
            note = self._note(epoch) if is_look else ""
            if is_look and self.ranks.count == 1:
                self.log.step(step + 1, self.sums.last_loss(), plan.rate(step))
            progress.update(note=note)
            if is_look and position.step < plan.steps_per_epoch:
                self.looks.agree(step)
                if self.looks.wants_checkpoint:
                    self.save()
                    self.end_if_asked()
        self._end_epoch(epoch)

    def _begin_epoch(self, epoch: int) -> None:
        torch.manual_seed(rank_seed(self.plan.epoch_seed(epoch), self.ranks.rank))
        # The first number was once drawn by torch's data loader. Without it, earlier results would not come again.
        torch.empty((), dtype=torch.int64).random_()
        self.network.train()
        if self.plan.freeze_batch_norm:
            freeze_batch_norm(self.network)
        freeze_early_layers(self.network.pretrained_network(), self.plan.frozen_stride)

    def _note(self, epoch: int) -> str:
        """What the progress shows; TrainingError if a loss was not finite."""
        self.require_finite_losses()
        self.times.read()
        return f"epoch {epoch + 1}, loss {self.sums.last_loss():.3f}"

    def require_finite_losses(self) -> None:
        """Raise TrainingError if a loss of this epoch was not finite."""
        if wrong := self.sums.first_wrong():
            step, loss = wrong
            ids = ", ".join(self.image_ids(*divmod(step, self.plan.steps_per_epoch))) or "unknown"
            raise TrainingError(_advice(self.name, f"the loss is {loss} at step {step + 1}, images {ids}"))

    def _end_epoch(self, epoch: int) -> None:
        self.require_finite_losses()
        sums = added(self.ranks.gather(self.sums.sums()))
        history = [*self.position.history, {key: value / self.plan.steps_per_epoch for key, value in sums.items()}]
        self.network.eval()
        if not torch.stack([value.isfinite().all() for value in self.averaged.module.state_dict().values()]).all():
            raise TrainingError(_advice(self.name, f"a weight is not finite after epoch {epoch + 1}"))
        self.position = Position(history)
        self.log.epoch(self.steps_done, history[-1], self.plan.rate(self.steps_done - 1), self.network)

    def save(self) -> None:
        """Write the checkpoint. In an epoch, each rank adds its sums and the state of its random numbers."""
        self.require_finite_losses()
        if self.position.step and self.gradient:
            states = self.ranks.gather((self.sums.sums(), random_state(self.device, self.gradient.draws)))
            self.position.sums, self.position.random = [list(part) for part in zip(*states, strict=True)]
        self.log.flush()
        if self.ranks.is_first:
            save_checkpoint(self.folder / CHECKPOINT, self.modules, self.optimizer, self.position)
        self.looks.saved()
        self.times.pause()

    def end_if_asked(self) -> None:
        """End the process if SIGTERM came to any rank; the checkpoint is written."""
        if self.position.step == 0:
            self.looks.agree(self.steps_done - 1)
        if self.looks.wants_end:
            self.asked.end()

    def write_result(self) -> None:
        """Write the model and its history, and delete the checkpoint."""
        state = {key: value.detach().cpu().contiguous() for key, value in self.averaged.module.state_dict().items()}
        write_bytes(self.folder / MODEL, save(state))
        write_json(self.folder / HISTORY, self.position.history)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
        self.log.close()


def _own_sums(sums: list[dict[str, float]], ranks: Ranks) -> dict[str, float] | None:
    """The sums with which a rank goes on; if their number was another one, the first rank takes all of them."""
    if not sums:
        return None
    if len(sums) == ranks.count:
        return sums[ranks.rank]
    return added(sums) if ranks.is_first else dict.fromkeys(sums[0], 0.0)


def _advice(stage: str, problem: str) -> str:
    return (
        f"{stage}: {problem}; lower --{stage}-learning-rate, limit the gradient by --{stage}-clip-norm, or look at "
        "these images and their maps: python -m pipeline show"
    )


def choose_device(name: str) -> torch.device:
    """The torch device of a name; ``auto`` is CUDA if it is available, else the CPU. Each rank has a GPU of its own.

    This also switches on deterministic algorithms, with a warning for operations that have none, and TF32 off.

    Raises
    ------
    SettingError
        If there is no such device here.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # else all is written twice
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False  # torch allows it in convolutions, and --precision 32 means 32 bits
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and present_ranks().count > 1:
        name = f"cuda:{local_rank()}"
        torch.cuda.set_device(name)
    try:
        # The tensor's own device has a number, which threads and streams of a GPU need; that of the name may have none.
        probe = torch.zeros(1, device=name)
        probe.item()
        return probe.device
    except Exception as error:  # each backend of torch has errors of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SettingError(f"--device {name}: cannot be used here ({reason}); use auto or cpu") from error
