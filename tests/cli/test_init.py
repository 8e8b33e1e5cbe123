"""`git prov init`: says what it changes, changes it once, and takes it out again."""

import os
from pathlib import Path

import pytest

from gitprov.errors import NotARepository
from tests.support.repositories import Clone
from tests.support.runs import record
from tests.support.servers import bare_repository


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare_repository(tmp_path / "remote.git")


@pytest.fixture
def clone(tmp_path: Path, remote: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(remote))
    return clone


def state(git_dir: Path) -> dict[str, bytes]:
    """Return the configuration and the hooks, byte for byte."""
    hooks = git_dir / "hooks"
    files = [git_dir / "config", *(hooks.iterdir() if hooks.exists() else [])]
    return {path.name: path.read_bytes() + oct(path.stat().st_mode).encode() for path in files}


def test_says_what_it_changes(clone: Clone) -> None:
    said = clone.prov("init")
    refspec = "+refs/prov/ledger/*:refs/prov-remote/origin/ledger/*"
    assert f"remote.origin.fetch = {refspec} (git fetch origin brings runs)" in said
    assert "notes.displayRef = refs/notes/prov" in said
    assert "prov.program = " in said
    assert "hooks installed: post-checkout, post-commit, post-merge, post-rewrite, pre-push" in said
    assert f"gitprov is set up in {clone.path}\n" in said
    assert "next: git prov run -- COMMAND" in said
    assert refspec in clone.git("config", "--get-all", "remote.origin.fetch").splitlines()
    assert clone.git("config", "notes.displayRef") == "refs/notes/prov\n"
    assert Path(clone.git("config", "prov.program").strip()).is_absolute()
    assert clone.git("config", "notes.rewriteMode") == "cat_sort_uniq\n"
    assert (clone.path / ".git" / "hooks" / "pre-push").stat().st_mode & 0o111


def test_second_time_changes_nothing(clone: Clone) -> None:
    clone.prov("init")
    before = state(clone.path / ".git")
    said = clone.prov("init")
    assert (
        said
        == f"gitprov is set up in {clone.path} (it was before)\nnext: git prov run -- COMMAND\n"
    )
    assert state(clone.path / ".git") == before


def test_uninstall_leaves_everything_as_it_was(clone: Clone) -> None:
    before = state(clone.path / ".git")
    clone.prov("init")
    record(clone.store())
    assert state(clone.path / ".git") != before
    said = clone.prov("init", "--uninstall")
    assert "hooks removed: post-checkout, post-commit" in said
    assert "the runs stay under refs/prov/" in said
    assert state(clone.path / ".git") == before
    assert clone.prov("log", "--oneline").count("\n") == 1
    again = clone.prov("init", "--uninstall")
    assert again == "gitprov is taken out; the runs stay under refs/prov/\n"
    assert state(clone.path / ".git") == before


def test_uninstall_gives_back_a_hook(clone: Clone) -> None:
    hook = clone.path / ".git" / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes(b"#!/bin/sh\nexit 0\n")
    hook.chmod(0o750)
    before = state(clone.path / ".git")
    assert "hook pre-push: yours is kept and called first" in clone.prov("init")
    clone.prov("init")
    assert "yours is back in place" in clone.prov("init", "--uninstall")
    assert state(clone.path / ".git") == before


def test_other_settings_of_the_same_names_stay(clone: Clone) -> None:
    clone.git("config", "--add", "notes.displayRef", "refs/notes/review")
    before = state(clone.path / ".git")
    clone.prov("init")
    values = clone.git("config", "--get-all", "notes.displayRef").split()
    assert values == ["refs/notes/review", "refs/notes/prov"]
    clone.prov("init", "--uninstall")
    assert state(clone.path / ".git") == before


@pytest.mark.parametrize(
    "theirs",
    [
        {"notes.rewriteMode": "overwrite"},
        {"notes.rewriteMode": "cat_sort_uniq"},
        {"notes.rewriteRef": "refs/notes/commits"},
    ],
)
def test_who_has_settings_for_rewritten_notes_keeps_them(
    clone: Clone, theirs: dict[str, str]
) -> None:
    for name, value in theirs.items():
        clone.git("config", name, value)
    before = state(clone.path / ".git")
    assert "rewriteMode" not in clone.prov("init")
    for name, value in theirs.items():
        assert value in clone.git("config", "--get-all", name).split()
    clone.prov("init", "--uninstall")
    assert state(clone.path / ".git") == before


def test_notes_go_along_without_a_word(clone: Clone) -> None:
    clone.prov("init")
    amend = ("git", "commit", "--quiet", "--allow-empty", "--amend", "-m", "other")
    assert clone.call(*amend).stderr == ""  # also where there are no notes yet
    clone.git("notes", "--ref=prov", "add", "-m", "a run", "HEAD")
    clone.git("notes", "--ref=provenance", "add", "-m", "somebody else's", "HEAD")
    # other words: the same ones could, within one second, make the very same commit again
    assert clone.call(*amend[:-1], "once more").stderr == ""
    assert clone.git("notes", "--ref=prov", "show") == "a run\n"
    assert clone.call("git", "notes", "--ref=provenance", "show").returncode != 0


def test_old_hook_of_ours_is_brought_up_to_date(clone: Clone) -> None:
    clone.prov("init")
    hook = clone.path / ".git" / "hooks" / "pre-push"
    current = hook.read_bytes()
    hook.write_bytes(current + b"# of an earlier version\n")
    assert "hooks installed: pre-push\n" in clone.prov("init")
    assert hook.read_bytes() == current
    hook.chmod(0o644)
    assert "hooks installed: pre-push\n" in clone.prov("init")
    assert os.access(hook, os.X_OK)
    assert not (clone.path / ".git/hooks.before-gitprov").exists()


def test_new_remote_is_picked_up(clone: Clone, remote: Path) -> None:
    clone.prov("init")
    clone.git("remote", "add", "team/Second", str(remote))
    said = clone.prov("init")
    assert "remote.team/Second.fetch" in said
    assert "remote.origin.fetch" not in said
    before = state(clone.path / ".git")
    assert "(it was before)" in clone.prov("init")
    assert state(clone.path / ".git") == before


def test_renamed_remote_leaves_nothing_behind(clone: Clone) -> None:
    before = clone.git("config", "--list", "--local")
    clone.prov("init")
    clone.git("remote", "rename", "origin", "upstream")
    clone.prov("init")
    clone.prov("init", "--uninstall")
    after = clone.git("config", "--list", "--local")
    assert after == before.replace("origin", "upstream")


def test_runs_of_a_remote_come_along(clone: Clone, tmp_path: Path, remote: Path) -> None:
    record(clone.store(), 2)
    clone.prov("init")
    clone.git("push", "--quiet", "origin", "main")
    clone.prov("push")
    other = Clone.of(str(remote), tmp_path / "other")
    assert "  2 runs from origin\n" in other.prov("init")
    assert "runs from" not in other.prov("init")
    third = Clone.of(str(remote), tmp_path / "third")
    assert "runs from" not in third.prov("init", "--no-fetch")
    assert third.prov("log") == ""


def test_remote_that_cannot_be_reached_is_a_warning(clone: Clone, tmp_path: Path) -> None:
    clone.git("remote", "add", "away", str(tmp_path / "nowhere"))
    done = clone.prov_call("init")
    assert done.returncode == 0
    assert done.stderr.startswith("gitprov: warning: cannot fetch from away: ")
    assert "later: git prov pull away" in done.stderr
    assert "remote.away.fetch" in done.stdout


def test_bare_repository(tmp_path: Path, remote: Path) -> None:
    bare = Clone(remote)
    before = state(remote)
    said = bare.prov("init")
    assert f"gitprov is set up in {remote}\n" in said
    assert (remote / "hooks" / "pre-push").exists()
    assert "(it was before)" in bare.prov("init")
    bare.prov("init", "--uninstall")
    assert state(remote) == before


def test_worktree_shares_the_set_up(clone: Clone, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    before = state(clone.path / ".git")
    assert f"gitprov is set up in {side.path}\n" in side.prov("init")
    assert (clone.path / ".git" / "hooks" / "pre-push").exists()
    assert "(it was before)" in clone.prov("init")
    clone.prov("init", "--uninstall")
    assert state(clone.path / ".git") == before


def test_below_the_top(clone: Clone) -> None:
    clone.write("deep/er/file", "x")
    said = Clone(clone.path / "deep" / "er").prov("init")
    assert f"gitprov is set up in {clone.path}\n" in said


def test_without_a_commit(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "unborn", commit=False)
    assert "gitprov is set up" in clone.prov("init")


def test_outside_a_repository(tmp_path: Path) -> None:
    done = Clone(tmp_path).prov_call("init", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert done.returncode == NotARepository.exit_status
    assert "make one with: git init" in done.stderr
    assert not (tmp_path / ".git").exists()


def test_a_remote_without_refspecs_keeps_fetching_what_it_did(tmp_path: Path) -> None:
    first = Clone.make(tmp_path / "first")
    first.run("true")
    bare = Clone.of(str(first.path), tmp_path / "bare.git", "--bare")
    assert "remote.origin.fetch" not in bare.prov("init")
    assert bare.git("config", "--get-all", "remote.origin.fetch", check=False) == ""
    assert len(bare.prov("log", "--json").splitlines()) == 1  # init has fetched it all the same
