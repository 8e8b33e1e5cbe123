"""Which part of a distributed job this process is: one entry for each launcher.

A launcher starts the same program many times and tells each copy its rank through the environment.
A job of one rank is no job. The names are those of the launchers' documentation: torchrun ("Elastic
Launch", environment variables), srun (OUTPUT ENVIRONMENT VARIABLES), Open MPI ("Environment
variables set for MPI applications"), and Hydra, the launcher of MPICH and Intel MPI.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gitprov.store.liveness import current_process, process_start

RANKS_VARIABLE = "GITPROV_RANKS"


class Launcher(NamedTuple):
    """How one launcher tells a process its place.

    `mark` is a variable that its processes have and that it has not itself. `job` names variables
    that are the same for all ranks and, taken together, new with each execution. Where they are
    not, but all ranks are on one node, as `local_size` says, the launcher's own process is part of
    the key, and the variables `local_job` are: they are per node.
    """

    mark: str
    rank: str
    size: str
    job: tuple[str, ...]
    local_size: str | None = None
    local_job: tuple[str, ...] = ()


_ALLOCATION = (
    "SLURM_CLUSTER_NAME",
    "SLURM_JOB_ID",
    "SLURM_RESTART_COUNT",
    "PBS_JOBID",
    "LSB_JOBID",
)

# The innermost first: torchrun and mpirun run below srun, and Slurm's variables are there, too.
LAUNCHERS = (
    Launcher(
        mark="TORCHELASTIC_RUN_ID",  # "none" unless the user has given one
        rank="RANK",
        size="WORLD_SIZE",
        job=("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", *_ALLOCATION, "SLURM_STEP_ID"),
        local_size="LOCAL_WORLD_SIZE",
        local_job=("TORCHELASTIC_RESTART_COUNT",),
    ),
    Launcher(
        mark="OMPI_COMM_WORLD_RANK",
        rank="OMPI_COMM_WORLD_RANK",
        size="OMPI_COMM_WORLD_SIZE",
        job=("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", *_ALLOCATION),
        local_size="OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    Launcher(
        mark="PMI_RANK",
        rank="PMI_RANK",
        size="PMI_SIZE",
        job=("PMI_JOBID", *_ALLOCATION),
        local_size="MPI_LOCALNRANKS",
    ),
    Launcher(
        # Only srun sets it: a batch script has a SLURM_PROCID and an SLURM_NTASKS, and is alone.
        mark="SLURM_STEP_NUM_TASKS",
        rank="SLURM_PROCID",
        size="SLURM_STEP_NUM_TASKS",
        job=(*_ALLOCATION, "SLURM_STEP_ID"),
    ),
)


class Rank(NamedTuple):
    """A process's place in its job."""

    number: int
    size: int
    launcher: Launcher


def rank_of(environ: Mapping[str, str]) -> Rank | None:
    """Return the place that the environment gives a process; None for one that is alone.

    `GITPROV_RANKS=off` says that the processes of a job have nothing to do with one another.
    """
    for launcher in LAUNCHERS:
        if launcher.mark in environ:
            if environ.get(RANKS_VARIABLE, "").lower() in ("off", "no", "false", "0"):
                return None
            number, size = environ.get(launcher.rank, ""), environ.get(launcher.size, "")
            if number.isdecimal() and size.isdecimal():
                return Rank(int(number), int(size), launcher) if int(size) > 1 else None
    return None


def job_key(rank: Rank, environ: Mapping[str, str]) -> str | None:
    """Return what is the same for all ranks of a job and for no other job, or None.

    Without a launcher's process or an id from somebody, two jobs cannot be told apart.
    """
    launcher = rank.launcher
    known = [f"{name}={environ[name]}" for name in launcher.job if environ.get(name)]
    if launcher.local_size and environ.get(launcher.local_size) == str(rank.size):
        known += [f"{name}={environ.get(name, '')}" for name in launcher.local_job]
        known.append(_process_of(launcher))
    return "\n".join([launcher.mark, str(rank.size), *known]) if known else None


def _process_of(launcher: Launcher) -> str:
    """Return which process of this machine is the launcher.

    The next one above us that is no rank: a shell or `uv run` may stand between.
    """
    pid = os.getppid()
    while pid > 1 and _has_variable(pid, launcher.mark):
        pid = _parent(pid)
    here = current_process()
    return f"{here['host']} {here['boot']} {here['pids']} {pid} {process_start(pid)}"


def _has_variable(pid: int, name: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"\0{name}=".encode() in b"\0" + environment


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])
