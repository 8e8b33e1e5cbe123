"""Refs: names, and moving them all or not at all."""

import threading
from pathlib import Path

import pytest

from gitprov.errors import StoreBusy
from gitprov.store.git import Git
from gitprov.store.refs import (
    LEDGER,
    RefMoved,
    Shard,
    list_refs,
    move_refs,
    parse_shard,
    unreadable_refs,
)
from gitprov.store.repository import Repository
from tests.support.repositories import Clone

A, B = "refs/prov/ledger/2026-01/00", "refs/prov/ledger/2026-01/01"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.discover(Clone.make(tmp_path / "clone").path)


@pytest.fixture
def git(repository: Repository) -> Git:
    return repository.git


@pytest.fixture
def commits(git: Git) -> list[str]:
    """Return three commits."""
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "b"}
    identity |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "b"}
    return [
        git.run("commit-tree", "-m", text, "HEAD^{tree}", env=identity).decode().strip()
        for text in "xyz"
    ]


@pytest.mark.parametrize("area", ["ledger", "keep", "payload"])
@pytest.mark.parametrize("remote", ["origin", "team/lab", "a.b", "ledger", "keep/2026-01"])
def test_names_are_read_as_they_are_written(area: str, remote: str) -> None:
    shard = Shard(area, "2026-12", "0a")  # type: ignore[arg-type]
    assert parse_shard(shard.ref) == shard
    assert parse_shard(shard.remote_ref(remote)) == shard


@pytest.mark.parametrize(
    "name",
    [
        "",
        "refs/heads/main",
        "refs/notes/prov",
        "refs/prov/ledger",
        "refs/prov/ledger/2026-00/00",
        "refs/prov/ledger/2026-13/00",
        "refs/prov/ledger/2026-1/00",
        "refs/prov/ledger/2026-01/10",
        "refs/prov/ledger/2026-01/0A",
        "refs/prov/ledger/2026-01/000",
        "refs/prov/ledger/2026-01/00\n",
        "refs/prov/ledger/2026-01/00/more",
        "refs/prov/other/2026-01/00",
        "refs/prov-remote/ledger/2026-01/00",
        "xrefs/prov/ledger/2026-01/00",
    ],
)
def test_other_names_are_no_chains(name: str) -> None:
    assert parse_shard(name) is None


def test_create_move_and_delete(git: Git, commits: list[str]) -> None:
    one, two, _ = commits
    move_refs(git, {A: (None, one), B: (None, two)})
    assert list_refs(git, LEDGER) == {A: one, B: two}
    move_refs(git, {A: (one, two), B: (two, None)})
    assert list_refs(git, LEDGER) == {A: two}


@pytest.mark.parametrize(
    ("there", "old"), [(None, 1), (0, None), (0, 1)], ids=["absent", "present", "elsewhere"]
)
def test_ref_that_is_not_where_it_was_expected(
    git: Git, commits: list[str], there: int | None, old: int | None
) -> None:
    if there is not None:
        move_refs(git, {B: (None, commits[there])})
    before = list_refs(git, LEDGER)
    expected = None if old is None else commits[old]
    with pytest.raises(RefMoved, match="could not move refs"):
        move_refs(git, {A: (None, commits[0]), B: (expected, commits[2])})
    assert list_refs(git, LEDGER) == before


def test_moved_ref_is_a_busy_store() -> None:
    assert issubclass(RefMoved, StoreBusy)


def test_ref_to_nothing_is_refused(git: Git, commits: list[str]) -> None:
    with pytest.raises(RefMoved):
        move_refs(git, {A: (None, commits[0]), B: (None, "12" * 20)})
    assert list_refs(git, LEDGER) == {}


def test_one_of_many_racers_wins(git: Git, commits: list[str]) -> None:
    winners: list[str] = []
    start = threading.Barrier(8)

    def race(number: int) -> None:
        start.wait()
        try:
            move_refs(git, {A: (None, commits[number % 3])}, fsync=False)
        except RefMoved:
            return
        winners.append(commits[number % 3])

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert winners == [list_refs(git, LEDGER)[A]]


def test_names_that_begin_alike_are_not_listed(git: Git, commits: list[str]) -> None:
    git.run("update-ref", "refs/prov/ledgers/2026-01/00", commits[0])
    move_refs(git, {A: (None, commits[0])})
    assert list(list_refs(git, LEDGER)) == [A]


def test_unreadable_ref_is_found(repository: Repository, commits: list[str]) -> None:
    git = repository.git
    move_refs(git, {A: (None, commits[0]), B: (None, commits[0])})
    (repository.common_dir / A).write_bytes(b"\0" * 41)
    (repository.common_dir / f"{B}.lock").touch()
    listed = list_refs(git, LEDGER)
    assert list(listed) == [B]
    assert unreadable_refs(repository.common_dir, listed, LEDGER) == [A]
    git.run("pack-refs", "--all", good=(0, 1, 128))
