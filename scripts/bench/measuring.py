"""Timing whole processes fairly, for the scripts beside this file.

Commands that are compared are run in turn, A B A B …, so that a machine that gets slower meanwhile
is slower for all of them; medians are quoted, and ratios within one run of a script are what can
be trusted.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gitprov.codec.documents import to_document
from gitprov.model.ids import new_id
from gitprov.model.names import name_for
from gitprov.model.run import (
    Agent,
    Command,
    EnvironmentSummary,
    Metric,
    Recorder,
    Run,
    Source,
    Usage,
)
from gitprov.store.drain import drain
from gitprov.store.store import Store

BARE = [sys.executable, "-c", "pass"]
PROV = [str(Path(sys.executable).with_name("git-prov"))]
_MILLISECONDS = 1000
_BATCH = 500
_EPOCH_NS = 1_700_000_000_000_000_000


class Timing(NamedTuple):
    """Wall times of one command, in milliseconds."""

    median: float
    lowest: float
    highest: float


def time_in_turn(
    commands: Mapping[str, Sequence[str]],
    *,
    cwd: Path,
    rounds: int = 15,
    warm: int = 2,
    before: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Timing]:
    """Return the times of whole processes, each round running every command once.

    A command of the same name in `before` is run each time before it, untimed.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(warm + rounds):
        for name, command in commands.items():
            if before:
                subprocess.run(before[name], cwd=cwd, env=env, capture_output=True, check=True)
            started = time.perf_counter()
            done = subprocess.run(
                command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                check=False,
            )  # fmt: skip
            elapsed = (time.perf_counter() - started) * _MILLISECONDS
            if done.returncode != 0:
                raise SystemExit(f"{name} failed:\n{done.stderr.decode()}")
            if number >= warm:
                taken[name].append(elapsed)
    return {
        name: Timing(statistics.median(times), min(times), max(times))
        for name, times in taken.items()
    }


def make_repository(path: Path, *, files: int) -> str:
    """Make a repository with one commit of `files` files, and return the commit."""
    path.mkdir(parents=True)
    for number in range(files):
        file = path / f"src/part{number % 20}/file{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"value = {number}\n")
    for command in (
        "init --quiet --initial-branch=main",
        "config user.name Ada",
        "config user.email ada@example.org",
        "add .",
        "commit --quiet -m first",
    ):
        subprocess.run(["git", *command.split()], cwd=path, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=path, check=True, capture_output=True, text=True
    )
    return head.stdout.strip()


def one_run(number: int, *, commit: str | None = None, environment: bytes | None = None) -> Run:
    """Return a run of 20 parameters and 20 metrics."""
    started_ns = _EPOCH_NS + number * 1_000_000
    run_id = new_id()
    return Run(
        id=run_id,
        name=name_for(run_id),
        status="completed",
        exit_code=0,
        started_ns=started_ns,
        ended_ns=started_ns + 500_000,
        command=Command(argv=("python", "train.py", f"--seed={number}"), cwd="."),
        recorder=Recorder(purl="pkg:pypi/gitprov@0.1.0"),
        source=Source(commit=commit, ref="refs/heads/main") if commit else None,
        environment=EnvironmentSummary(digest=environment) if environment else None,
        agent=Agent(name="Ada", email="ada@example.org"),
        params={f"param{index}": number * 0.001 + index for index in range(20)},
        metrics=tuple(Metric(name=f"metric{i}", value=number * 0.5 + i) for i in range(20)),
        usage=Usage(wall_ns=500_000),
    )


def record_runs(path: Path, commit: str, count: int) -> None:
    """Record runs through the journal and the drain."""
    subprocess.run(["git", "config", "prov.fsync", "off"], cwd=path, check=True)
    store = Store.open(path)
    store.repository.require_writable()
    for number in range(count):
        run = one_run(number, commit=commit)
        journal = store.journal.create(run.id)
        journal.finish({"manifest": to_document(run)})
        if number % _BATCH == _BATCH - 1 or number == count - 1:
            drain(store)
    store.close()
    subprocess.run(["git", "config", "--unset", "prov.fsync"], cwd=path, check=True)


def machine() -> str:
    """Return the machine in a line."""
    uname = os.uname()
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True)
    kernel = f"{uname.sysname} {uname.release.split('-')[0]}"
    python = f"Python {sys.version.split()[0]}"
    return f"{os.cpu_count()} cores, {kernel}, {python}, {git.stdout.strip()}"
