"""Secrets never reach an object, a ref, a note, the index or the journal, whatever way they come.

Not while the run is under way either, not in the remote, and not in what a clone takes in.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.canaries import Canaries, Waiting
from tests.support.everywhere import Content, everything, places_of
from tests.support.repositories import Clone

FROM_THE_START = (
    "argument, escaped, option, assigned, param, params, message, tag, name, uri, signature, "
    "recorded, remote"
)
FROM_THE_WORK_TREE = "dirty, staged, later, untracked, link, file name"
FROM_THE_COMMAND = "stdout, coloured, stderr, variable, torn, key"
FROM_PYTHON = "python, exception"
AT_THE_END = "metric, line, output, target"


@pytest.fixture
def canaries(tmp_path: Path) -> Canaries:
    return Canaries(tmp_path)


def contents(git_dir: Path) -> list[Content]:
    return list(everything(git_dir))


def without_users_own(canaries: Canaries, found: list[Content]) -> dict[str, set[str]]:
    """Return the leaks, but for the URL in the configuration, and what the user has staged."""
    leaks = canaries.leaks(found)
    assert leaks.pop("remote") == {"config"}
    assert leaks.pop("staged") == {"objects"}
    return leaks


def assert_nothing_leaks_while_it_runs(canaries: Canaries) -> None:
    found = contents(canaries.clone.path / ".git")
    leaks = without_users_own(canaries, found)
    # The file that $GITPROV_METRICS names is the command's own; it is gone when the run has ended.
    assert [Path(place).name for place in leaks.pop("line")] == ["metrics.lines"]
    # So are the names of files that its processes report.
    assert {Path(place).parent.name for place in leaks.pop("output", set())} <= {"reads"}
    assert leaks == {}
    journal = "prov/journal"
    assert canaries.missing(found, journal, FROM_THE_START) == []
    assert canaries.missing(found, journal, FROM_THE_WORK_TREE) == []
    assert canaries.missing(found, journal, f"{FROM_THE_COMMAND}, {FROM_PYTHON}, lock") == []


def let_it_complete(run: Waiting) -> None:
    run.let_go()
    assert run.process.returncode == 0


def let_it_fail(run: Waiting) -> None:
    run.let_go()
    assert run.process.returncode == 3


def kill_it(run: Waiting) -> None:
    run.process.send_signal(signal.SIGKILL)
    run.process.wait(timeout=60)
    os.kill(run.command, signal.SIGKILL)


@pytest.mark.parametrize(
    ("status", "end", "ways"),
    [
        (0, let_it_complete, f"{AT_THE_END}, {FROM_PYTHON}"),
        (3, let_it_fail, f"{AT_THE_END}, {FROM_PYTHON}"),
        (0, kill_it, "line, python"),
    ],
    ids=["completed", "failed", "killed"],
)
def test_secrets_stay_out(
    canaries: Canaries, status: int, end: Callable[[Waiting], None], ways: str
) -> None:
    with canaries.running(status) as run:
        assert_nothing_leaks_while_it_runs(canaries)
        end(run)
    clone = canaries.clone
    shown = [clone.prov("log"), clone.prov("log", "--json"), clone.prov("show")]
    shown += [clone.prov("show", "--json"), clone.prov("show", "--output"), clone.prov("links")]
    shown += [clone.git("log", "--notes=prov"), clone.prov("verify"), clone.prov("push")]
    clone.git("config", "notes.displayRef", "refs/notes/prov")
    found = contents(clone.path / ".git")
    assert without_users_own(canaries, found) == {}
    every = f"{FROM_THE_START}, {FROM_THE_WORK_TREE}, {FROM_THE_COMMAND}, lock, {ways}"
    assert canaries.missing(found, "objects", every) == []
    # Also looked at were the index, the journal's folder, caches, hooks and refs.
    assert canaries.missing(found, "prov/index.sqlite", "argument, param, tag") == []
    places = {content.place for content in found}
    assert {"hooks/pre-push", "prov/writer", "prov/salt", "refs/notes/prov"} <= places
    assert places_of(clone.git("rev-parse", "refs/notes/prov").strip(), found)
    assert not list((clone.path / ".git/prov/journal").glob("[!.]*"))

    there = contents(canaries.remote)
    assert canaries.leaks(there) == {}
    assert canaries.missing(there, "objects", every) == []

    other = Clone.of(str(canaries.remote), canaries.folder / "other")
    other.prov("init")
    other.prov("pull", "--payload")
    shown += [other.prov("show"), other.prov("show", "--output"), other.prov("log")]
    taken_in = contents(other.path / ".git")
    assert canaries.leaks(taken_in) == {}
    assert canaries.missing(taken_in, "objects", every) == []

    assert canaries.leaks([Content("shown", "\n".join(shown).encode())]) == {}
    assert canaries.plain["stdout"] in "".join(shown)


def test_secrets_of_a_python_program_stay_out(canaries: Canaries) -> None:
    done = canaries.program()
    assert "RuntimeError" in done.stderr
    shown = canaries.clone.prov("show") + canaries.clone.prov("show", "--json")
    canaries.clone.prov("push")
    found = contents(canaries.clone.path / ".git")
    assert without_users_own(canaries, found) == {}
    there = contents(canaries.remote)
    assert canaries.leaks([*there, Content("shown", shown.encode())]) == {}
    ways = f"name, message, param, tag, uri, metric, output, recorded, {FROM_PYTHON}"
    assert canaries.missing(there, "objects", f"{ways}, {FROM_THE_WORK_TREE}, lock") == []


def test_the_terminal_gets_the_output_as_it_is_and_no_secret_from_us(canaries: Canaries) -> None:
    with canaries.running() as run:
        stdout, stderr = run.let_go()
    secret = canaries.secrets
    for way in ("stdout", "coloured", "torn", "key", "variable"):
        assert secret[way] in stdout
    assert secret["stderr"] in stderr
    ours = "".join(line for line in stderr.splitlines(True) if line.startswith("gitprov: "))
    assert "kept out of the record, for holding secrets" in ours
    assert canaries.leaks([Content("stderr", ours.encode())]) == {}


def test_a_look_ahead_shows_no_secret_and_writes_nothing(canaries: Canaries) -> None:
    git_dir = canaries.clone.path / ".git"
    before = {content.place: content.data for content in contents(git_dir)}
    done = canaries.clone.prov_call("scan", DB_PASSWORD=canaries.secrets["variable"])
    assert done.returncode == 1
    for name in ("dirty.py", "later.py", "key.pem", "connect.py", "link", "requirements.txt"):
        assert f"    {name}: holds a secret (" in done.stdout
    assert canaries.leaks([Content("shown", (done.stdout + done.stderr).encode())]) == {}
    assert {content.place: content.data for content in contents(git_dir)} == before
