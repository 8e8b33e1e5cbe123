"""`core.hooksPath`: hooks of others outside the git directory run as before, and ours with them."""

import shutil
from pathlib import Path

import pytest

from gitprov.doctor.examination import examine
from gitprov.hooks.shims import NAMES
from tests.support.examining import texts
from tests.support.hooks import Started, git, settled
from tests.support.repositories import Clone, clean_environment

# Says who was called, how, and with what.
THEIRS = """#!/bin/sh
printf '%s' "$0" >>"$SEEN"
printf ' <%s>' "$@" >>"$SEEN"
cat >>"$SEEN"
echo >>"$SEEN"
exit ${STATUS:-0}
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(THEIRS)
        (folder / name).chmod(0o755)
    return folder


def ours(clone: Clone) -> Path:
    return clone.path / ".git/prov/hooks"


def hooks_path(clone: Clone, *options: str) -> list[str]:
    return clone.git("config", *options, "--get-all", "core.hooksPath", check=False).splitlines()


def seen(clone: Clone, *arguments: str, **env: str) -> list[str]:
    """Run git; return which hooks of others were called, and how."""
    log = clone.path.parent / "seen"
    log.unlink(missing_ok=True)
    done = settled(["git", *arguments], cwd=clone.path, env=clean_environment(SEEN=str(log), **env))
    assert (done.returncode == 0) == ("STATUS" not in env), done.stderr.decode()
    return [line for line in log.read_text().split("\n") if line] if log.exists() else []


def complaints(clone: Clone) -> str:
    found = texts(examine(clone.store()), "note")
    return " ".join(text for text in found if "set up" in text)


COMMIT = ("commit", "--quiet", "--allow-empty", "-m", "more")


@pytest.mark.parametrize("folder", [".husky/_", "hooks", 'it\'s a $HOME `x` "ü"\nhooks'])
def test_a_relative_folder(clone: Clone, folder: str) -> None:
    put(clone.path / folder, "pre-commit", "commit-msg", "post-commit", "not.one")
    clone.git("config", "core.hooksPath", folder)
    before = seen(clone, *COMMIT)
    assert len(before) >= 3
    config = (clone.path / ".git/config").read_bytes()
    said = clone.prov("init")
    assert f"core.hooksPath = {ours(clone)} (those of " in said
    assert "hooks installed: post-checkout, post-commit, post-merge, post-rewrite, pre-push" in said
    assert "hooks passed on: commit-msg, pre-commit\n" in said
    assert hooks_path(clone) == [str(ours(clone))]
    assert sorted(path.name for path in ours(clone).iterdir()) == sorted(
        {*NAMES, "pre-commit", "commit-msg"}
    )
    assert seen(clone, *COMMIT) == before
    assert complaints(clone) == ""
    installed = {path: path.read_bytes() for path in ours(clone).iterdir()}
    assert "(it was before)" in clone.prov("init")
    assert {path: path.read_bytes() for path in ours(clone).iterdir()} == installed
    said = clone.prov("init", "--uninstall")
    assert "core.hooksPath: " in said
    assert "hooks removed: post-checkout, " in said
    assert (clone.path / ".git/config").read_bytes() == config
    assert not ours(clone).exists()
    assert seen(clone, *COMMIT) == before


def test_each_work_tree_has_its_own_relative_folder(clone: Clone, tmp_path: Path) -> None:
    clone.git("config", "core.hooksPath", ".husky/_")
    put(clone.path / ".husky/_", "pre-commit")
    clone.prov("init")
    clone.git("worktree", "add", "--quiet", str(tmp_path / "side"))
    side = Clone(tmp_path / "side")
    assert seen(side, *COMMIT) == []
    put(side.path / ".husky/_", "pre-commit", "post-commit")
    assert len(seen(side, *COMMIT)) == 2
    assert len(seen(clone, *COMMIT)) == 1
    assert "(it was before)" in side.prov("init")


def test_arguments_input_and_status_pass_through(clone: Clone, tmp_path: Path) -> None:
    theirs = put(tmp_path / "company", "pre-push", "commit-msg", "pre-receive")
    clone.git("config", "core.hooksPath", str(theirs))
    clone.prov("init")
    clone.git("init", "--quiet", "--bare", str(tmp_path / "remote.git"))
    head = clone.git("rev-parse", "HEAD").strip()
    (line,) = seen(clone, "push", "--quiet", str(tmp_path / "remote.git"), "main")
    start = f"{theirs}/pre-push <{tmp_path}/remote.git> <{tmp_path}/remote.git>"
    assert line == f"{start}refs/heads/main {head} refs/heads/main {'0' * 40}"
    (line,) = seen(clone, *COMMIT, STATUS="1")
    assert line == f"{theirs}/commit-msg <.git/COMMIT_EDITMSG>"
    assert clone.git("rev-parse", "HEAD").strip() == head


@pytest.mark.parametrize("scope", ["global", "system"])
def test_a_folder_for_all_repositories(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    theirs = put(tmp_path / "home/company hooks", "pre-commit")
    config = tmp_path / "home/config"
    config.write_text('[core]\n\thooksPath = "~/company hooks"\n')
    env = {"HOME": str(tmp_path / "home"), f"GIT_CONFIG_{scope.upper()}": str(config)}
    env["GIT_CONFIG_NOSYSTEM"] = "0" if scope == "system" else "1"
    before = (clone.path / ".git/config").read_bytes()
    assert "those of ~/company hooks" in clone.prov("init", **env)
    assert seen(clone, *COMMIT, **env) == [f"{theirs}/pre-commit <>"]
    assert "prov.hookspath" not in clone.git("config", "--list")
    # It is the user's to change: init follows.
    put(tmp_path / "elsewhere", "pre-commit", "pre-merge-commit")
    config.write_text(f"[core]\n\thooksPath = {tmp_path}/elsewhere\n")
    assert "hooks passed on: pre-commit, pre-merge-commit\n" in clone.prov("init", **env)
    assert seen(clone, *COMMIT, **env) == [f"{tmp_path}/elsewhere/pre-commit <>"]
    said = clone.prov("init", "--uninstall", **env)
    assert "core.hooksPath: removed" in said
    assert (clone.path / ".git/config").read_bytes() == before


def test_a_folder_that_is_no_longer_said(clone: Clone, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(f"[core]\n\thooksPath = {put(tmp_path / 'company', 'pre-commit')}\n")
    clone.prov("init", GIT_CONFIG_GLOBAL=str(config))
    said = clone.prov("init")
    assert "core.hooksPath: removed" in said
    assert "hooks installed: post-checkout" in said
    assert hooks_path(clone) == []
    assert (clone.path / ".git/hooks/post-commit").exists()
    assert not ours(clone).exists()


def test_said_again_by_its_owner(clone: Clone) -> None:
    put(clone.path / ".husky/_", "pre-commit")
    clone.git("config", "core.hooksPath", ".husky/_")
    before = (clone.path / ".git/config").read_bytes()
    clone.prov("init")
    clone.git("config", "core.hooksPath", ".husky/_")  # as `npm install` does
    assert "core.hooksPath leads to .husky/_, past our hooks" in complaints(clone)
    assert "core.hooksPath = " in clone.prov("init")
    assert complaints(clone) == ""
    assert clone.git("config", "--get-all", "prov.hooksPath") == ".husky/_\n"
    clone.git("config", "core.hooksPath", ".husky/_")
    clone.prov("init", "--uninstall")
    assert (clone.path / ".git/config").read_bytes() == before
    assert not ours(clone).exists()


def test_hooks_that_come_and_go(clone: Clone, tmp_path: Path) -> None:
    theirs = put(tmp_path / "company", "pre-commit")
    clone.git("config", "core.hooksPath", str(theirs))
    clone.prov("init")
    put(theirs, "commit-msg", "post-commit")
    assert f"hook commit-msg of {theirs} does not run" in complaints(clone)
    assert len(seen(clone, *COMMIT)) == 2  # ours is there to call theirs
    assert "hooks passed on: commit-msg\n" in clone.prov("init")
    assert complaints(clone) == ""
    assert len(seen(clone, *COMMIT)) == 3
    (theirs / "commit-msg").unlink()
    assert len(seen(clone, *COMMIT)) == 2
    assert "hook commit-msg: no longer passed on" in clone.prov("init")


def test_a_folder_that_is_not_there_yet(clone: Clone) -> None:
    clone.git("config", "core.hooksPath", ".husky/_")
    clone.prov("init")
    assert seen(clone, *COMMIT) == []
    put(clone.path / ".husky/_", "post-commit")
    assert len(seen(clone, *COMMIT)) == 1


def test_a_repository_that_was_moved(clone: Clone, tmp_path: Path) -> None:
    put(clone.path / ".husky/_", "pre-commit")
    clone.git("config", "core.hooksPath", ".husky/_")
    clone.prov("init")
    moved = Clone(clone.path.rename(tmp_path / "moved"))
    assert "core.hooksPath leads to where this repository was before" in complaints(moved)
    moved.prov("init")
    assert hooks_path(moved) == [str(ours(moved))]
    assert complaints(moved) == ""
    assert len(seen(moved, *COMMIT)) == 1
    copy = Clone(shutil.copytree(moved.path, tmp_path / "copy"))
    assert "core.hooksPath leads to where" in complaints(copy)
    copy.prov("init")
    copy.prov("init", "--uninstall")
    assert hooks_path(copy) == [".husky/_"]
    assert hooks_path(moved) == [str(ours(moved))]


def test_several_values_are_all_put_back(clone: Clone, tmp_path: Path) -> None:
    for name in ("first", "second"):
        clone.git("config", "--add", "core.hooksPath", str(put(tmp_path / name, "pre-commit")))
    before = (clone.path / ".git/config").read_bytes()
    clone.prov("init")
    assert seen(clone, *COMMIT) == [f"{tmp_path}/second/pre-commit <>"]
    clone.prov("init", "--uninstall")
    assert (clone.path / ".git/config").read_bytes() == before


def test_a_folder_that_cannot_be_led_past(clone: Clone, tmp_path: Path) -> None:
    """It is said for one work tree alone, which counts for more."""
    theirs = put(tmp_path / "company", "pre-commit")
    clone.git("config", "extensions.worktreeConfig", "true")
    clone.git("config", "--worktree", "core.hooksPath", str(theirs))
    said = clone.prov("init")
    assert f"hooks live in {theirs} and were not touched; add: git prov hook post-che" in said
    assert hooks_path(clone) == [str(theirs)]
    assert hooks_path(clone, "--local") == []
    assert not ours(clone).exists()
    assert len(seen(clone, *COMMIT)) == 1
    assert f"core.hooksPath leads to {theirs}, past our hooks" in complaints(clone)


def test_hooks_that_are_turned_off_stay_off(clone: Clone) -> None:
    clone.git("config", "core.hooksPath", "/dev/null")
    assert "hooks are turned off (core.hooksPath = /dev/null)" in clone.prov("init")
    assert hooks_path(clone) == ["/dev/null"]
    clone.prov("init", "--uninstall")


def test_a_folder_inside_the_git_directory(clone: Clone) -> None:
    put(clone.path / ".git/own", "post-commit")
    clone.git("config", "core.hooksPath", ".git/own")
    assert "hook post-commit: yours is kept and called first" in clone.prov("init")
    assert hooks_path(clone) == [".git/own"]
    assert len(seen(clone, *COMMIT)) == 1
    clone.prov("init", "--uninstall")
    assert [path.name for path in (clone.path / ".git/own").iterdir()] == ["post-commit"]


def test_what_others_put_into_our_folder_is_not_lost(clone: Clone, tmp_path: Path) -> None:
    clone.git("config", "core.hooksPath", str(put(tmp_path / "company", "pre-commit")))
    clone.prov("init")
    put(ours(clone), "pre-push", "update")  # as git-lfs does
    assert f"hook pre-push in {ours(clone)} is not ours" in complaints(clone)
    said = clone.prov("init")
    assert "kept as pre-push.1 and not called" in said
    assert complaints(clone) == ""
    assert "kept, it has hooks of others" in clone.prov("init", "--uninstall")
    assert sorted(path.name for path in ours(clone).iterdir()) == ["pre-push.1", "update"]


def test_ours_find_something_to_do(clone: Clone, tmp_path: Path) -> None:
    clone.git("config", "core.hooksPath", str(put(tmp_path / "company", "post-rewrite")))
    clone.prov("init")
    started = Started(clone, tmp_path)
    clone.git("notes", "--ref=prov", "add", "-m", "a run", "HEAD")
    old = clone.git("rev-parse", "HEAD").strip()
    (line,) = seen(clone, *COMMIT, "--amend")
    new = clone.git("rev-parse", "HEAD").strip()
    assert line == f"{tmp_path}/company/post-rewrite <amend>{old} {new}"
    (waiting,) = (clone.path / ".git/prov/rewrites").iterdir()
    assert waiting.read_text() == f"amend\n{old} {new}\n"
    assert started.calls() == ["hook catch-up"]
    git(clone, *COMMIT, GITPROV_HOOKS="0", SEEN="/dev/null")
