"""Which rank of which job a process is, by what launchers tell it."""

import subprocess
import sys

import pytest

from gitprov.recorder.ranks import job_key, rank_of
from tests.support.repositories import clean_environment

# Of the second of four ranks; two nodes of two each.
TORCHRUN = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "0",
    "TORCHELASTIC_RUN_ID": "none",
    "TORCHELASTIC_RESTART_COUNT": "0",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_CLUSTER_NAME": "cluster",
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "3",
    "SLURM_PROCID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
}
OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-node1-815@1",
}
HYDRA = {"PMI_RANK": "1", "PMI_SIZE": "4", "PMI_JOBID": "4711.3", "MPI_LOCALNRANKS": "2"}
LAUNCHERS = [TORCHRUN, SLURM, OPEN_MPI, HYDRA]
NAMES = ["torchrun", "srun", "openmpi", "hydra"]
RANKS = list(
    zip(LAUNCHERS, ["RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"], strict=True)
)
SIZES = list(
    zip(
        LAUNCHERS,
        ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"],
        strict=True,
    )
)


def key(environ: dict[str, str]) -> str | None:
    rank = rank_of(environ)
    assert rank is not None
    return job_key(rank, environ)


@pytest.mark.parametrize("environ", LAUNCHERS, ids=NAMES)
def test_rank_and_size(environ: dict[str, str]) -> None:
    rank = rank_of(environ)
    assert rank is not None
    assert (rank.number, rank.size) == (1, 4)


@pytest.mark.parametrize(("environ", "name"), RANKS, ids=NAMES)
def test_one_key_for_all_ranks(environ: dict[str, str], name: str) -> None:
    assert key(environ) == key({**environ, name: "3"})
    assert key(environ) is not None


@pytest.mark.parametrize(("environ", "name"), SIZES, ids=NAMES)
@pytest.mark.parametrize("size", ["1", "0", "", "four"])
def test_one_rank_is_no_job(environ: dict[str, str], name: str, size: str) -> None:
    assert rank_of({**environ, name: size}) is None


@pytest.mark.parametrize(("environ", "name"), RANKS, ids=NAMES)
@pytest.mark.parametrize("number", ["", "-1", "first"])
def test_no_number(environ: dict[str, str], name: str, number: str) -> None:
    assert rank_of({**environ, name: number}) is None


def test_no_launcher() -> None:
    assert rank_of({}) is None
    assert rank_of({"RANK": "1", "WORLD_SIZE": "4"}) is None


def test_batch_script_is_alone() -> None:
    """Sbatch sets these, and starts one process; srun sets the number of tasks in the step."""
    batch = {name: SLURM[name] for name in SLURM if name != "SLURM_STEP_NUM_TASKS"}
    assert rank_of({**batch, "SLURM_PROCID": "0"}) is None


@pytest.mark.parametrize("inner", [TORCHRUN, OPEN_MPI, HYDRA], ids=["torchrun", "openmpi", "hydra"])
def test_inner_launcher_counts(inner: dict[str, str]) -> None:
    """The agent or daemon is one task a node for Slurm."""
    rank = rank_of({**SLURM, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", **inner})
    assert rank is not None
    assert (rank.number, rank.size) == (1, 4)


@pytest.mark.parametrize("environ", LAUNCHERS, ids=NAMES)
def test_off(environ: dict[str, str]) -> None:
    assert rank_of({**environ, "GITPROV_RANKS": "off"}) is None
    assert rank_of({**environ, "GITPROV_RANKS": "on"}) is not None


@pytest.mark.parametrize(
    ("environ", "other"),
    [
        (TORCHRUN, {"TORCHELASTIC_RUN_ID": "5"}),
        (TORCHRUN, {"MASTER_PORT": "29501"}),
        (TORCHRUN | SLURM, {"SLURM_STEP_ID": "4"}),
        (TORCHRUN | SLURM, {"SLURM_JOB_ID": "4712"}),
        (TORCHRUN, {"PBS_JOBID": "1.server"}),
        (SLURM, {"SLURM_STEP_ID": "4"}),
        (SLURM, {"SLURM_JOB_ID": "4712"}),
        (SLURM, {"SLURM_CLUSTER_NAME": "other"}),
        (SLURM, {"SLURM_RESTART_COUNT": "1"}),
        (OPEN_MPI, {"PMIX_NAMESPACE": "prterun-node1-816@1"}),
        (HYDRA, {"PMI_JOBID": "4711.4"}),
        (HYDRA, {"LSB_JOBID": "9"}),
    ],
    ids=lambda value: next(iter(value)) if len(value) == 1 else "",
)
def test_other_execution_has_another_key(environ: dict[str, str], other: dict[str, str]) -> None:
    assert key(environ) != key({**environ, **other})


def test_jobs_that_cannot_be_told_apart_have_no_key() -> None:
    assert key({"PMI_RANK": "1", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2"}) is None


def test_restart_on_one_node() -> None:
    first = {**TORCHRUN, "LOCAL_WORLD_SIZE": "4"}
    assert key(first) != key({**first, "TORCHELASTIC_RESTART_COUNT": "1"})


def test_restart_of_one_of_several_nodes() -> None:
    """The agents count for themselves: the same job may have different counts."""
    assert key(TORCHRUN) == key({**TORCHRUN, "TORCHELASTIC_RESTART_COUNT": "1"})


PROGRAM = """
import os, hashlib
from gitprov.recorder.ranks import job_key, rank_of
print(hashlib.sha256(job_key(rank_of(os.environ), os.environ).encode()).hexdigest())
"""
LAUNCHER = """
import os, subprocess, sys
for rank in range(3):
    words = [sys.executable, "-c", sys.argv[1]]
    if rank == 2:
        words = ["sh", "-c", '"$@"; true', "wrapper", *words]
    subprocess.run(words, env={**os.environ, "RANK": str(rank), "TORCHELASTIC_RUN_ID": "none"})
"""


def test_launchers_on_one_node_are_told_apart_by_their_process() -> None:
    """Static torchrun: the run id is `none` and the port the same each time."""
    environ = {
        "WORLD_SIZE": "3",
        "LOCAL_WORLD_SIZE": "3",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    found = []
    for _ in range(2):
        output = subprocess.run(
            [sys.executable, "-c", LAUNCHER, PROGRAM],
            env=clean_environment(**environ), capture_output=True, text=True, check=True,
            timeout=60,
        ).stdout.split()  # fmt: skip
        assert len(output) == 3
        assert len(set(output)) == 1
        found.append(output[0])
    assert found[0] != found[1]
