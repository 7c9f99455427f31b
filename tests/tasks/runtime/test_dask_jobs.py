import os
import subprocess
import sys
import threading
import time

import pytest
from distributed import Client, LocalCluster, system

from data.errors import WorkerError
from data.sample import TRAIN, Sample
from tasks.runtime import dask_jobs
from tasks.runtime.dask_clusters import dask_client
from tasks.runtime.dask_jobs import DaskJobs
from tasks.runtime.shards import ShardJob

pytestmark = pytest.mark.pipeline


def computed(function, jobs, processes=2, address="", seconds=0):
    """As `DaskWorkers` does it, but its workers do not load torch."""
    with dask_client(processes, address) as client:
        return list(DaskJobs(client, function, address, seconds).results(jobs))


def shards(folder, count):
    return [
        ShardJob(len, range(3), [Sample(f"{i}/{j}", TRAIN, folder, (1,)) for j in range(3)], {}, 1, shard=i)
        for i in range(count)
    ]


def first_time(folder, number):
    """True for the first call with this number in any process."""
    try:
        (folder / f"begun {number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def die_once(job):
    number, folder = job
    if number == 2 and first_time(folder, number):
        os._exit(1)
    return number


def always_die(job):
    if job.shard == 1:
        os._exit(1)
    return job.shard


def hang_once(job):
    number, folder = job
    if number == 1 and first_time(folder, number):
        time.sleep(600)
    return number


def always_hang(job):
    if job.shard == 0:
        time.sleep(600)
    return job.shard


def need_a_gigabyte(job):
    content = bytearray(10**9)
    time.sleep(5)
    return len(content)


def slow(number):
    time.sleep(1)
    return number


def test_the_shard_of_a_dead_worker_is_tried_again(tmp_path, log_lines):
    assert sorted(computed(die_once, [(i, tmp_path) for i in range(4)])) == [0, 1, 2, 3]
    assert log_lines == ["a shard: the worker process died; given to another worker, try 2 of 3"]


def test_images_that_kill_their_worker_are_named(tmp_path):
    with pytest.raises(WorkerError, match=r"images 1/0 to 1/2: the worker process died 3 times on them"):
        computed(always_die, shards(tmp_path, 3))


def test_a_shard_that_hangs_is_given_to_another_worker(tmp_path):
    begun = time.monotonic()
    assert sorted(computed(hang_once, [(i, tmp_path) for i in range(4)], seconds=2)) == [0, 1, 2, 3]
    assert time.monotonic() - begun < 300


def test_images_on_which_each_worker_hangs_are_named_with_limit_and_flag(tmp_path, log_lines):
    line = r"images 0/0 to 0/2: not finished after 1 s, in 3 tries; .*more seconds with --shard-timeout"
    with pytest.raises(WorkerError, match=line):
        computed(always_hang, shards(tmp_path, 4), seconds=1)
    assert log_lines == [
        f"images 0/0 to 0/2: not finished after 1 s; given to another worker, try {number} of 3" for number in (2, 3)
    ]


def test_a_limit_counts_from_the_beginning_of_a_job_not_from_its_sending(tmp_path):
    assert sorted(computed(slow, range(8), seconds=3)) == list(range(8))


def test_a_worker_that_takes_too_much_memory_is_told_as_lack_of_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "MEMORY_LIMIT", 800_000_000)
    with pytest.raises(
        MemoryError, match=r"images 0/0 to 0/2: the worker process was ended 3 times, as it took too much"
    ):
        computed(need_a_gigabyte, shards(tmp_path, 1), processes=1)


@pytest.fixture
def scheduler():
    """A Dask scheduler of somebody else, without a worker: the process, and its address."""
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        address = next(line.split()[-1] for line in process.stderr if "Scheduler at:" in line)
        yield process, address
        process.kill()


def test_a_scheduler_that_goes_is_one_line(scheduler, monkeypatch, log_lines):
    process, address = scheduler
    monkeypatch.setattr(dask_jobs, "SECONDS_PER_LINE", 0.5)
    threading.Timer(3, process.kill).start()
    with pytest.raises(WorkerError, match=f"the Dask scheduler at '{address}' has gone; completed shards are kept"):
        computed(slow, range(2), 1, address)
    assert f"waiting for a worker of {address}" in log_lines


def test_a_worker_with_another_version_of_the_code_is_refused(monkeypatch):
    monkeypatch.setattr(dask_jobs, "code_digest", lambda: "another")  # of this process, not of the worker
    quiet = {"dashboard_address": None, "silence_logs": 50}
    line = "the worker tcp://127.0.0.1:.* has another version of depthseed than this command; install the same there"
    with LocalCluster(n_workers=1, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        with pytest.raises(WorkerError, match=line):
            list(DaskJobs(client, len, cluster.scheduler_address, 0).results(["job"]))
        monkeypatch.undo()
        assert list(DaskJobs(client, len, cluster.scheduler_address, 0).results(["job"])) == [3]


class NoWorkers:
    """A client whose workers all end and do not start again; `losses` of them are lost on the way to it.

    Parameters
    ----------
    losses : int
    info : dict, optional
        What it knows of the scheduler; nothing while it is connecting again.
    """

    status = "running"

    def __init__(self, losses=0, info=None):
        self.losses = losses
        self.info = {"workers": {}} if info is None else info

    def subscribe_topic(self, *arguments):
        pass

    def scheduler_info(self, n_workers):
        return self.info

    def scatter(self, jobs, hash, timeout):
        if self.losses:
            self.losses -= 1
            raise OSError("connection closed")
        time.sleep(timeout)
        raise TimeoutError


@pytest.mark.parametrize("info", [{"workers": {}}, {}])
def test_local_workers_that_do_not_start_again_are_one_line(monkeypatch, log_lines, info):
    monkeypatch.setattr(dask_jobs, "SECONDS_PER_LINE", 0.2)
    jobs = DaskJobs(NoWorkers(losses=1, info=info), slow, "", 0)
    with pytest.raises(WorkerError, match="all worker processes have ended, and none starts again; completed shards"):
        list(jobs.results([1]))
    assert log_lines == ["waiting for a worker of this machine"] * 2


def test_workers_that_come_later_get_their_jobs(monkeypatch, log_lines):
    monkeypatch.setattr(dask_jobs, "SECONDS_PER_LINE", 0.5)
    monkeypatch.setattr(dask_jobs, "SECONDS_TO_LOOK", 0.1)
    taken = []

    def jobs():
        for number in range(12):
            taken.append(number)
            yield number

    quiet = {"dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=0, threads_per_worker=1, **quiet) as cluster, Client(cluster) as client:
        address = cluster.scheduler_address
        results = DaskJobs(client, slow, address, 0, "gpu").results(jobs())
        threading.Timer(2, cluster.scale, (1,)).start()
        done = [next(results)]
        assert len(taken) <= 3  # two for the only worker, and one for that which is done
        cluster.scale(3)
        client.wait_for_workers(3)
        done += [next(results) for _ in range(3)]
        assert len(taken) > 2 * 3
        done += list(results)
    assert sorted(done) == list(range(12))
    assert f"waiting for a worker of {address}" in log_lines


def test_a_shard_that_no_worker_has_time_to_finish_is_named(tmp_path):
    jobs = DaskJobs(NoWorkers(), slow, "tcp://host:1", 0)
    (job,) = shards(tmp_path, 1)
    jobs.sent["key"] = sent = dask_jobs._Sent(job)
    for _ in range(dask_jobs.LOSSES + 1):
        jobs._hear((0, ["key", dask_jobs.BEGUN, "a"]))
    assert sent.begins == 11
    with pytest.raises(
        WorkerError, match="images 0/0 to 0/2: begun 11 times and never finished, as the worker was taken"
    ):
        list(jobs.results([]))
