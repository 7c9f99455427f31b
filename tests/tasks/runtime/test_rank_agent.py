import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from tasks.runtime.rank_agent import killed_ranks


def failure(rank, code, seconds=1000):
    found = ProcessFailure(local_rank=rank, pid=rank, exitcode=code, error_file="<N/A>")
    found.timestamp = seconds
    return found


@pytest.mark.parametrize(
    ("failures", "killed"),
    [
        ([(0, -9, 1000)], {0: "SIGKILL"}),
        ([(0, 1, 1000), (1, -9, 1000)], {1: "SIGKILL"}),  # rank 0 failed since rank 1 was gone
        ([(0, -15, 1000), (1, -9, 1000)], {1: "SIGKILL"}),  # torchrun has ended rank 0
        ([(0, 1, 1000), (1, -15, 1000)], {}),  # torchrun has ended rank 1
        ([(0, 1, 1000), (1, -9, 1040)], {}),  # and here after a long wait
        ([(0, -15, 1000)], {0: "SIGTERM"}),  # nobody else has failed
        ([(3, -11, 1000), (2, 1, 1001)], {3: "SIGSEGV"}),
        ([(0, -77, 1000)], {0: "signal 77"}),
        ([(0, 1, 1000), (1, 3, 1000)], {}),
    ],
)  # fmt: skip
def test_a_rank_that_a_signal_has_ended_is_told_from_what_follows(failures, killed):
    assert killed_ranks({rank: failure(rank, code, seconds) for rank, code, seconds in failures}) == killed
