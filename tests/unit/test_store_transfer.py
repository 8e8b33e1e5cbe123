"""Pushes and fetches of git: how far they are, and what a remote says."""

from pathlib import Path

import pytest

from gitprov.store.transfer import transfer
from tests.support.repositories import Clone

Steps = list[tuple[str, int, int]]


@pytest.fixture
def clone(tmp_path: Path, server: Clone) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    for number in range(120):
        (clone.path / f"{number}.txt").write_text(f"{number}\n")
    clone.commit("many files")
    clone.git("remote", "add", "origin", str(server.path))
    return clone


@pytest.fixture
def steps() -> Steps:
    return []


def refuse(server: Clone, words: str) -> None:
    hook = server.path / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    hook.chmod(0o755)


def test_a_push_and_a_fetch_say_how_far_they_are(
    clone: Clone, server: Clone, steps: Steps, tmp_path: Path
) -> None:
    def watch(step: str, done: int, total: int) -> None:
        steps.append((step, done, total))

    pushed = transfer(
        clone.store().repository.git, "push", "--porcelain", "origin", "main", watch=watch
    )
    assert (pushed.returncode, pushed.errors, pushed.words) == (0, b"", ())
    written = [(done, total) for step, done, total in steps if step == "Writing objects"]
    assert len(written) > 100
    assert written == sorted(written)
    assert written[-1][0] == written[-1][1] > 120
    steps.clear()
    git = Clone.make(tmp_path / "other").store().repository.git
    fetched = transfer(git, "fetch", "--quiet", str(server.path), "main:there", watch=watch)
    assert (fetched.returncode, fetched.errors, fetched.words) == (0, b"", ())
    assert "Counting objects" in {step for step, *_ in steps}


@pytest.mark.parametrize("watched", [True, False])
def test_what_a_remote_says_is_told_apart(
    clone: Clone, server: Clone, steps: Steps, *, watched: bool
) -> None:
    refuse(server, "no runs here\nask the owner: Counting objects: 5% is not enough")
    watch = (lambda step, done, total: steps.append((step, done, total))) if watched else None
    git = clone.store().repository.git
    done = transfer(git, "push", "--porcelain", "origin", "main", watch=watch)
    assert done.returncode != 0
    assert done.words == ("no runs here", "ask the owner: Counting objects: 5% is not enough")
    assert "[remote rejected] (pre-receive hook declined)" in done.output
    assert done.reason.startswith("failed to push some refs to")
    assert bool(steps) is watched


def test_a_talkative_remote_is_cut_short(clone: Clone, server: Clone) -> None:
    refuse(server, "\n".join(f"line {number}" for number in range(1000)))
    words = transfer(clone.store().repository.git, "push", "origin", "main").words
    assert words == tuple(f"line {number}" for number in range(20))
