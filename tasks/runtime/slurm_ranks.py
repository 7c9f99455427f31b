"""Starts the ranks of a training on one node of a SLURM job: ``python -m tasks.runtime.slurm_ranks <folder>``.

It is the task of the job on each node. It becomes torchrun, so it gets the signals that SLURM sends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from data.errors import WorkerError
from tasks.runtime.devices import visible_gpus
from tasks.runtime.rank_exchange import RankExchange
from tasks.runtime.rank_launch import rank_command, rank_environment
from tasks.runtime.ranks import most_ranks
from tasks.runtime.slurm_queue import ask_slurm


def main(folder: Path) -> None:
    """Become torchrun. The folder is that of a `RankExchange`."""
    exchange = RankExchange(folder)
    nodes, name = int(os.environ["SLURM_NNODES"]), os.environ["SLURMD_NODENAME"]
    if os.environ["SLURM_PROCID"] == "0":
        for path in folder.glob("failure-*.pickle"):  # those of the time before the job was in the queue again
            path.unlink()
    try:
        ranks = _ranks_of_node(exchange, nodes)
        names = _answer("scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]).split()
        shown = {node: _shown(node) for node in names}
        meeting = f"meeting-{os.environ.get('SLURM_RESTART_COUNT', 0)}"
        command = rank_command(folder, ranks, nodes, meeting, shown[name]["NodeAddr"])
    except WorkerError as error:
        exchange.write_failure(int(os.environ["SLURM_PROCID"]), error)
        sys.exit(1)
    machines = {node["NodeHostName"] for node in shown.values()}
    os.execve(command[0], command, rank_environment(ranks, len(machines)))


def _ranks_of_node(exchange: RankExchange, nodes: int) -> int:
    """Number of ranks on this node: ``ranks`` of the stage, or one per GPU, or one."""
    stage = exchange.stage()
    ranks = stage.ranks or max(1, len(visible_gpus(stage.device)))
    if ranks * nodes > most_ranks(stage.batch_size, stage.accumulate):
        parts = f" in {stage.accumulate} parts" if stage.accumulate > 1 else ""
        raise WorkerError(
            f"{stage.label}: {nodes} nodes with {ranks} ranks share a batch of {stage.batch_size} images{parts}; ask "
            f"for fewer in section [slurm-training] of luigi.cfg, or raise --{type(stage).__name__}-batch-size"
        )
    return ranks


def _shown(node: str) -> dict[str, str]:
    """What SLURM knows of a node, such as its address: its name may be none of the network."""
    shown = dict(part.partition("=")[::2] for part in _answer("scontrol", "show", "node", "--oneliner", node).split())
    return {"NodeAddr": node, "NodeHostName": node, **shown}


def _answer(*command: str) -> str:
    answer = ask_slurm(*command)
    if answer.returncode:
        raise WorkerError(f"{' '.join(command)} failed on {os.uname().nodename} ({' '.join(answer.stderr.split())})")
    return answer.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
