"""Shards that are finished beside the network: their results are written while the next ones are computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

UNDER_WAY = 2
"""Shards whose results are in memory, besides the one that the network computes."""


class Beside:
    """An executor (`tasks.runtime.executors.Executor`) with one thread of this process.

    It is for jobs that wait for the disk or release Python's lock, such as writing. One job is computed at a time, in
    the order of the jobs.
    """

    def map(self, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[Any]:
        """Yield ``function(job)`` of each job. The next job is taken while this one is computed."""
        waiting: deque[Future] = deque()
        with ThreadPoolExecutor(1) as pool:
            try:
                for job in jobs:
                    waiting.append(pool.submit(function, job))
                    del job  # its arrays go when it is done
                    while len(waiting) >= UNDER_WAY or (waiting and waiting[0].done()):
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
