"""Whether this machine can run the pipeline: one check for each thing that it needs, one line for each check."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import luigi.configuration
import psutil
from filelock import FileLock, Timeout
from packaging.requirements import Requirement

from data.readers import DATASETS
from data.readers.places import find_root
from pipeline.settings_file import settings_path
from tasks.presets import GPU_PROFILE
from tasks.runtime.data_place import data_places
from tasks.runtime.devices import DRIVER, usable_cores

OK, WARNING, PROBLEM = "ok", "warning", "PROBLEM"

PACKAGE = "depthseed"

LITTLE, TOO_LITTLE = 10e9, 0.5e9
"""Bytes of free disk below which there is a warning, and below which the demo does not fit."""

LITTLE_MEMORY = 6e9
"""Bytes of memory below which there is a warning: a stage of the profile small takes up to 5.4 GB."""

SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb", "9p", "fuse.sshfs", "glusterfs", "orangefs", "afs")
"""Beginnings of the names of file systems that several machines share."""

LOCAL_LOCKS = ("nolock", "local_lock=all", "local_lock=flock", "localflock")
"""Mount options with which a lock is seen on one machine alone."""


class Finding(NamedTuple):
    """What a check found.

    Attributes
    ----------
    level : str
        `OK`; `WARNING`: something is slow or left out; `PROBLEM`: it will not work.
    about : str
        What was checked.
    text : str
        What was found, and what to do if it is not ok.
    """

    level: str
    about: str
    text: str


def check_python() -> Finding:
    """The version that setup.cfg asks for."""
    there = platform.python_version()
    needed = metadata.metadata(PACKAGE)["Requires-Python"] or ""
    if Requirement(f"python{needed}").specifier.contains(there, prereleases=True):
        return Finding(OK, "Python", f"{there}, {sys.executable}")
    return Finding(PROBLEM, "Python", f"{there} is not {needed}; make the environment with another Python")


def check_packages() -> Finding:
    """The packages that are always needed, in the versions that setup.cfg asks for."""
    needed = [one for one in _requirements() if not one.marker or one.marker.evaluate({"extra": ""})]
    wrong = [told for one in needed if (told := _wrong_version(one))]
    if wrong:
        return Finding(PROBLEM, "packages", f"{', '.join(wrong)}; run: pip install --upgrade {PACKAGE}")
    return Finding(OK, "packages", f"all {len(needed)} that are needed")


def check_torch() -> Finding:
    """Whether torch can be loaded and computes."""
    try:
        import torch

        torch.ones(2, 2) @ torch.ones(2, 2)
    except Exception as error:  # a broken installation raises anything
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(
            PROBLEM, "torch", f"cannot be loaded ({line}); install it again: https://pytorch.org/get-started"
        )
    return Finding(OK, "torch", f"{torch.__version__}, {torch.get_num_threads()} threads")


def check_gpu(driver: Path = DRIVER) -> Finding:
    """Whether torch sees a GPU, if the machine has one."""
    try:
        import torch
    except Exception:
        return Finding(WARNING, "GPU", "not known, since torch cannot be loaded")
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        told = f"{', '.join(names)}, {memory:.0f} GB, CUDA {torch.version.cuda}"
        return Finding(OK, "GPU", f"{told}; the profile for it is --profile {GPU_PROFILE}")
    if driver.exists():
        remedy = "install a torch with CUDA: https://pytorch.org/get-started" if torch.version.cuda is None else (
            f"torch has CUDA {torch.version.cuda}; update the driver, or look at CUDA_VISIBLE_DEVICES"
        )  # fmt: skip
        return Finding(WARNING, "GPU", f"there is a driver, but torch sees no GPU, so all runs on the CPU; {remedy}")
    return Finding(OK, "GPU", "none; the profile small is meant for that")


def check_compiler() -> Finding:
    """pydensecrf2 is built when it is installed. It needs a compiler, and so does --compile on a GPU."""
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), None)
    has_crf = _version("pydensecrf2") is not None
    crf = "pydensecrf2 is installed" if has_crf else "torch computes the CRF, slower than pydensecrf2 without a GPU"
    if compiler:
        return Finding(OK, "compiler", f"{compiler}; {crf}")
    if has_crf:
        return Finding(OK, "compiler", f"none, and none is needed now: {crf}")
    return Finding(WARNING, "compiler", f"none; {crf}; install one (Debian: apt install g++)")


def check_memory() -> Finding:
    """Memory and cores."""
    memory, cores = psutil.virtual_memory().total, usable_cores()
    told = f"{memory / 1e9:.1f} GB, {cores} cores"
    if memory < LITTLE_MEMORY:
        return Finding(WARNING, "memory", f"{told}; stages take up to 5.4 GB: use smaller frames or batches")
    return Finding(OK, "memory", told)


def check_disk(artifacts: Path) -> Finding:
    """Whether the folder of the artifacts can be written and has space."""
    there = _existing(artifacts)
    if any(place.exists() and not place.is_dir() for place in (artifacts, *artifacts.parents)):
        return Finding(PROBLEM, "disk", f"{artifacts} is no folder; name another one with --artifacts")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        told = error.strerror or error
        return Finding(PROBLEM, "disk", f"{there} cannot be written ({told}); name another folder with --artifacts")
    told = f"{free / 1e9:.1f} GB free for {artifacts}"
    if free < TOO_LITTLE:
        return Finding(PROBLEM, "disk", f"{told}; free some, or name another folder with --artifacts")
    if free < LITTLE:
        return Finding(WARNING, "disk", f"{told}; depthseed clean --stale shows what can be deleted")
    return Finding(OK, "disk", told)


def check_locks(artifacts: Path) -> Finding:
    """Whether the file system of the artifacts is shared, and whether a lock on it keeps a second run out."""
    there = _existing(artifacts)
    kind, options = _mount(there)
    shared = kind.startswith(SHARED)
    place = f"{there} is on {kind or 'an unknown file system'}, {'shared by machines' if shared else 'local'}"
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=".doctor-") as folder:
            holds = _keeps_out(Path(folder) / "lock")
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return Finding(PROBLEM, "locks", f"{place}; it cannot be written ({error.strerror})")
        return Finding(PROBLEM, "locks", f"{place}; it has no file locks ({error.strerror}); {MOUNT}")
    if not holds:
        return Finding(PROBLEM, "locks", f"{place}; a second run is not kept out; {MOUNT}")
    if shared and (local := [option for option in options if option in LOCAL_LOCKS]):
        told = f"{place}; mounted with {local[0]}: locks hold on each machine alone, so run on one machine at a time"
        return Finding(WARNING, "locks", told)
    between = "; that they hold between machines cannot be seen from one machine" if shared else ""
    return Finding(OK, "locks", f"{place}; locks work{between}")


MOUNT = "name another folder with --artifacts, or mount it with locks (Lustre: flock; NFS: not nolock)"


def check_settings() -> Finding:
    """Which luigi.cfg is in use. One that cannot be read has ended this process before."""
    path = settings_path()
    if not path.exists():
        return Finding(OK, "luigi.cfg", f"there is no {path} in {Path.cwd()}; the defaults in the code apply")
    if not luigi.configuration.get_config().getboolean("core", "local_scheduler", True):
        told = "local_scheduler=false: every run asks a luigid server; remove the line if there is none"
        return Finding(WARNING, "luigi.cfg", f"{path.resolve()}; {told}")
    return Finding(OK, "luigi.cfg", str(path.resolve()))


def check_data() -> Finding:
    """Which data sets are in the places where they are looked for."""
    places = data_places()
    found = [name for name in DATASETS if find_root(name, places)]
    looked = ", ".join(map(str, places))
    return Finding(
        OK, "data sets", f"{', '.join(found) or 'none'} in {looked}; others need --data-root or --fetch true"
    )


def check_extras() -> Iterator[Finding]:
    """One finding for each extra of setup.cfg that is for users."""
    for extra in metadata.metadata(PACKAGE).get_all("Provides-Extra") or ():
        if extra in DEVELOPERS:
            continue
        only = [one for one in _requirements() if one.marker and not one.marker.evaluate({"extra": ""})]
        needed = [one for one in only if one.marker and one.marker.evaluate({"extra": extra})]
        wrong = [told for one in needed if (told := _wrong_version(one))]
        text = f"{', '.join(wrong)}; if you need it: pip install '{PACKAGE}[{extra}]'" if wrong else "installed"
        yield Finding(OK, f"extra {extra}", text)


DEVELOPERS = ("test", "dev")
"""Extras that no user needs."""


def findings(artifacts: Path) -> Iterator[Finding]:
    """All checks in the order in which they are shown.

    Parameters
    ----------
    artifacts : Path
        The folder of the artifacts; it need not exist.
    """
    if _version(PACKAGE) is None:
        told = f"no package {PACKAGE} in this environment; run pip install -e . where setup.cfg is"
        yield Finding(PROBLEM, "installation", told)
        return
    simple: tuple[Callable[[], Finding], ...] = (
        check_python, check_packages, check_torch, check_gpu, check_compiler, check_memory,
    )  # fmt: skip
    for check in simple:
        yield check()
    yield check_disk(artifacts)
    yield check_locks(artifacts)
    yield check_settings()
    yield check_data()
    yield from check_extras()


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in metadata.requires(PACKAGE) or ()]


def _wrong_version(needed: Requirement) -> str:
    """What is wrong with a package; empty if it is there in a version that fits."""
    there = _version(needed.name)
    if there is None:
        return f"{needed.name} is not installed"
    if not needed.specifier.contains(there, prereleases=True):
        return f"{needed.name} {there} is not {needed.specifier}"
    return ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _mount(path: Path) -> tuple[str, list[str]]:
    """Kind and options of the file system that holds a folder; an empty kind if it is not known."""
    path = path.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if path.is_relative_to(part.mountpoint)]
    if not mounts:
        return "", []
    best = max(mounts, key=lambda part: len(part.mountpoint))
    return best.fstype, best.opts.split(",")


def _keeps_out(path: Path) -> bool:
    """True if a lock that is held refuses a second one."""
    with FileLock(path, fallback_to_soft=False):
        try:
            with FileLock(path, timeout=0, fallback_to_soft=False):
                return False
        except Timeout:
            return True
