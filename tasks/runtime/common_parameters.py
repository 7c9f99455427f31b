"""The parameters that all stages share, so that one flag sets them: ``--device cpu``."""

from __future__ import annotations

import socket

import luigi

from data.readers import DATASETS
from tasks.methods import METHODS
from tasks.presets import DEFAULT_PROFILE, PROFILES
from tasks.runtime.numeric import whole
from tasks.runtime.parameters import flag, one_of
from tasks.runtime.precision import PRECISIONS, resolved_precision
from tasks.runtime.settings_parameter import SettingsParameter
from tasks.runtime.slurm_settings import SLURM

CLUSTERS = ("none", SLURM)
"""Values of the parameter ``cluster``."""


class CommonParameters:
    """Mixin: parameters that every stage passes on to the stages that it requires."""

    dataset = luigi.Parameter(default="demo", description=f"data set: {', '.join(sorted(DATASETS))}")
    data_root = luigi.Parameter(
        default="",
        description="folder that contains the data set, empty = look in $DEPTHSEED_DATA, in the folder of [datasets], "
        "and in datasets; demo needs none",
        significant=False,
    )
    fetch = flag(False, "download the data set if it is not there (FetchDataset)", significant=False)
    artifacts = luigi.Parameter(default="artifacts", description="folder for all results", significant=False)
    profile = luigi.ChoiceParameter(
        default=DEFAULT_PROFILE, choices=sorted(PROFILES), description="preset of parameters", significant=False
    )
    method = one_of(METHODS, "superpixel", "method that trains the segmentation network")
    settings = SettingsParameter(
        default={},
        description='JSON of parameters of single stages, overrides luigi.cfg: {"Stage": {"parameter": value}}',
    )
    seed = whole(0, "seed of everything that is random", at_least=0, at_most=2**32 - 1)
    processes = whole(0, "number of processes of the CPU stages, 0 = one per core", at_least=0, significant=False)
    dask = luigi.Parameter(
        default="",
        description="workers of the stages over images: address of a Dask scheduler, or slurm (section [slurm] of "
        "luigi.cfg)",
        significant=False,
    )
    cluster = one_of(
        CLUSTERS,
        "none",
        "slurm: trainings are SLURM jobs, and so are the workers of stages over images",
    )
    shard_timeout = whole(
        3600, "seconds that a worker process may take for a shard, 0 = no limit", at_least=0, significant=False
    )
    tensorboard = luigi.Parameter(
        default="",
        description="folder for losses, learning rates and pictures of all trainings, for TensorBoard; empty = none",
        significant=False,
    )
    device = luigi.Parameter(
        default="auto", description="torch device; auto = cuda if it is available, else cpu", significant=False
    )

    precision = one_of(
        PRECISIONS,
        "auto",
        "precision of networks: 32, bf16 = autocast to bfloat16, auto = bf16 on GPUs that have it",
    )

    compile = flag(
        False,
        "compile networks by torch.compile: faster on a GPU, after a start of some minutes; it changes results by "
        "rounding alone",
        significant=False,
    )

    autocasts = False
    """True if the stage has a network on which `precision` acts."""

    @property
    def resolved_precision(self) -> str:
        """``32`` or ``bf16``: what `precision` means on this machine."""
        return resolved_precision(self.precision, self.device) if self.autocasts else "32"

    def process_resources(self) -> dict[str, int]:
        """luigi runs one stage with a network at a time on each machine. Its scheduler may be that of many machines."""
        return {f"gpu@{socket.gethostname()}": 1} if self.autocasts and self.is_computed_here else {}

    @property
    def is_computed_here(self) -> bool:
        """True if the network of the stage runs on this machine."""
        return not self.dask

    common: tuple[str, ...]
    """Names of these parameters."""


COMMON = CommonParameters.common = tuple(
    name for name, value in vars(CommonParameters).items() if isinstance(value, luigi.Parameter)
)
"""Names of the parameters of `CommonParameters`."""
