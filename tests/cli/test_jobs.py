"""Distributed jobs: processes with the variables of a launcher, in every order."""

import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone, clean_environment

PROV = [sys.executable, "-m", "gitprov"]
WAIT_SECONDS = 60


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def slurm(rank: int, size: int = 3, **more: str) -> dict[str, str]:
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank),
        "SLURM_STEP_NUM_TASKS": str(size),
        **more,
    }


def torchrun(rank: int, size: int = 3, **more: str) -> dict[str, str]:
    return {
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        **more,
    }


def recorded(clone: Clone) -> list[dict[str, Any]]:
    return [json.loads(line) for line in clone.prov("log", "--json").splitlines()]


def metrics(run: dict[str, Any]) -> dict[str, Any]:
    return {metric["name"]: metric["value"] for metric in run.get("metrics", [])}


class Process:
    """A rank that does one thing for each line that it is told, and says when it is done."""

    PROGRAM = """
import gitprov, os, sys
rank = int(os.environ.get("RANK") or os.environ["SLURM_PROCID"])
for line in sys.stdin:
    word = line.strip()
    if word == "start":
        run = gitprov.start_run(params={"rank": rank, f"of-{rank}": 1}, tags=[f"rank-{rank}"])
    elif word == "log":
        run.log_metrics({"loss": rank + 0.5, f"own-{rank}": rank}, step=1)
    elif word == "finish":
        run.finish()
    print(run.id, flush=True)
"""

    def __init__(self, clone: Clone, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM],
            cwd=clone.path, env=clean_environment(**environ),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def do(self, word: str) -> str:
        """Let it do something; return the run's id as it knows it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> str:
        """Return what it has said on stderr."""
        _, errors = self.process.communicate(timeout=WAIT_SECONDS)
        assert self.process.returncode == 0, errors
        return errors


@pytest.mark.parametrize(
    ("launcher", "order"),
    [*((slurm, order) for order in permutations(range(3))), (torchrun, (2, 1, 0))],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_ranks_in_every_order(clone: Clone, launcher: Any, order: tuple[int, ...]) -> None:
    ranks = {rank: Process(clone, launcher(rank)) for rank in order}
    ids = {ranks[rank].do("start") for rank in order}
    assert len(ids) == 1
    for rank in order:
        ranks[rank].do("log")
    for rank in (2, 1, 0):
        ranks[rank].do("finish")
    assert [ranks[rank].end() for rank in order] == ["", "", ""]
    [run] = recorded(clone)
    assert {run["id"]} == ids
    assert run["status"] == "completed"
    assert run["params"] == {"rank": 0, "of-0": 1, "of-1": 1, "of-2": 1}
    assert metrics(run) == {
        "loss": 0.5, "loss.rank1": 1.5, "loss.rank2": 2.5, "own-0": 0, "own-1": 1, "own-2": 2,
    }  # fmt: skip
    assert sorted(run["tags"]) == ["rank-0", "rank-1", "rank-2"]
    assert clone.store().journal.runs() == []
    assert clone.prov_call("verify").returncode == 0


def test_all_at_once(clone: Clone) -> None:
    size = 8
    program = """
import gitprov, os
with gitprov.start_run() as run:
    for step in range(20):
        run.log_metrics({"loss": step}, step=step)
    print(run.id, flush=True)
    if os.environ["SLURM_PROCID"] == "0":
        input()
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=clone.path,
            env=clean_environment(**slurm(rank, size)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(size)
    ]  # fmt: skip
    answers = [process.communicate(timeout=WAIT_SECONDS) for process in processes[1:]]
    answers.append(processes[0].communicate("\n", timeout=WAIT_SECONDS))
    assert {errors for _, errors in answers} == {""}
    [run] = recorded(clone)
    assert {output.strip() for output, _ in answers} == {run["id"]}
    assert metrics(run) == {
        "loss": 19, **{f"loss.rank{rank}": 19 for rank in range(1, size)}
    }  # fmt: skip


def test_two_executions_are_two_runs(clone: Clone) -> None:
    for step in "01":
        ranks = [Process(clone, slurm(rank, 2, SLURM_STEP_ID=step)) for rank in range(2)]
        for process in ranks:
            process.do("start")
            process.do("log")
        assert [process.end() for process in reversed(ranks)] == ["", ""]
    first, second = recorded(clone)
    assert first["id"] != second["id"]
    assert metrics(first) == metrics(second)


def test_the_same_key_again(clone: Clone) -> None:
    """Where a launcher gives nothing that is new, rank 0 has a run of its own all the same."""
    owner, late = Process(clone, slurm(0, 2)), Process(clone, slurm(1, 2))
    first = owner.do("start")
    owner.end()
    assert late.do("start") == "None"
    assert "rank 1 comes after the run" in late.end()
    owner, contributor = Process(clone, slurm(0, 2)), Process(clone, slurm(1, 2))
    second = owner.do("start")
    assert second != first
    assert contributor.do("start") == second
    contributor.do("log")
    assert contributor.end() == ""
    owner.end()
    runs = {run["id"]: run for run in recorded(clone)}
    assert runs.keys() == {first, second}
    assert metrics(runs[second])["own-1"] == 1


def test_runs_one_after_another(clone: Clone) -> None:
    ranks = [Process(clone, torchrun(rank, 2)) for rank in range(2)]
    ids = []
    for _ in range(2):
        ids.append([process.do("start") for process in ranks])
        for process in reversed(ranks):
            process.do("log")
            process.do("finish")
    assert [process.end() for process in ranks] == ["", ""]
    assert ids[0][0] == ids[0][1] != ids[1][0] == ids[1][1]
    assert [metrics(run).keys() for run in recorded(clone)] == [
        {"loss", "loss.rank1", "own-0", "own-1"}
    ] * 2


def test_rank_that_outlives_the_run(clone: Clone) -> None:
    owner, other = Process(clone, slurm(0, 2)), Process(clone, slurm(1, 2))
    run_id = owner.do("start")
    other.do("start")
    owner.do("finish")
    owner.end()
    other.do("log")
    errors = other.end()
    assert f"metrics not recorded: run {run_id[:8]} has ended" in errors
    [run] = recorded(clone)
    assert "loss" not in metrics(run)


def test_owner_that_dies(clone: Clone) -> None:
    owner, other = Process(clone, slurm(0, 2)), Process(clone, slurm(1, 2))
    other.do("start")
    other.do("log")
    owner.do("start")
    owner.process.kill()
    owner.process.communicate(timeout=WAIT_SECONDS)
    [run] = recorded(clone)
    assert (run["status"], metrics(run)) == ("aborted", {"loss": 1.5, "own-1": 1})
    other.do("log")
    assert "has ended" in other.end()


def test_owner_that_never_comes(clone: Clone) -> None:
    other = Process(clone, slurm(1, 2))
    run_id = other.do("start")
    other.do("log")
    assert other.end() == ""
    assert recorded(clone) == []
    folder = clone.path / ".git/prov/journal" / run_id
    assert folder.exists()
    os.utime(folder, (0, 0))
    assert recorded(clone) == []
    assert not folder.exists()


def test_job_files_go_after_a_week(clone: Clone) -> None:
    for step in "01":
        process = Process(clone, slurm(0, 2, SLURM_STEP_ID=step))
        process.do("start")
        process.end()
        (job,) = (clone.path / ".git/prov/jobs").iterdir()
        os.utime(job, (0, 0))
    assert len(recorded(clone)) == 2


@pytest.mark.parametrize("how", ["configuration", "environment"])
def test_off(clone: Clone, how: str) -> None:
    more = {}
    if how == "configuration":
        clone.git("config", "prov.ranks", "off")
    else:
        more = {"GITPROV_RANKS": "off"}
    for rank in (1, 0):
        process = Process(clone, slurm(rank, 2, **more))
        process.do("start")
        process.do("log")
        process.do("finish")
        process.end()
    assert [metrics(run)["loss"] for run in recorded(clone)] == [0.5, 1.5]
    assert not (clone.path / ".git/prov/jobs").exists()


def test_children_of_ranks_have_runs_of_their_own(clone: Clone) -> None:
    program = """
import gitprov, subprocess, sys
with gitprov.start_run() as run:
    code = "import gitprov\\nwith gitprov.start_run(name='child') as run: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    print(run.id)
"""
    environ = [slurm(rank, 2) for rank in (1, 0)]
    outputs = [clone.call(sys.executable, "-c", program, check=True, **more) for more in environ]
    assert [output.stderr for output in outputs] == ["", ""]
    (parent,) = {output.stdout.strip() for output in outputs}
    runs = recorded(clone)
    assert len(runs) == 3
    children = [run for run in runs if run["id"] != parent]
    assert [run["links"] for run in children] == [[{"rel": "part_of", "id": parent}]] * 2


def test_tool_that_a_rank_starts_after_its_run_has_a_run_of_its_own(clone: Clone) -> None:
    """It has inherited the rank's variables, but is not the rank."""
    program = """
import gitprov, subprocess, sys
with gitprov.start_run(name="job") as run: pass
code = "import gitprov; gitprov.start_run(name='tool').finish()"
subprocess.run([sys.executable, "-c", code], check=True)
"""
    for rank in (1, 0):
        done = clone.call(sys.executable, "-c", program, check=True, **slurm(rank, 2))
        assert done.stderr == ""
    assert sorted(run["name"] for run in recorded(clone)) == ["job", "tool", "tool"]


def test_job_that_a_rank_starts_is_a_job(clone: Clone) -> None:
    program = """
import gitprov, os, subprocess, sys
with gitprov.start_run(name="outer") as run: pass
code = "import gitprov\\nwith gitprov.start_run(name='inner') as run: run.log_metrics({'loss': 1})"
for rank in "10":
    job = {**os.environ, "SLURM_STEP_ID": "7", "SLURM_PROCID": rank}
    subprocess.run([sys.executable, "-c", code], env=job, check=True)
"""
    clone.call(sys.executable, "-c", program, check=True, **slurm(0, 2))
    inner, outer = recorded(clone)
    assert (inner["name"], outer["name"]) == ("inner", "outer")
    assert metrics(inner) == {"loss": 1, "loss.rank1": 1}


@pytest.mark.parametrize("ranks", ["on", "off"])
def test_ranks_within_one_recorded_command(clone: Clone, ranks: str) -> None:
    """The run around them is theirs; their metrics are told apart, unless they are no ranks."""
    clone.git("config", "prov.ranks", ranks)
    program = """
import gitprov, os
with gitprov.start_run() as run:
    run.log_metrics({"loss": int(os.environ["SLURM_PROCID"])})
"""
    script = 'for rank in 1 0 2; do SLURM_PROCID=$rank SLURM_STEP_NUM_TASKS=3 "$0" -c "$1"; done'
    clone.prov("run", "--", "sh", "-c", script, sys.executable, program)
    [run] = recorded(clone)
    told_apart = {"loss": 0, "loss.rank1": 1, "loss.rank2": 2}
    assert metrics(run) == (told_apart if ranks == "on" else {"loss": 2})


class TestCommand:
    """`srun git prov run -- …`."""

    SCRIPT = """
echo "rank $SLURM_PROCID" && echo "loss=$SLURM_PROCID.5" >> $GITPROV_METRICS
"$0" -c 'import gitprov, os
with gitprov.start_run(params={"rank": int(os.environ["SLURM_PROCID"])}) as run: pass
print(run.id)'
read line
exit $((SLURM_PROCID * 3))
"""

    def start(self, clone: Clone, rank: int, script: str = SCRIPT) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PROV, "run", "--quiet", "--name", "job", "--", "sh", "-c", script, sys.executable],
            cwd=clone.path, env=clean_environment(PYTHONUNBUFFERED="1", **slurm(rank)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == f"rank {rank}\n"
        return process

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=str)
    def test_one_run(self, clone: Clone, order: tuple[int, ...]) -> None:
        processes = {rank: self.start(clone, rank) for rank in order}
        answers = {}
        for rank in (2, 1, 0):
            answers[rank] = processes[rank].communicate("\n", timeout=WAIT_SECONDS)
        assert [processes[rank].returncode for rank in range(3)] == [0, 3, 6]
        assert {errors for _, errors in answers.values()} == {""}
        [run] = recorded(clone)
        assert {output.strip() for output, _ in answers.values()} == {run["id"]}
        assert (run["name"], run["status"], run["exit_code"]) == ("job", "completed", 0)
        assert run["params"] == {"rank": 0}
        assert metrics(run) == {"loss": 0.5, "loss.rank1": 1.5, "loss.rank2": 2.5}
        assert run["error"] == "rank 1 exited with 3"
        assert clone.prov("show", "--output") == f"rank 0\n{run['id']}\n"

    def test_rank_that_ends_after_the_owner(self, clone: Clone) -> None:
        owner, other = self.start(clone, 0), self.start(clone, 1)
        owner.communicate("\n", timeout=WAIT_SECONDS)
        assert owner.returncode == 0
        output, errors = other.communicate("\n", timeout=WAIT_SECONDS)
        assert other.returncode == 3
        assert len(output.split()) == 1
        assert "the failure is not recorded: run" in errors
        assert "Traceback" not in errors

    def test_rank_that_begins_after_the_owner_has_ended(self, clone: Clone) -> None:
        owner = self.start(clone, 0)
        owner.communicate("\n", timeout=WAIT_SECONDS)
        late = self.start(clone, 1, "echo rank $SLURM_PROCID; exit 5")
        _, errors = late.communicate(timeout=WAIT_SECONDS)
        assert late.returncode == 5
        assert "not recorded: rank 1 comes after the run" in errors
        assert len(recorded(clone)) == 1

    def test_rank_ended_by_a_signal(self, clone: Clone) -> None:
        owner = self.start(clone, 0)
        other = self.start(clone, 1, "echo rank $SLURM_PROCID; kill -9 $$")
        other.communicate(timeout=WAIT_SECONDS)
        assert other.returncode == 128 + 9
        owner.communicate("\n", timeout=WAIT_SECONDS)
        [run] = recorded(clone)
        assert run["error"] == "rank 1 was ended by signal 9"

    def test_command_that_cannot_be_started(self, clone: Clone) -> None:
        owner = self.start(clone, 0)
        done = clone.prov_call("run", "--", "./nowhere", **slurm(1))
        assert done.returncode == 127
        owner.communicate("\n", timeout=WAIT_SECONDS)
        [run] = recorded(clone)
        assert "nowhere" in run["error"]
