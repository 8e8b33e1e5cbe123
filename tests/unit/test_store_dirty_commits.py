"""Marks for hooks: which commits have dirty runs."""

import os
import shutil
from pathlib import Path

import pytest

from gitprov.store import dirty_commits as module
from gitprov.store.dirty_commits import dirty_commits, is_dirty, mark_dirty
from gitprov.store.repository import Repository
from tests.support.repositories import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def test_a_dirty_run_marks_its_commit(clone: Clone) -> None:
    clean = clone.git("rev-parse", "HEAD").strip()
    clone.run("true")
    repository = Repository.discover(clone.path)
    assert dirty_commits(repository) == []
    commit = clone.commit("second")
    clone.write("new.py", "new\n")
    clone.run("true")
    clone.run("true")
    assert dirty_commits(repository) == [commit]
    assert is_dirty(repository, commit)
    assert not is_dirty(repository, clean)


def test_a_dirty_run_before_the_first_commit(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "unborn", commit=False)
    clone.write("new.py", "new\n")
    clone.run("true")
    assert dirty_commits(Repository.discover(clone.path)) == ["0" * 40]


def test_the_work_trees_of_a_clone_share_the_marks(clone: Clone, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    side.write("new.py", "new\n")
    side.run("true")
    assert dirty_commits(Repository.discover(clone.path)) == [side.git("rev-parse", "HEAD").strip()]


def test_the_oldest_go(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COMMITS", 3)
    repository = Repository.discover(clone.path)
    repository.require_writable()
    commits = [f"{number:040x}" for number in range(4)]
    for age, commit in enumerate(commits[:3]):
        mark_dirty(repository, commit)
        os.utime(repository.prov_dir / "dirty" / commit, (age, age))
    mark_dirty(repository, commits[0])
    mark_dirty(repository, commits[3])
    assert sorted(dirty_commits(repository)) == [commits[0], *commits[2:]]


def test_without_a_place_nothing_happens(clone: Clone) -> None:
    clone.write("new.py", "new\n")
    clone.run("true")
    repository = Repository.discover(clone.path)
    folder = repository.prov_dir / "dirty"
    shutil.rmtree(folder)
    assert dirty_commits(repository) == []
    folder.write_text("in the way")
    clone.run("true")
    assert dirty_commits(repository) == []
