"""torchrun, as it starts the ranks of one machine: ``python -m tasks.runtime.rank_agent <arguments of torchrun>``.

SIGUSR1 asks the ranks for a checkpoint. torchrun would end by it, so here it is ignored.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    from torch.distributed.run import main

    main(sys.argv[1:])
