import os

import pytest
import torch

from data.errors import ImageError, SettingError, WorkerError
from data.sample import TRAIN, Sample
from tasks.runtime.executors import executor_for, process_count, slurm_cluster
from tasks.runtime.shards import ShardJob


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


def die_once(job):
    """Ends the process the first time that it gets number 2."""
    number, folder = job
    mark = folder / "died"
    if number == 2 and not mark.exists():
        mark.touch()
        os._exit(1)
    return number


def always_die(job):
    if job.shard == 1:
        os._exit(1)
    return job.shard


@pytest.mark.pipeline
def test_the_shard_of_a_dead_worker_is_tried_again(tmp_path):
    assert sorted(executor_for(2, 4).map(die_once, [(i, tmp_path) for i in range(4)])) == [0, 1, 2, 3]


@pytest.mark.pipeline
def test_images_that_kill_their_worker_are_named(tmp_path):
    jobs = [
        ShardJob(len, range(3), [Sample(f"{i}/{j}", TRAIN, tmp_path, (1,)) for j in range(3)], {}, 1, shard=i)
        for i in range(3)
    ]
    with pytest.raises(WorkerError, match=r"images 1/0 to 1/2: the worker process died 3 times on them"):
        list(executor_for(2, 3).map(always_die, jobs))


@pytest.mark.pipeline
def test_a_running_dask_cluster_by_its_address():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        address = cluster.scheduler_address
        results = list(executor_for(1, 3, address).map(shard_facts, range(3)))
        assert sorted(number for number, _, _ in results) == [0, 1, 2]
        assert os.getpid() not in {pid for _, _, pid in results}
        assert len(cluster.scheduler.workers) == 1  # it stays


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    import distributed

    def refuse(*arguments, **settings):
        raise OSError("Timed out")

    monkeypatch.setattr(distributed, "Client", refuse)
    with pytest.raises(SettingError, match="no Dask scheduler answers at 'tcp://127.0.0.1:1'"):
        list(executor_for(1, 1, "tcp://127.0.0.1:1").map(shard_facts, [1]))


def test_slurm_jobs_are_described_by_luigi_cfg():
    with pytest.raises(SettingError, match=r"\[slurm\] of luigi.cfg lacks cores, memory"):
        slurm_cluster({"jobs": "2"})
    cluster = slurm_cluster({"cores": "4", "memory": "8GB", "queue": "cpu", "walltime": "00:30:00", "jobs": "0"})
    try:
        script = cluster.job_script()
    finally:
        cluster.close()
    assert "#SBATCH -p cpu" in script
    assert "--nworkers 4" in script
