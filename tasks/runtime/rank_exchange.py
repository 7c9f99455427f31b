"""The folder through which a stage and the ranks that train it talk: the stage, progress, errors, the result, the log.

All machines of a training see this folder, since it is in the folder of artifacts. Only this program writes into it.
"""

from __future__ import annotations

import json
import pickle
import shutil
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data.errors import DepthseedError, WorkerError
from data.store.artifact import write_bytes, write_json
from tasks.runtime.device_use import DeviceUse

if TYPE_CHECKING:
    from tasks.runtime.training_stage import TrainingStage


class _Packed(NamedTuple):
    """A stage, and what it found out while luigi knew the command line."""

    stage: Any
    identity: str
    required: dict[str, tuple[str, str]]


class RankFailure(NamedTuple):
    """Why a rank ended.

    Attributes
    ----------
    error : DepthseedError or None
        The error for the user; None if it is of another kind.
    text : str
        How it ended, in words that follow its number.
    seconds : float
        When it happened.
    killed : bool
        True if a signal has ended it.
    """

    error: DepthseedError | None
    text: str
    seconds: float
    killed: bool = False


class RankExchange:
    """The files of one training in several ranks.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def log(self) -> Path:
        """All that the ranks have printed."""
        return self.folder / "log.txt"

    def prepare(self, stage: TrainingStage) -> None:
        """Write the stage for the ranks, and remove what earlier ranks have left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o700)  # whoever can write a pickle here decides what the ranks run
        packed: dict[tuple[str, str], _Packed] = {}
        first = _pack(stage, packed)
        write_bytes(self.folder / "stage.pickle", pickle.dumps((first, packed)))

    def remove(self) -> None:
        """Remove all files; the training is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def stage(self) -> Any:
        """The stage that `prepare` wrote. It knows its identity and the stages upstream without the command line."""
        first, packed = pickle.loads((self.folder / "stage.pickle").read_bytes())
        for found in packed.values():
            required = {name: packed[key].stage for name, key in found.required.items()}
            found.stage.__dict__.update(identity=found.identity, required=required)
        return packed[first].stage

    def write_progress(self, done: int, total: int, unit: str) -> None:
        """Tell the stage how far the training is."""
        write_json(self.folder / "progress.json", [done, total, unit])

    def progress(self) -> tuple[int, int, str] | None:
        """What `write_progress` told last."""
        found = self._read("progress.json")
        return None if found is None else (found[0], found[1], found[2])

    def ask_for_checkpoint(self) -> None:
        """Ask the ranks to write a checkpoint."""
        (self.folder / "save").touch()

    def is_asked(self) -> bool:
        """True once after `ask_for_checkpoint`."""
        try:
            (self.folder / "save").unlink()
        except FileNotFoundError:
            return False
        return True

    def write_result(self, images: int, use: DeviceUse) -> None:
        """Tell the stage that the training is complete."""
        write_json(self.folder / "result.json", {"images": images, "use": vars(use)})

    def result(self) -> tuple[int, DeviceUse] | None:
        """What `write_result` told; None if the training is not complete."""
        found = self._read("result.json")
        return None if found is None else (found["images"], DeviceUse(**found["use"]))

    def write_failure(self, rank: int, error: BaseException) -> None:
        """Tell the stage why a rank ends. The log gets the traceback of an error that is not for the user."""
        known = error if isinstance(error, DepthseedError) else None
        if known is None:
            traceback.print_exception(error)
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        self._write_failure(rank, RankFailure(known, f"failed ({line})", time.time()))

    def write_killed(self, rank: int, name: str) -> None:
        """Tell the stage by which signal a rank was ended."""
        self._write_failure(rank, RankFailure(None, f"was ended by {name}", time.time(), killed=True))

    def _write_failure(self, rank: int, failure: RankFailure) -> None:
        write_bytes(self.folder / f"failure-{rank:04d}.pickle", pickle.dumps(failure))

    def failures(self) -> dict[int, RankFailure]:
        """Rank -> why it ended."""
        found = sorted(self.folder.glob("failure-*.pickle"))
        return {int(path.stem.split("-")[1]): pickle.loads(path.read_bytes()) for path in found}

    def error(self, label: str) -> DepthseedError:
        """The error of a training that has failed: the first that is for the user, or else how a rank ended.

        The other ranks fail where a signal ends one, so that one comes first.

        Parameters
        ----------
        label : str
            Name of the stage.
        """
        failures = sorted(self.failures().items(), key=lambda item: (not item[1].killed, item[1].seconds))
        for _, failure in failures:
            if failure.error is not None:
                return failure.error
        told = [f"rank {rank} {failure.text}" for rank, failure in failures]
        return WorkerError(
            f"{label}: {told[0] if told else 'the ranks have ended without a result'}, so all ranks have stopped; "
            f"their log is {self.log}; run the same command again: it goes on at the last checkpoint"
        )

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None


def _pack(stage: Any, packed: dict[tuple[str, str], _Packed]) -> tuple[str, str]:
    """Add a stage and all stages upstream to `packed`. Returns its key."""
    key = type(stage).__name__, stage.identity
    if key not in packed:
        required = {name: _pack(above, packed) for name, above in stage.required.items()}
        packed[key] = _Packed(stage, stage.identity, required)
    return key
