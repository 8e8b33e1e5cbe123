"""What git says of a work tree, and what it would not say unasked."""

import os
from pathlib import Path

import pytest

from gitprov.capture.worktree import Status, read_status
from gitprov.store.repository import Repository
from tests.support.repositories import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo")
    clone.commit("more", {"a.py": "a\n", "sub/b.py": "b\n"})
    return clone


def status(clone: Clone, *, remember: bool = True) -> Status:
    repository = Repository.discover(clone.path)
    index = clone.path.parent / "index"
    index.unlink(missing_ok=True)
    return read_status(repository, index, remember=remember)


def test_that_an_index_hides_nothing_is_known_until_it_changes(clone: Clone) -> None:
    clone.write("a.py", "changed\n")
    for _ in range(2):
        assert status(clone).changed == (b"a.py",)
    clone.git("update-index", "--skip-worktree", "a.py")
    for _ in range(2):
        assert status(clone).changed == (b"a.py",)
    clone.git("update-index", "--no-skip-worktree", "a.py")
    assert status(clone).changed == (b"a.py",)
    kept = clone.path / ".git/prov/cache/indexes"
    assert len(kept.read_text().splitlines()) == 2


def test_nothing_is_kept_where_it_is_not_wanted(clone: Clone) -> None:
    assert not status(clone, remember=False).dirty
    assert not (clone.path / ".git/prov").exists()


def test_each_work_tree_has_its_own_index(clone: Clone, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    side.git("update-index", "--skip-worktree", "a.py")
    side.write("a.py", "changed\n")
    assert not status(clone).dirty
    assert status(side).changed == (b"a.py",)


@pytest.mark.parametrize("cached", ["true", "false"])
def test_untracked_files_one_by_one(clone: Clone, cached: str) -> None:
    clone.git("config", "core.untrackedCache", cached)
    clone.write(".gitignore", "*.log\n")
    names = {".gitignore", "new", ":(glob)*/x", "new.d/deep/x", "new.d/y", "-o/z", "sub/new"}
    names |= {f"many{number}/file" for number in range(120)}
    for name in names - {".gitignore"}:
        clone.write(name, "")
    for name in ("new.d/ignored.log", "all/ignored.log"):
        clone.write(name, "")
    for name in ("new.d/inner", "repository"):
        Clone.make(clone.path / name)
    (clone.path / "a.py").unlink()
    clone.write("a.py/in", "a folder now")
    found = status(clone)
    expected = names | {"new.d/inner/", "repository/", "a.py/in"}
    assert set(found.untracked) == {os.fsencode(name) for name in expected}
    assert found.changed == (b"a.py",)
