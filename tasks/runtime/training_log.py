"""What a training reports of its steps: losses, learning rate and pictures, for TensorBoard.

The event files are no part of an artifact: they hold times and the name of the machine. A training that goes on after
an interruption writes into the same folder. TensorBoard then drops the steps that the interrupted one had written after
its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from data.errors import SettingError

Pictures = Callable[[Any], Mapping[str, np.ndarray]]
"""Network in evaluation mode -> name of a picture -> (H, W, 3) uint8."""


class TrainingLog:
    """Reports nothing: the base of the others. Steps are counted from 1 over all epochs."""

    def begin(self, steps_done: int) -> None:
        """The training begins, or goes on, after some steps."""

    def step(self, steps_done: int, loss: float, rate: float) -> None:
        """The loss of the last step, and its learning rate of the backbone."""

    def epoch(self, steps_done: int, losses: Mapping[str, float], rate: float, network: Any) -> None:
        """An epoch has ended: the means of its losses, the learning rate, and the network in evaluation mode."""

    def flush(self) -> None:
        """Write what is reported so far. It comes before each checkpoint, so that no step is missing afterwards."""

    def close(self) -> None:
        """The training has ended."""


class TensorBoardLog(TrainingLog):
    """Writes the event files of TensorBoard.

    Parameters
    ----------
    folder : Path
        Of this training alone.
    pictures : callable
        What is drawn after each epoch.

    Raises
    ------
    SettingError
        If tensorboard is not installed.
    """

    def __init__(self, folder: Path, pictures: Pictures):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise SettingError(
                f"--tensorboard needs the extra 'tensorboard' ({error}); run: pip install 'depthseed[tensorboard]'"
            ) from error
        self.folder, self.pictures = folder, pictures
        self._open, self.writer = SummaryWriter, cast(Any, None)

    def begin(self, steps_done: int) -> None:
        _wait_for_a_later_name(self.folder)
        try:
            self.writer = self._open(str(self.folder), purge_step=steps_done + 1)
        except OSError as error:
            raise SettingError(
                f"--tensorboard: {self.folder} cannot be written ({error.strerror or error}); choose another folder"
            ) from error

    def step(self, steps_done: int, loss: float, rate: float) -> None:
        self.writer.add_scalar("step/loss", loss, steps_done)
        self.writer.add_scalar("step/learning_rate", rate, steps_done)

    def epoch(self, steps_done: int, losses: Mapping[str, float], rate: float, network: Any) -> None:
        for name, value in losses.items():
            self.writer.add_scalar(f"epoch/{name}", value, steps_done)
        self.writer.add_scalar("epoch/learning_rate", rate, steps_done)
        for name, picture in self.pictures(network).items():
            self.writer.add_image(name, picture, steps_done, dataformats="HWC")

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def _wait_for_a_later_name(folder: Path) -> None:
    """Event files are read in the order of their names, which begin with the second in which they were opened.

    So a training that goes on within the same second could be read before the interrupted one.
    """
    newest = max((int(path.name.split(".")[3]) for path in folder.glob("events.out.tfevents.*")), default=0)
    while int(time.time()) == newest:
        time.sleep(0.05)
