"""Locks that a killed git has left are told from those of the living."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitprov.store import git_locks as git_locks_module
from gitprov.store.git_locks import (
    LONGEST_SECONDS,
    PACKED,
    SHALLOW,
    _subcommand,
    announce,
    announced,
    git_locks,
    left_moving,
    release_dead_locks,
)
from gitprov.store.refs import NOTES
from gitprov.store.repository import Repository
from tests.support.repositories import Clone, clean_environment

A, B = "refs/prov/ledger/2026-01/00", "refs/prov/ledger/2026-01/01"
REMOTE = "refs/prov-remote/origin/ledger/2026-01/00"
KILLED, OLD = "left by a gitprov that was killed", "older than this machine's start"
ONE, TWO = "12" * 20, "34" * 20


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository.discover(Clone.make(tmp_path / "clone").path)
    repository.require_writable()
    return repository


def lock(repository: Repository, ref: str, content: str = "") -> Path:
    path = repository.common_dir / f"{ref}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def made(seconds_ago: float, *paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - seconds_ago,) * 2)


def long_ago(*paths: Path) -> None:
    """Make files older than any process."""
    for path in paths:
        os.utime(path, (0, 0))


@contextmanager
def living(program: Path, *words: str) -> Iterator[None]:
    """Let a program of this name live while the block runs."""
    shutil.copy("/bin/sh", program)
    command = [program, "-c", "echo; read line", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate(b"\n", timeout=20)


def proofs(repository: Repository) -> dict[str, str | None]:
    return {found.path.name: found.proof for found in git_locks(repository)}


@pytest.mark.parametrize("ref", [A, NOTES, REMOTE])
@pytest.mark.parametrize("end", ["\n", ""])
def test_lock_with_the_value_that_was_announced_is_dead(
    repository: Repository, ref: str, end: str
) -> None:
    """Whoever holds the store's lock knows it, whatever else is at work."""
    announce(repository, {ref: ONE, B: TWO})
    with repository.git.open("update-ref", "--stdin") as living:
        left = lock(repository, ref, ONE + end)
        assert proofs(repository) == {left.name: KILLED}
        assert release_dead_locks(repository) == []
        assert living.stdin is not None
        living.stdin.close()
    assert not left.exists()
    assert not left_moving(repository)


@pytest.mark.parametrize("written", [0, 7])
def test_lock_without_a_value_may_be_that_of_a_living_git(
    repository: Repository, written: int
) -> None:
    announced = announce(repository, {A: ONE})
    with repository.git.open("update-ref", "--stdin") as living:
        left = lock(repository, A, ONE[:written])
        assert proofs(repository) == {"00.lock": None}
        assert living.stdin is not None
        living.stdin.close()
    # What other tests have started may live on: to none of it can this lock belong.
    long_ago(left, announced)
    assert proofs(repository) == {"00.lock": KILLED}
    assert release_dead_locks(repository) == []
    assert not left.exists()


def test_lock_that_git_would_have_let_go_of_long_since(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What else is at work on this machine is not for the test to say.
    monkeypatch.setattr(git_locks_module, "_git_lives_since", lambda _: False)
    announced = announce(repository, {A: ONE})
    left = lock(repository, A)
    made(LONGEST_SECONDS + 1, announced, left)
    assert release_dead_locks(repository) == []
    assert not left.exists()


def test_lock_that_is_older_than_the_announcement_is_not_ours(repository: Repository) -> None:
    left = lock(repository, A)
    announce(repository, {A: ONE})
    made(LONGEST_SECONDS + 1, left)
    [alive] = release_dead_locks(repository)
    assert alive.path == left
    assert left_moving(repository)


@pytest.mark.parametrize(
    ("content", "announced"),
    [
        ("", {}),
        ("", {B: ONE}),
        (f"{ONE}\n", {}),
        (f"{ONE}\n", {B: ONE}),
        (f"{ONE}\n", {A: TWO}),
        ("12" * 19, {A: "12" * 9 + "34" * 11}),
        ("words\n", {A: ONE}),
    ],
)
def test_somebody_else_s_lock_stays(
    repository: Repository, content: str, announced: dict[str, str]
) -> None:
    left = lock(repository, A, content)
    announcement = announce(repository, dict(announced))
    made(LONGEST_SECONDS + 1, announcement, left)
    [alive] = release_dead_locks(repository)
    assert (alive.path, alive.proof) == (left, None)
    assert LONGEST_SECONDS < alive.age_seconds < 3600
    assert left.exists()


@pytest.mark.parametrize("content", ["", f"{ONE}\n"])
def test_lock_from_before_the_machine_s_start_is_dead(repository: Repository, content: str) -> None:
    left = lock(repository, A, content)
    long_ago(left)
    assert proofs(repository) == {"00.lock": OLD}
    assert release_dead_locks(repository) == []
    assert not left.exists()


@pytest.mark.parametrize("ref", [A, REMOTE])
def test_lock_on_a_filesystem_of_others_has_no_such_age(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    """It may be held on another machine, which has not been started anew."""
    monkeypatch.setattr("gitprov.store.git_locks.is_local", lambda _: False)
    left = lock(repository, ref)
    long_ago(left)
    [alive] = release_dead_locks(repository)
    assert alive.path == left


def test_locks_of_the_user_s_refs_are_not_looked_at(repository: Repository) -> None:
    names = ("refs/heads/main", "refs/notes/commits", "packed-refs", "config", "index")
    theirs = [lock(repository, name) for name in names]
    long_ago(*theirs)
    announce(repository, {A: ONE})
    assert git_locks(repository) == []


@pytest.mark.parametrize("text", [b"", b"\xff\0 \n\n a b c\n", b"refs/prov"])
def test_announcement_that_says_nothing(repository: Repository, text: bytes) -> None:
    announce(repository, {}).write_bytes(text)
    assert left_moving(repository)
    assert release_dead_locks(repository) == []
    assert not left_moving(repository)


def test_earlier_announcement_counts(repository: Repository) -> None:
    """Another process has announced the same since, and the lock is the first one's."""
    first = announce(repository, {A: ONE})
    long_ago(first)
    left = lock(repository, A)
    made(60, left)
    announce(repository, {A: TWO})
    assert proofs(repository) == {"00.lock": KILLED}


@pytest.mark.parametrize("value", [ONE, TWO])
def test_each_of_several_announcements_counts(repository: Repository, value: str) -> None:
    """A lock that is alive may keep the announcement of an earlier death."""
    announce(repository, {A: ONE})
    announce(repository, {A: TWO})
    left = lock(repository, A, value)
    assert release_dead_locks(repository) == []
    assert not left.exists()
    assert not left_moving(repository)


@pytest.mark.parametrize("written", [0, 7])
def test_old_lock_without_a_value_stays_while_an_older_git_lives(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """One that waits for long, as for a hook of the user's, or is stopped."""
    monkeypatch.setattr(git_locks_module, "LONGEST_SECONDS", 0)
    with living(tmp_path / "git", "-c", "a=log", "push", "origin", "log"):
        announced, left = announce(repository, {A: ONE}), lock(repository, A, ONE[:written])
        made(0.1, announced, left)
        [alive] = release_dead_locks(repository)
        assert (alive.path, alive.proof, alive.is_ripening) == (left, None, False)
    assert left.exists()
    assert left_moving(repository)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("git cat-file --batch", "cat-file"),
        ("git -c a=b -C dir --git-dir=x --work-tree=y cat-file", "cat-file"),
        ("/usr/lib/git-core/git-daemon --inetd", "daemon"),
        ("/usr/bin/python3 /home/ada/bin/git-prov run -- true", "prov"),
        ("git prov run -- git fetch", "prov"),
        ("git fetch prov", "fetch"),
        ("git push origin log", "push"),
        ("git -c prov fetch", "fetch"),
        ("git --no-pager update-ref --stdin", "update-ref"),
        ("/bin/sh /usr/lib/git-core/git-submodule update log", "submodule"),
        ("git", ""),
        ("", ""),
    ],
)
def test_command_of_a_git_that_lives(words: str, command: str) -> None:
    """What stands anywhere else, such as a remote's name, says nothing."""
    line = b"\0".join(words.encode().split(b" ")) + b"\0"
    assert _subcommand(line.split(b"\0")) == command.encode()


def test_lock_from_the_future_is_not_waited_for(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was set back: it may be hours until the lock has any age."""
    monkeypatch.setattr(git_locks_module.time, "sleep", pytest.fail)
    announced, left = announce(repository, {A: ONE}), lock(repository, A)
    made(-3600, announced, left)
    [alive] = release_dead_locks(repository)
    assert (alive.path, alive.is_ripening) == (left, False)


def test_what_is_announced_of_a_git_that_lives_stays(repository: Repository) -> None:
    """A fetch takes long, and does not share the store's lock."""
    with announced(repository, PACKED, SHALLOW):
        left = lock(repository, PACKED)
        long_ago(left)
        assert not left_moving(repository)
        assert git_locks(repository) == []
        assert release_dead_locks(repository) == []
        assert left.exists()
        left.unlink()
    assert not left_moving(repository)
    assert list((repository.prov_dir / "moving").iterdir()) == []


def test_locks_of_a_fetch_that_was_killed(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import sys, pathlib\n"
        "from gitprov.store.git_locks import announced\n"
        "from gitprov.store.repository import Repository\n"
        "repository = Repository.discover()\n"
        "with announced(repository, 'packed-refs', 'shallow'):\n"
        "    for name in ('packed-refs.lock', 'shallow.lock', 'packed-refs.new'):\n"
        "        (repository.common_dir / name).touch()\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=repository.work_tree, env=clean_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        assert not left_moving(repository)
        process.send_signal(signal.SIGKILL)
    assert left_moving(repository)
    assert proofs(repository) == {"packed-refs.lock": None, "shallow.lock": None}
    monkeypatch.setattr(git_locks_module, "_git_lives_since", lambda _: False)
    assert release_dead_locks(repository) == []  # once they are old enough
    assert not list(repository.common_dir.glob("*.lock"))
    assert not (repository.common_dir / "packed-refs.new").exists()
    assert not left_moving(repository)
