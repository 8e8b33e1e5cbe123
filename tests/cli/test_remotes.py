"""Which remote push, pull and sync mean, and what they say of it."""

import json
from pathlib import Path

import pytest

from gitprov.errors import RemoteFailed
from tests.support.repositories import Clone
from tests.support.runs import record
from tests.support.servers import bare_repository


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Return a clone that fetches from origin; there are the remotes fork and lab besides."""
    clone = Clone.make(tmp_path / "clone")
    for name in ("origin", "fork", "lab"):
        clone.git("remote", "add", name, str(bare_repository(tmp_path / f"{name}.git")))
    clone.git("push", "--quiet", "-u", "origin", "main")
    record(clone.store())
    return clone


def would(clone: Clone) -> str:
    """Return which remote a push goes to."""
    return str(json.loads(clone.prov("push", "--dry-run", "--json"))["remote"])


def test_a_push_goes_where_git_push_goes(clone: Clone, tmp_path: Path) -> None:
    assert would(clone) == "origin"
    clone.git("config", "remote.pushDefault", "fork")
    assert would(clone) == "fork"
    clone.git("config", "branch.main.pushRemote", "lab")
    assert would(clone) == "lab"
    assert "0 new runs from lab; sent 1 run" in clone.prov("sync")
    assert clone.prov("pull") == "0 new runs from origin\n"
    clone.git("config", "branch.main.pushRemote", str(tmp_path / "fork.git"))
    assert would(clone) == "fork"


def test_nothing_goes_elsewhere_than_said(clone: Clone) -> None:
    clone.git("config", "remote.pushDefault", "https://example.org/nobody.git")
    done = clone.prov_call("push")
    assert done.returncode == RemoteFailed.exit_status
    assert "remote.pushdefault is https://example.org/nobody.git, which is none" in done.stderr
    assert "sent 1 run to origin" in clone.prov("push", "origin")


def test_a_url_means_the_remote_that_has_it(clone: Clone, tmp_path: Path) -> None:
    url = str(tmp_path / "lab.git")
    assert clone.prov("push", url).endswith("to lab\n")
    assert clone.prov("push", "lab") == "lab has everything already\n"
    assert clone.prov("pull", url) == "0 new runs from lab\n"


@pytest.mark.parametrize("verb", ["push", "pull", "sync"])
def test_what_is_no_remote(clone: Clone, verb: str) -> None:
    done = clone.prov_call(verb, "file:///nowhere/lab.git")
    assert done.returncode == RemoteFailed.exit_status
    assert "file:///nowhere/lab.git is no remote; add it: git remote add NAME URL" in done.stderr


class TestRemoteThatRefuses:
    @pytest.fixture(autouse=True)
    def refuse(self, clone: Clone) -> None:
        hook = clone.path.with_name("origin.git") / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\necho not here >&2\nexit 1\n")
        hook.chmod(0o755)

    def test_nothing_was_sent(self, clone: Clone) -> None:
        done = clone.prov_call("push")
        assert done.returncode == RemoteFailed.exit_status
        assert done.stdout == "nothing was sent to origin\n"

    def test_programs_are_told_all_of_it(self, clone: Clone) -> None:
        document = json.loads(clone.prov("push", "--json", check=False))
        assert document["sent"] == {"runs": 0, "snapshots": 0, "commits": 0, "refs": 0}
        assert document["words"] == ["not here"]
        assert "provNamespace" in document["advice"]
        assert all("pre-receive hook declined" in why for why in document["refused"].values())


def test_programs_are_told_what_went(clone: Clone) -> None:
    document = json.loads(clone.prov("push", "--json"))
    refs = clone.git("for-each-ref", "refs/prov").splitlines()
    assert document["sent"] == {"runs": 1, "snapshots": 0, "commits": 0, "refs": len(refs)}
    assert document["words"] == []
    assert "advice" not in document
