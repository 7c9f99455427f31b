"""A training as a SLURM job: its script, its ends, and who finds it again. Commands of a test stand for SLURM."""

import os
import signal
import subprocess
import threading
import time

import pytest

from data.errors import SettingError, TrainingError, WorkerError
from data.store.artifact import write_bytes
from tasks.runtime import slurm_queue, slurm_training
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.rank_launch import exchange_of
from tasks.runtime.slurm_training import TrainingJob, job_script, train_by_slurm
from tasks.runtime.trained_model import DESCRIPTION, HISTORY, MODEL
from tasks.runtime.training_loop import CHECKPOINT
from tasks.train_classifier import TrainClassifier

SBATCH = """#!/bin/sh
cd {folder}
if [ -e refusal ]; then cat refusal >&2; exit 1; fi
number=1
until mkdir job.$number 2> /dev/null; do number=$((number + 1)); done
echo $number
"""
SQUEUE = """#!/bin/sh
cd {folder}
for word; do case $word in --jobs=*) number=${{word#--jobs=}} ;; esac; done
if [ -e silence ]; then echo "Unable to contact slurm controller" >&2; exit 1; fi
if [ -e state.$number ]; then cat state.$number; fi
"""
SCANCEL = """#!/bin/sh
echo "$@" >> {folder}/cancelled
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder with commands of a SLURM that starts no job; ``state.<number>`` is what it says of a job."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_training, "SECONDS_TO_LOOK", 0.05)
    return folder


@pytest.fixture
def stage(in_process, bop_root, tmp_path, section):
    section("slurm-training", cores=2, memory="2GB", log_directory=tmp_path / "logs", walltime="01:00:00")
    return TrainClassifier(
        dataset="bop", data_root=str(bop_root), artifacts=str(tmp_path / "artifacts"), cluster="slurm"
    )


def submitted(commands):
    return sorted(path.name for path in commands.glob("job.*"))


def test_a_job_is_submitted_waited_for_and_its_result_taken(commands, stage, log_lines):
    (commands / "state.1").write_text("PENDING|Resources")

    def run():
        (commands / "state.1").write_text("RUNNING|None")
        exchange = exchange_of(stage)
        exchange.write_progress(3, 4, "epoch")
        log = commands.parent / f"logs/TrainClassifier-{stage.identity}/1.log"
        log.write_text("12:00:00 TrainClassifier: 3 of 4 steps\nnot a line of ours\n")
        threading.Timer(0.5, exchange.write_result, (40, DeviceUse("cpu", 1.0, 2.0))).start()

    threading.Timer(0.5, run).start()
    assert stage.work() == 40
    assert stage.device_use == DeviceUse("cpu", 1.0, 2.0)
    assert submitted(commands) == ["job.1"]
    assert not exchange_of(stage).folder.exists()
    assert "TrainClassifier: SLURM job 1 is pending (Resources)" in log_lines
    assert "TrainClassifier: SLURM job 1 is running" in log_lines
    assert "job 1: TrainClassifier: 3 of 4 steps" in log_lines
    assert not [line for line in log_lines if "not a line of ours" in line]


def test_a_job_of_an_earlier_run_is_found_again(commands, stage):
    (commands / "state.1").write_text("RUNNING|None")
    first = TrainingJob(stage, slurm_training.slurm_settings("training"))
    first.attach()
    settings = slurm_training.slurm_settings("training") | {"log_directory": "elsewhere"}
    second = TrainingJob(stage, settings)  # a command in another folder
    second.attach()
    assert (first.number, second.number, submitted(commands)) == ("1", "1", ["job.1"])
    (commands / "state.1").write_text("CANCELLED|None")
    second.attach()
    assert (second.number, submitted(commands)) == ("2", ["job.1", "job.2"])


def test_what_a_job_has_completed_after_its_command_had_gone_is_taken(commands, stage, log_lines):
    """The command died, the job went on to its end: nothing is trained again."""
    (commands / "state.1").write_text("RUNNING|None")
    TrainingJob(stage, slurm_training.slurm_settings("training")).attach()
    exchange_of(stage).write_result(40, DeviceUse("cpu", 1.0, 2.0))
    (commands / "state.1").write_text("COMPLETED|None")
    for name in (MODEL, HISTORY, DESCRIPTION):
        write_bytes(stage.artifact.path / name, b"{}")
    assert stage.work() == 40
    assert submitted(commands) == ["job.1"]
    assert "TrainClassifier: a job of an earlier run has trained it" in log_lines
    assert not exchange_of(stage).folder.exists()


def test_a_result_without_its_model_is_none(commands, stage):
    (commands / "state.1").write_text("COMPLETED|None")
    TrainingJob(stage, slurm_training.slurm_settings("training")).attach()
    exchange_of(stage).write_result(40, DeviceUse("cpu", 1.0, 2.0))
    (commands / "state.2").write_text("FAILED|None")
    with pytest.raises(WorkerError, match="job 2 has ended"):
        stage.work()
    assert submitted(commands) == ["job.1", "job.2"]
    assert exchange_of(stage).result() is None


def test_a_silent_slurm_is_no_end_of_a_job(commands, stage, monkeypatch, log_lines):
    monkeypatch.setattr(slurm_queue, "TRIES", 1)
    monkeypatch.setattr(slurm_queue.ask_slurm, "__kwdefaults__", {"tries": 1})
    (commands / "state.1").write_text("RUNNING|None")
    TrainingJob(stage, slurm_training.slurm_settings("training")).attach()
    (commands / "silence").touch()
    told = threading.Timer(2.5, (commands / "silence").unlink)
    done = threading.Timer(4.0, exchange_of(stage).write_result, (40, DeviceUse("cpu", 1.0, 2.0)))
    for timer in (told, done):
        timer.start()
    assert stage.work() == 40
    assert submitted(commands) == ["job.1"]
    assert any("SLURM job 1 may be there, but SLURM does not answer" in line for line in log_lines)
    assert "TrainClassifier: SLURM job 1 is there already" in "\n".join(log_lines)


def test_a_full_queue_is_waited_for(commands, stage, log_lines):
    (commands / "refusal").write_text("sbatch: error: QOSMaxSubmitJobPerUserLimit: job submit limit\n")
    (commands / "state.1").write_text("RUNNING|None")
    threading.Timer(0.5, (commands / "refusal").unlink).start()
    job = TrainingJob(stage, slurm_training.slurm_settings("training"))
    job.attach()
    assert (job.number, submitted(commands)) == ("1", ["job.1"])
    assert any("SLURM accepts no more jobs for now" in line for line in log_lines)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("CANCELLED", "somebody has cancelled it"),
        ("TIMEOUT", "too short for a checkpoint"),
        ("OUT_OF_MEMORY", "raise memory"),
        ("FAILED", "read "),
    ],
)
def test_how_a_job_has_ended_is_told(commands, stage, state, words):
    (commands / "state.1").write_text(f"{state}|None")
    with pytest.raises(WorkerError, match=f"SLURM job 1 has ended \\({state}\\); .*{words}"):
        train_by_slurm(stage)
    assert submitted(commands) == ["job.1"]


def test_a_job_that_slurm_ends_is_submitted_again_as_long_as_its_checkpoint_goes_on(commands, stage):
    (commands / "state.1").write_text("RUNNING|None")
    (commands / "state.2").write_text("NODE_FAIL|None")

    def fail():
        write_bytes(stage.artifact.path / CHECKPOINT, b"new")
        (commands / "state.1").write_text("NODE_FAIL|None")

    threading.Timer(0.5, fail).start()
    with pytest.raises(WorkerError, match="SLURM job 2 has ended \\(NODE_FAIL\\)"):
        train_by_slurm(stage)
    assert submitted(commands) == ["job.1", "job.2"]


def test_the_error_of_a_rank_is_the_error_of_the_stage(commands, stage):
    (commands / "state.1").write_text("RUNNING|None")

    def fail():
        exchange_of(stage).write_failure(0, TrainingError("the loss is nan"))
        (commands / "state.1").write_text("FAILED|None")

    threading.Timer(0.5, fail).start()
    with pytest.raises(TrainingError, match="the loss is nan"):
        train_by_slurm(stage)


def test_what_slurm_refuses_or_will_never_start_is_one_line(commands, stage):
    (commands / "refusal").write_text("sbatch: error: invalid partition specified: x\n")
    with pytest.raises(WorkerError, match=r"SLURM refuses the job \(.*invalid partition.*\[slurm-training\]"):
        train_by_slurm(stage)
    (commands / "refusal").unlink()
    (commands / "state.1").write_text("PENDING|PartitionTimeLimit")
    with pytest.raises(WorkerError, match=r"will never start job 1 \(PartitionTimeLimit\)"):
        train_by_slurm(stage)
    assert (commands / "cancelled").read_text().splitlines()[-1] == "1"


def test_ctrl_c_ends_the_job_after_its_checkpoint(commands, stage, monkeypatch):
    (commands / "state.1").write_text("RUNNING|None")

    def interrupt(job, state, reason):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingJob, "_show", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_by_slurm(stage)
    assert (commands / "cancelled").read_text().splitlines() == ["--full --signal=TERM 1", "1"]


def test_without_slurm_it_is_one_line(stage, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match="there is no command sbatch here"):
        train_by_slurm(stage)


def test_the_script_holds_the_options_and_is_valid_shell(tmp_path):
    settings = {
        "cores": 8, "memory": "64GB", "queue": "gpu", "nodes": 2, "walltime": "04:00:00", "warning_seconds": 300,
        "job_extra_directives": ["--gres=gpu:8"], "job_directives_skip": ["--mem="], "python": "/opt/my python",
        "job_script_prologue": ["module load cuda"],
    }  # fmt: skip
    script = job_script(tmp_path / "my logs", tmp_path / "ranks", "TrainClassifier", settings)
    directives = {line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")}
    assert {
        "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=8", "--partition=gpu", "--time=04:00:00", "--requeue",
        "--signal=B:USR1@300", "--gres=gpu:8", "--job-name=depthseed-TrainClassifier",
    } <= directives  # fmt: skip
    assert not [line for line in directives if "mem" in line]
    assert "module load cuda\ncd " in script
    assert "srun --kill-on-bad-exit=1 '/opt/my python' -m tasks.runtime.slurm_ranks" in script
    assert "export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=290" in script  # seconds for the checkpoint
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=True).stderr == ""


def test_the_script_puts_itself_into_the_queue_again_after_a_warning_and_only_then(tmp_path, monkeypatch):
    """The commands of SLURM stand here for those of a node: srun runs the ranks, scancel ends them."""
    folder = tmp_path / "commands"
    folder.mkdir()
    texts = {
        "srun": f"""echo $$ > {folder}/pid.new
sleep $SECONDS_OF_RUN &
trap "echo ended >> {folder}/told; kill $!; exit 143" TERM
mv {folder}/pid.new {folder}/pid
wait""",
        "scancel": f"kill -TERM $(cat {folder}/pid); sleep 0.5  # the ranks have ended before the script waits again",
        "scontrol": f'echo "$@" >> {folder}/told',
        "sleep": "exec /bin/sleep $([ $1 = 60 ] && echo 0 || echo $1)",
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    script = tmp_path / "job.sh"
    script.write_text(job_script(tmp_path, tmp_path / "ranks", "TrainClassifier", {}))
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}

    def run(seconds, warned):
        (folder / "told").unlink(missing_ok=True)
        (folder / "pid").unlink(missing_ok=True)
        job = subprocess.Popen(
            ["bash", script], env=environment | {"SECONDS_OF_RUN": seconds}, stdout=subprocess.DEVNULL
        )
        if warned:
            while not (folder / "pid").exists():
                time.sleep(0.05)
            job.send_signal(signal.SIGUSR1)
        job.wait(timeout=30)
        return job.returncode, (folder / "told").read_text().split("\n")[:-1] if (folder / "told").exists() else []

    assert run("0", warned=False) == (0, [])
    assert run("30", warned=True) == (143, ["ended", "requeue 7"])
