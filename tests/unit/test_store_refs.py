"""Refs: their names, and listing them."""

from pathlib import Path

import pytest

from gitprov.store.git import Git
from gitprov.store.refs import LEDGER, Shard, list_refs, parse_shard, unreadable_refs
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
def commit(git: Git) -> str:
    return git.run("rev-parse", "HEAD").decode().strip()


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


def test_names_that_begin_alike_are_not_listed(git: Git, commit: str) -> None:
    for ref in ("refs/prov/ledgers/2026-01/00", A):
        git.run("update-ref", ref, commit)
    assert list_refs(git, LEDGER) == {A: commit}


def test_unreadable_ref_is_found(repository: Repository, commit: str) -> None:
    git = repository.git
    for ref in (A, B):
        git.run("update-ref", ref, commit)
    (repository.common_dir / A).write_bytes(b"\0" * 41)
    (repository.common_dir / f"{B}.lock").touch()
    listed = list_refs(git, LEDGER)
    assert list(listed) == [B]
    assert unreadable_refs(repository.common_dir, listed, LEDGER) == [A]
