import os

import pytest
import torch

from data.errors import ImageError
from tasks.runtime.executors import ThisProcess, executor_for, process_count


def shard_facts(number):
    return number, torch.get_num_threads(), os.getpid()


def fail_on_three(number):
    if number == 3:
        raise ImageError("picture 3: cannot be decoded")
    return number


def test_one_process_is_this_one_with_one_thread():
    before = torch.get_num_threads()
    results = list(executor_for(1, 3).map(shard_facts, range(3)))
    assert results == [(i, 1, os.getpid()) for i in range(3)]
    assert torch.get_num_threads() == before


@pytest.mark.pipeline
def test_processes_do_every_shard_once_and_hand_errors_back():
    results = list(executor_for(2, 9).map(shard_facts, (i for i in range(9))))
    assert sorted(number for number, _, _ in results) == list(range(9))
    assert {threads for _, threads, _ in results} == {1}
    assert os.getpid() not in {pid for _, _, pid in results}
    with pytest.raises(ImageError, match="picture 3"):
        list(executor_for(2, 5).map(fail_on_three, range(5)))


def test_who_computes():
    assert isinstance(executor_for(4, 1), ThisProcess)
    assert isinstance(executor_for(4, 9, kind="gpu", devices=("3",)), ThisProcess)
    assert isinstance(executor_for(4, 1, kind="gpu", devices=("3", "4")), ThisProcess)
    local = executor_for(1, 2, "", 7, "gpu", ("3", "4", "5"))
    assert (local.workers, local.address, local.seconds, local.kind, local.devices) == (2, "", 7, "gpu", ("3", "4"))
    cluster = executor_for(1, 9, "slurm", 7, "gpu", ("3", "4"))
    assert (cluster.workers, cluster.address, cluster.kind, cluster.devices) == (9, "slurm", "gpu", ())


def test_jobs_are_taken_one_by_one_and_results_come_at_once():
    taken = []

    def jobs():
        for number in range(3):
            taken.append(number)
            yield number

    for number, _, _ in executor_for(1, 3).map(shard_facts, jobs()):
        assert taken == list(range(number + 1))


def test_never_more_processes_than_shards():
    assert process_count(8, 3) == 3
    assert process_count(0, 1) == 1
    assert process_count(2, 0) == 1
