"""The task of a training on each node of a SLURM job: how many ranks, and where they meet."""

import os

import pytest

from data.errors import WorkerError
from tasks.runtime import slurm_ranks
from tasks.runtime.rank_exchange import RankExchange
from tasks.train_classifier import TrainClassifier

SCONTROL = """#!/bin/sh
case "$2 $4" in
  "hostnames "*) printf 'n1\\nn2\\n' ;;
  "node n1") echo "NodeName=n1 Arch=x86_64 NodeAddr=10.0.0.1 NodeHostName={first} Version=1" ;;
  "node n2") echo "NodeName=n2 Arch=x86_64 NodeAddr=10.0.0.2 NodeHostName={second} Version=1" ;;
  *) exit 1 ;;
esac
"""


@pytest.fixture
def node(tmp_path, monkeypatch, in_process, bop_root):
    """Runs the task of node n2 and returns the command that it becomes, and its environment."""

    def run(machines=("a", "b"), restarts="", **parameters):
        (tmp_path / "scontrol").write_text(SCONTROL.format(first=machines[0], second=machines[1]))
        (tmp_path / "scontrol").chmod(0o755)
        values = {"JOB_ID": "41007", "NNODES": "2", "PROCID": "1", "JOB_NODELIST": "n[1-2]"}
        for name, value in values.items():
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.setenv("SLURMD_NODENAME", "n2")
        if restarts:
            monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
        common = {"dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts")}
        RankExchange(tmp_path / "ranks").prepare(TrainClassifier(**common, **parameters))
        found = []
        monkeypatch.setattr(os, "execve", lambda *arguments: found.extend(arguments))
        slurm_ranks.main(tmp_path / "ranks")
        return found[1], found[2]

    return run


def test_all_nodes_meet_by_one_file_and_talk_by_their_addresses(node, tmp_path):
    command, environment = node(ranks=2)
    options = dict(zip(command, command[1:], strict=False))
    assert (options["--nnodes"], options["--nproc-per-node"]) == ("2", "2")
    assert options["--rdzv-endpoint"] == str(tmp_path / "ranks/meeting-0")
    assert options["--local-addr"] == "10.0.0.2"
    assert "GLOO_SOCKET_IFNAME" not in environment


def test_a_requeued_job_does_not_meet_at_the_end_of_its_first_time(node, tmp_path):
    command, _ = node(restarts="2")
    assert str(tmp_path / "ranks/meeting-2") in command


def test_without_gpus_a_node_has_one_rank_and_nodes_of_one_machine_stay_on_it(node):
    command, environment = node(machines=("a", "a"))
    assert dict(zip(command, command[1:], strict=False))["--nproc-per-node"] == "1"
    assert environment["GLOO_SOCKET_IFNAME"] == "lo"


def test_more_ranks_than_images_of_a_batch_are_told_to_the_stage(node, tmp_path):
    with pytest.raises(SystemExit):
        node(ranks=3)  # the batch has four images
    with pytest.raises(WorkerError, match="2 nodes with 3 ranks share a batch of 4 images"):
        raise RankExchange(tmp_path / "ranks").error("TrainClassifier")


def test_so_are_more_ranks_than_images_of_a_part(node, tmp_path):
    with pytest.raises(SystemExit):
        node(ranks=2, accumulate=2)
    with pytest.raises(WorkerError, match="2 nodes with 2 ranks share a batch of 4 images in 2 parts"):
        raise RankExchange(tmp_path / "ranks").error("TrainClassifier")


def test_a_command_that_fails_is_told_to_the_stage(node, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm_ranks, "_shown", lambda name: slurm_ranks._answer("false"))
    with pytest.raises(SystemExit):
        node()
    with pytest.raises(WorkerError, match="false failed on "):
        raise RankExchange(tmp_path / "ranks").error("TrainClassifier")
