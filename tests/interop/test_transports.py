"""Runs travel over each protocol of git's: a path, the git protocol, smart HTTP and SSH."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.recorder.recovery import catch_up
from gitprov.store.sync import pull, push
from tests.support.repositories import Clone
from tests.support.runs import ledger_tips, record, run_ids, use_shard
from tests.support.servers import (
    bare_repository,
    git_daemon,
    http_backend,
    ssh_server,
    web_server,
)

SERVERS = {"git": git_daemon, "http": http_backend, "web": web_server, "ssh": ssh_server}


@pytest.fixture
def server(tmp_path: Path) -> Clone:
    return Clone(bare_repository(tmp_path / "server" / "lab.git"))


@pytest.fixture(
    params=["path", *(pytest.param(name, marks=pytest.mark.daemon) for name in SERVERS)]
)
def url(request: pytest.FixtureRequest, server: Clone) -> Iterator[str]:
    """Yield the URL of an empty repository on a remote of each kind."""
    if request.param == "path":
        yield str(server.path)
        return
    with SERVERS[request.param](server.path.parent) as base:
        yield f"{base}/{server.path.name}"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a clone with three runs: with output, with a snapshot, of a commit nobody has."""
    clone = Clone.make(tmp_path_factory.mktemp("prepared") / "clone")
    clone.run("sh", "-c", "echo words")
    clone.write("train.py", "secret = 1\n")
    clone.run("true")
    clone.git("stash", "--quiet")
    clone.git("checkout", "--quiet", "-b", "private")
    clone.commit("not for others", {"other.py": "x = 1\n"})
    clone.run("true", options=["-m", "why"])
    clone.git("checkout", "--quiet", "main")
    return clone


def has(clone: Clone, oid: str) -> bool:
    return clone.call("git", "cat-file", "-e", oid).returncode == 0


def test_main_job(url: str, server: Clone, prepared: Clone, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "here")
    shutil.copytree(prepared.path, clone.path, symlinks=True)
    clone.git("remote", "add", "origin", url)
    clone.prov("init")
    unpushed = clone.git("rev-parse", "private").strip()
    (dirty,) = [run for run in log(clone) if run["source"]["dirty"]]
    snapshot = dirty["source"]["snapshot"]

    pushed = clone.call("git", "push", "-u", "origin", "main", check=True)
    assert "gitprov: sent 3 runs to origin" in pushed.stderr
    assert not server.git("for-each-ref", "refs/prov/keep", "refs/prov/payload")
    assert not has(server, snapshot)
    assert not has(server, unpushed)

    other = Clone.of(url, tmp_path / "there")
    assert "3 runs from origin" in other.prov("init")
    assert log(other) == log(clone)
    verified = other.prov_call("verify")
    assert verified.returncode == 0, verified.stdout
    assert "git prov pull" in verified.stdout
    assert snapshot[:12] in verified.stdout

    would = clone.prov("push", "--dry-run")
    assert not has(server, snapshot)
    sent = clone.prov("push")
    assert "1 snapshot of uncommitted work" in sent
    assert "1 commit" in sent
    foretold = re.sub(r" \([^)]+iB\)| \(\d+ B\)", "", would.removeprefix("would send"))
    assert foretold == sent.removeprefix("sent")
    assert has(server, snapshot)
    assert has(server, unpushed)

    other.prov("pull", "--payload")
    assert has(other, snapshot)
    assert "could not be checked" not in other.prov("verify")
    new = other.run("true")
    assert "sent 1 run" in other.prov("sync")
    clone.git("fetch", "--quiet")
    catch_up(clone.store())
    assert run_ids(clone.store()) == run_ids(other.store())
    assert new in run_ids(server.store())
    assert "has everything already" in other.prov("push")
    assert server.git("fsck", "--strict", "--no-dangling") == ""


def test_races_and_refusals(url: str, server: Clone, tmp_path: Path) -> None:
    """What servers answer differs; what is done about it does not."""
    here = Clone.make(tmp_path / "here")
    there = Clone.make(tmp_path / "there")
    expected: list[str] = []
    for clone in (here, there):
        clone.git("remote", "add", "origin", url)
        use_shard(clone.store(), "05")
        expected += record(clone.store(), 2)
        done = push(clone.store(), "origin")
        assert (done.runs, done.refused) == (2, {})
        assert done.attempts == (1 if clone is here else 2)
    assert pull(here.store(), "origin").runs == 2
    assert run_ids(here.store()) == run_ids(server.store()) == sorted(expected)
    assert ledger_tips(here.store()) == ledger_tips(server.store())

    hook = server.path / "hooks" / "pre-receive"
    hook.write_text('#!/bin/sh\necho "the disk is full" >&2\nexit 1\n')
    hook.chmod(0o755)
    record(here.store())
    done = push(here.store(), "origin")
    assert done.attempts == 1
    assert list(done.refused.values()) == ["[remote rejected] (pre-receive hook declined)"]
    assert run_ids(server.store()) == sorted(expected)


def log(clone: Clone) -> list[dict[str, dict[str, str]]]:
    return [json.loads(line) for line in clone.prov("log", "--json").splitlines()]
