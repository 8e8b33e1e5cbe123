"""`git prov hook`: what the hooks start, and what hook managers call in their place."""

import os
from pathlib import Path

import pytest

from tests.support.hooks import Started, git, settled
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, record, run_ids
from tests.support.servers import bare_repository


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


def head(clone: Clone, name: str = "HEAD") -> str:
    return clone.git("rev-parse", name).strip()


def amend(clone: Clone, **env: str) -> tuple[str, str]:
    """Amend HEAD; return the old commit and the new one."""
    old = head(clone)
    git(clone, "commit", "--quiet", "--allow-empty", "--amend", "-m", f"not {old}", **env)
    return old, head(clone)


def waiting(clone: Clone) -> list[str]:
    folder = clone.path / ".git/prov/rewrites"
    return [path.read_text() for path in folder.iterdir()] if folder.exists() else []


def test_catching_up_says_nothing_whatever_goes_wrong(clone: Clone, tmp_path: Path) -> None:
    journal = finish(clone.store())
    (journal.path / "finished").write_bytes(b"damaged")
    for path in (clone.path, tmp_path):
        env = {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "GITPROV_DEBUG": "1"}
        done = Clone(path).prov_call("hook", "catch-up", **env)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_catching_up_in_the_background(clone: Clone) -> None:
    clone.prov("init")
    finish(clone.store(), source={"commit": head(clone)})
    amend(clone)
    assert waiting(clone) == []  # recorded
    assert len(run_ids(clone.store())) == 1
    assert not clone.store().journal.runs()
    assert not (clone.path / ".git/prov/catching-up").exists()
    assert (clone.path / ".git/prov/remotes-seen").read_text() == ""


def test_a_rewrite_is_told_by_who_made_it_and_not_by_the_author(clone: Clone) -> None:
    clone.prov("init")
    record(clone.store(), source={"commit": head(clone)})
    clone.git("notes", "--ref=prov", "add", "-f", "-m", "a run", "HEAD")
    amend(clone, GIT_COMMITTER_NAME="Grace", GIT_COMMITTER_EMAIL="grace@example.org")
    said = clone.git("log", "--format=%an <%ae>", "--max-count=1", "--glob=refs/prov/ledger/*")
    assert said == "Grace <grace@example.org>\n"


@pytest.mark.parametrize("means", ["stdin", "git", "pre-commit"])
def test_pairs_of_an_amended_commit(clone: Clone, tmp_path: Path, means: str) -> None:
    finish(clone.store())
    old, new = amend(clone)
    started = Started(clone, tmp_path)
    arguments, stdin, env = ["amend"], b"", clean_environment()
    if means == "stdin":
        stdin = f"{'1' * 40} {new}\n".encode()
        old = "1" * 40
    elif means == "pre-commit":
        arguments, env = [], clean_environment(PRE_COMMIT_REWRITE_COMMAND="amend")
    done = settled(
        ["git-prov", "hook", "post-rewrite", *arguments], cwd=clone.path, stdin=stdin, env=env
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert waiting(clone) == [f"amend\n{old} {new}\n"]
    assert started.calls() == ["hook catch-up"]


def test_no_pairs_where_nothing_was_amended(clone: Clone) -> None:
    finish(clone.store())
    clone.commit("second")
    clone.prov("hook", "post-rewrite", "amend")
    clone.prov("hook", "post-rewrite", "rebase")
    assert waiting(clone) == []


@pytest.mark.parametrize("backend", ["--merge", "--apply"])
def test_pairs_of_a_rebase(clone: Clone, tmp_path: Path, backend: str) -> None:
    """From git, which has them while it calls the hook: a manager may keep them to itself."""
    finish(clone.store())
    started = Started(clone, tmp_path)
    clone.git("checkout", "--quiet", "-b", "onto")
    clone.commit("onto", {"onto": "x"})
    clone.git("checkout", "--quiet", "main")
    old = [clone.commit(f"number {number}", {"file": str(number)}) for number in range(2)]
    hook = clone.write(".git/hooks/post-rewrite", '#!/bin/sh\ngit prov hook "$(basename "$0")" $1')
    hook.write_text(hook.read_text() + " </dev/null\n")
    hook.chmod(0o755)
    git(clone, "rebase", "--quiet", backend, "onto")
    pairs = zip(old, (head(clone, "HEAD~1"), head(clone)), strict=True)
    assert waiting(clone) == ["rebase\n" + "".join(f"{one} {two}\n" for one, two in pairs)]
    assert started.calls() == ["hook catch-up"]


@pytest.mark.parametrize("kind", ["0", "1"])
def test_the_other_hooks(clone: Clone, tmp_path: Path, kind: str) -> None:
    clone.prov("init")
    started = Started(clone, tmp_path)

    def call(*command: str) -> list[str]:
        env = clean_environment(PRE_COMMIT_CHECKOUT_TYPE=kind)
        done = settled(["git-prov", "hook", *command], cwd=clone.path, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        return started.calls()

    for hook in (["post-commit"], ["post-merge", "0"], ["post-checkout", "a", "b", "1"]):
        assert call(*hook) == []
    clone.git("update-ref", "refs/prov-remote/origin/ledger/2026-01/00", "HEAD")
    assert call("post-checkout") == ["hook catch-up"] * int(kind)
    assert call("post-merge") == ["hook catch-up"]


def test_the_remote_of_a_push(clone: Clone, tmp_path: Path) -> None:
    server = Clone(bare_repository(tmp_path / "server.git"))
    clone.git("remote", "add", "origin", str(server.path))
    ids = record(clone.store())
    for env in ({}, {"PRE_COMMIT_REMOTE_NAME": "origin", "GITPROV_HOOKS": "0"}):
        done = clone.prov_call("hook", "pre-push", **env)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run_ids(server.store()) == []
    done = clone.prov_call("hook", "pre-push", PRE_COMMIT_REMOTE_NAME="origin")
    assert (done.returncode, done.stderr) == (0, "gitprov: sent 1 run to origin\n")
    assert run_ids(server.store()) == ids


def test_what_a_push_has_shown_is_nothing_to_take_in(clone: Clone, tmp_path: Path) -> None:
    server = bare_repository(tmp_path / "server.git")
    clone.git("remote", "add", "origin", str(server))
    clone.prov("init")
    record(clone.store())
    git(clone, "push", "--quiet", "origin", "main")
    started = Started(clone, tmp_path)
    git(clone, "checkout", "--quiet", "-b", "other")
    assert started.calls() == []
    os.remove(clone.path / ".git/prov/remotes-seen")  # noqa: PTH107
    git(clone, "checkout", "--quiet", "-b", "third")
    assert started.calls() == ["hook catch-up"]
