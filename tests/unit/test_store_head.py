"""Where HEAD is, with a log of it and without."""

from pathlib import Path

import pytest

from gitprov.store.head import head_is
from gitprov.store.repository import Repository
from tests.support.repositories import Clone


@pytest.mark.parametrize("logged", ["true", "false"])
def test_wherever_it_goes(tmp_path: Path, logged: str) -> None:
    clone = Clone.make(tmp_path / "repo", commit=False)
    clone.git("config", "core.logAllRefUpdates", logged)
    repository = Repository.discover(clone.path)
    assert head_is(repository, None)
    assert not head_is(repository, "1" * 40)
    first = clone.commit("first", {"a": "1\n"})
    assert head_is(repository, first)
    second = clone.commit("second \n" + "long " * 2000, {"a": "2\n"})
    assert head_is(repository, second)
    assert not head_is(repository, first)
    assert not head_is(repository, None)
    clone.git("checkout", "--quiet", "--detach", first)
    assert head_is(repository, first)
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"), "main")
    assert head_is(Repository.discover(tmp_path / "side"), second)
    assert head_is(repository, first)


def test_a_log_that_is_behind(tmp_path: Path) -> None:
    """Git does not say it there when HEAD is another branch all of a sudden."""
    clone = Clone.make(tmp_path / "repo")
    first = clone.git("rev-parse", "HEAD").strip()
    clone.git("branch", "other")
    second = clone.commit("second")
    clone.git("symbolic-ref", "HEAD", "refs/heads/other")
    repository = Repository.discover(clone.path)
    assert head_is(repository, first)
    (repository.git_dir / "logs/HEAD").write_text("")
    assert not head_is(repository, second)
