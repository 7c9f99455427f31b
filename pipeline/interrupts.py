"""Ctrl-C and SIGTERM: one line, and the exit code that a shell gives to them, 130 and 143.

luigi takes an exception for a failure of one task and goes on with the next one, but it lets a KeyboardInterrupt
through. So SIGTERM becomes one, too. On its way, the stage ends its worker processes and releases its lock. What the
next run needs was written before: complete shards, and a checkpoint (`tasks.runtime.stop_requests`).
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import threading

TOLD = {signal.SIGINT: "Ctrl-C (SIGINT)", signal.SIGTERM: "SIGTERM"}
"""Signal -> its name in the line."""


NO_REPORT = "ignore:resource_tracker:UserWarning"
"""Filter for the warnings of multiprocessing's resource tracker about semaphores."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received."""


def end_well_on_signals() -> None:
    """From now on, Ctrl-C and SIGTERM end this process as described above. A second signal ends it at once.

    Nothing changes in a worker process, and where the program that imports this has a handler of its own.
    """
    if multiprocessing.parent_process() or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    main = os.getpid()
    before = sys.excepthook

    def terminate(number, frame):
        if os.getpid() == main:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)  # a process that was forked from this one
        os.kill(os.getpid(), number)

    @functools.wraps(before)
    def hook(kind, error, trace):
        if not issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        for number in TOLD:
            signal.signal(number, signal.SIG_DFL)
        number = signal.SIGTERM if issubclass(kind, Terminated) else signal.SIGINT
        print(
            f"stopped by {TOLD[number]}; what is complete is kept: run the same command again to go on", file=sys.stderr
        )
        sys.exit(128 + number)

    # Python's helper process removes what a killed worker process has left. It need not report that.
    given = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = f"{given},{NO_REPORT}" if given else NO_REPORT
    signal.signal(signal.SIGTERM, terminate)
    sys.excepthook = hook
