import os
import subprocess
import threading
import time

import pytest

from data.errors import SettingError, WorkerError
from tasks.runtime import dask_jobs, slurm_workers
from tasks.runtime.dask_clusters import dask_client
from tasks.runtime.executors import executor_for
from tasks.runtime.slurm_workers import slurm_cluster

pytestmark = pytest.mark.pipeline

SBATCH = """#!/bin/sh
cd {folder}
if [ -e refusal ]; then cat refusal >&2; exit 1; fi
number=1
until mkdir job.$number 2> /dev/null; do number=$((number + 1)); done
echo Submitted batch job $number
"""
SQUEUE = """#!/bin/sh
cd {folder}
if [ -e silent ]; then echo squeue: error: Unable to contact slurm controller >&2; exit 1; fi
for word; do case $word in --jobs=*) numbers=${{word#--jobs=}} ;; esac; done
for number in $(echo $numbers | tr , " "); do
  if [ -e state.$number ]; then echo "$number|$(cat state.$number)"; else echo "$number|PENDING|Resources"; fi
done
"""
"""Commands of SLURM whose answers a test writes into files."""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder with commands of a SLURM that starts no job."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", "#!/bin/sh\n")):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_workers, "SECONDS_TO_LOOK", 0)
    return folder


@pytest.fixture
def settings(section, tmp_path):
    """Sections of luigi.cfg that can be used."""
    section("slurm", memory="2GB", log_directory=tmp_path / "logs", shared_temp_directory=tmp_path)
    section("slurm-cpu", jobs=3, cores=2)
    section("slurm-gpu", jobs=2, cores=4)
    return section


def looked(cluster, numbers):
    """The cluster, once all these jobs have been submitted."""
    until = time.monotonic() + 120
    while not {str(number) for number in numbers} <= cluster.told:
        assert time.monotonic() < until
        cluster.look()
        time.sleep(0.05)
    return cluster


def test_what_the_jobs_wait_for_is_told(commands, settings, log_lines, tmp_path):
    with slurm_cluster("cpu", 100) as cluster:
        looked(cluster, (1, 2, 3))
        assert cluster.waits_for() == "SLURM: 3 jobs, 3 pending (Resources)"
        (commands / "state.1").write_text("RUNNING|None")
        (commands / "state.2").write_text("PENDING|AssocMaxJobsLimit")
        cluster.look()
        assert cluster.waits_for() == "SLURM: 3 jobs, 2 pending (AssocMaxJobsLimit, Resources), 1 running"
    assert log_lines == [f"SLURM: submitted jobs 1, 2, 3, logs in {tmp_path / 'logs'}"]


def test_no_more_jobs_than_the_shards_need(commands, settings):
    with slurm_cluster("cpu", 3) as cluster:  # of 2 cores
        assert looked(cluster, (1, 2)).jobs == 2
    with slurm_cluster("gpu", 1) as cluster:
        assert cluster.jobs == 1


def test_another_job_follows_one_that_has_ended(commands, settings, log_lines):
    with slurm_cluster("gpu", 100) as cluster:
        looked(cluster, (1, 2))
        (commands / "state.1").write_text("TIMEOUT|TimeLimit")
        cluster.arrivals.names.add(next(name for name, job in cluster.workers.items() if job.job_id == "1"))
        looked(cluster, (3,))
        assert "SLURM job 1 has ended (TIMEOUT); another one is submitted" in log_lines
        assert sorted(job.job_id for job in cluster.workers.values()) == ["2", "3"]


def test_jobs_that_end_before_their_workers_come_stop_the_run(commands, settings, tmp_path):
    line = rf"3 SLURM jobs in a row .* the last is \d+ \(FAILED\); .* read {tmp_path / 'logs'}/dask-worker-\d+.err"
    with slurm_cluster("gpu", 100) as cluster:
        for number in (1, 2):
            (commands / f"state.{number}").write_text("CANCELLED|None")
        looked(cluster, (1, 2, 3, 4))  # what somebody cancels says nothing
        for number in range(3, 9):
            (commands / f"state.{number}").write_text("FAILED|NonZeroExitCode")
        with pytest.raises(WorkerError, match=line):
            looked(cluster, range(100))


def test_a_job_that_slurm_refuses_or_never_starts_is_one_line(commands, settings):
    refusal = "sbatch: error: invalid account\nsbatch: error: Batch job submission failed: Invalid account or partition"
    (commands / "refusal").write_text(refusal)
    line = r"SLURM refuses the job \(invalid account; .* or partition\); .* correct section \[slurm-gpu\]"
    with slurm_cluster("gpu", 100) as cluster, pytest.raises(WorkerError, match=line):
        looked(cluster, (1,))
    (commands / "refusal").unlink()
    with slurm_cluster("cpu", 100) as cluster:
        looked(cluster, (1, 2, 3))
        (commands / "state.2").write_text("PENDING|PartitionTimeLimit")
        with pytest.raises(WorkerError, match=r"will never start job 2 \(PartitionTimeLimit\); .*\[slurm-cpu\]"):
            cluster.look()


def test_a_queue_that_is_full_or_silent_is_waited_for(commands, settings, log_lines):
    full = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    (commands / "refusal").write_text(f"sbatch: error: Batch job submission failed: {full}")
    with slurm_cluster("gpu", 100) as cluster:
        until = time.monotonic() + 120
        while not log_lines and time.monotonic() < until:
            cluster.look()
            time.sleep(0.05)
        (commands / "refusal").unlink()
        looked(cluster, (1, 2))
        (commands / "silent").touch()
        before = dict(cluster.workers)
        cluster.look()
        assert cluster.workers == before
    assert log_lines[0] == f"SLURM accepts no more jobs for now (Batch job submission failed: {full}); trying again"
    assert log_lines[-1] == "SLURM does not answer (Unable to contact slurm controller); asking again"


def test_a_busy_cluster_is_waited_for_without_a_limit(commands, settings, monkeypatch, log_lines):
    monkeypatch.setattr(dask_jobs, "SECONDS_PER_LINE", 0.3)
    monkeypatch.setattr(dask_jobs, "SECONDS_TO_LOOK", 0.1)
    line, lines = "waiting for SLURM: 2 jobs, 2 pending (Resources)", 2 * dask_jobs.PATIENCE + 1

    def end():
        until = time.monotonic() + 120
        while log_lines.count(line) < lines and time.monotonic() < until:
            time.sleep(0.05)
        (commands / "state.1").write_text("PENDING|BadConstraints")

    threading.Thread(target=end).start()
    with pytest.raises(WorkerError, match="never start job 1"):
        list(executor_for(1, 4, "slurm").map(process_of, range(4)))
    assert log_lines.count(line) >= lines


def test_missing_settings_and_several_gpus_a_job_are_one_line(section, tmp_path):
    section("slurm", shared_temp_directory=tmp_path, cores=2)
    section("slurm-gpu", memory="2GB", job_extra_directives='["--gres=gpu:a100:4"]')
    for kind, line in (
        ("cpu", r"section \[slurm-cpu\] or \[slurm\] of luigi.cfg lacks memory; add them"),
        ("gpu", r"'--gres=gpu:a100:4' asks for several GPUs a job; ask for 1, and more jobs"),
    ):
        with pytest.raises(SettingError, match=line), slurm_cluster(kind, 1):
            pass


def test_the_scripts_of_the_jobs(commands, settings, tmp_path):
    settings(
        "slurm", walltime="01:00:00", job_extra_directives='["--nice=10"]', job_script_prologue='["module load x"]'
    )
    with slurm_cluster("cpu", 1) as cluster:
        script = cluster.job_script()
        assert cluster.scheduler_address.startswith("tls://")
        (folder,) = tmp_path.glob(".depthseed-tls-*")
        for option in ("ca-file", "cert", "key"):
            assert f"--tls-{option} {folder / option.replace('-', '_')}.pem" in script
    assert not folder.exists()
    for part in (
        "#SBATCH --cpus-per-task=2\n", "#SBATCH -t 01:00:00\n", "#SBATCH --nice=10\n", "\nmodule load x\n",
        "--nthreads 1 ", "--nworkers 2 ", "--protocol tls://", "--lifetime 3300s --lifetime-stagger 100s",
        "--no-dashboard", "export DASK_DISTRIBUTED__WORKER__HTTP__ROUTES=[]\n",
    ):  # fmt: skip
        assert part in script
    assert "gpu" not in script.casefold().replace("depthseed", "")
    with slurm_cluster("gpu", 1) as cluster:
        script = cluster.job_script()
    for part in (
        "#SBATCH --cpus-per-task=4\n", "#SBATCH --gres=gpu:1\n#SBATCH --nice=10\n", "--nthreads 1 ",
        "--resources GPU=1 ",
    ):  # fmt: skip
        assert part in script
    assert "--nworkers" not in script


def process_of(job):
    time.sleep(0.2)
    return job, os.environ["SLURM_JOB_ID"]


def test_real_workers_come_by_tls_and_a_cancelled_one_is_replaced(
    slurm_answers, section, tmp_path, log_lines, monkeypatch
):
    from strangers import attempts  # the workers read this file, too, and do not find the folder of that module

    monkeypatch.setattr(slurm_workers, "SECONDS_TO_LOOK", 1)
    section("slurm", memory="1GB", cores=1, shared_temp_directory=tmp_path, log_directory=tmp_path / "logs")
    section("slurm-gpu", jobs=2)
    results = executor_for(1, 60, "slurm", kind="gpu").map(process_of, range(60))
    done = [next(results)]
    subprocess.run(["scancel", done[0][1]], check=True)
    done += list(results)
    assert sorted(number for number, _ in done) == list(range(60))
    assert f"SLURM job {done[0][1]} has ended (CANCELLED); another one is submitted" in log_lines
    assert not [line for line in log_lines if "died" in line]  # no shard is blamed
    with dask_client(1, "slurm", "gpu") as client:
        assert attempts(client.scheduler.address, "same") == {"refused"}
