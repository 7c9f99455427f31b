"""torchrun, as it starts the ranks of one machine: ``python -m tasks.runtime.rank_agent <arguments of torchrun>``.

The last argument is the folder of a `RankExchange`. It gets the ranks that a signal has ended.
SIGUSR1 asks the ranks for a checkpoint. torchrun would end by it, so here it is ignored.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure


def killed_ranks(failures: Mapping[int, ProcessFailure]) -> dict[int, str]:
    """Rank -> name of the signal that has ended it, without the ranks that torchrun itself has ended.

    A rank that a signal ends closes its connections. The other ranks then fail at once, and torchrun may see one of
    them first. torchrun ends those that are left: by SIGTERM, and much later by SIGKILL. Its times are whole seconds.
    """
    first = min((failure.timestamp for failure in failures.values()), default=0)
    codes = {rank: failure.exitcode for rank, failure in failures.items() if failure.timestamp <= first + 1}
    others = {rank: code for rank, code in codes.items() if code != -signal.SIGTERM}
    causes = others or codes  # where another rank has failed, SIGTERM came from torchrun
    return {rank: signal_name(-code) for rank, code in causes.items() if code < 0}


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; ``signal 77`` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # before the imports, which take seconds
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    from tasks.runtime.rank_exchange import RankExchange

    try:
        main(sys.argv[1:])
    except ChildFailedError as failed:
        for rank, name in killed_ranks(failed.failures).items():
            RankExchange(Path(sys.argv[-1])).write_killed(rank, name)
        raise
