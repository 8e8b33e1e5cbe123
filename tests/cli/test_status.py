"""`git prov status`: what waits, here and for remotes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repositories import Clone, clean_environment
from tests.support.servers import bare_repository


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "clone")
    clone.git("remote", "add", "origin", str(bare_repository(tmp_path / "hub.git")))
    clone.git("push", "--quiet", "-u", "origin", "main")
    clone.prov("init")
    return clone


def test_what_a_remote_lacks_and_has(clone: Clone) -> None:
    assert clone.prov("status") == "0 runs recorded here\norigin: has everything\n"
    clone.run("true")
    clone.write("train.py", "changed = 1\n")
    clone.run("true")
    assert "origin: 2 runs, 1 snapshot of uncommitted work to send" in clone.prov("status")
    clone.git("push", "--quiet", "origin", "main")
    document = json.loads(clone.prov("status", "--json"))
    assert document["runs"] == 2
    (origin,) = document["remotes"]
    assert origin["pending"] == {"runs": 0, "snapshots": 1, "commits": 0, "refs": 1}
    clone.prov("push")
    assert "origin: has everything" in clone.prov("status")


def test_run_under_way_is_named(clone: Clone) -> None:
    command = [sys.executable, "-m", "gitprov", "run", "-q", "--", "sh", "-c", "echo on; read x"]
    with subprocess.Popen(
        command, cwd=clone.path, env=clean_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == b"on\n"
        assert "1 run under way: " in clone.prov("status")
        running.communicate(b"\n")
    assert "under way" not in clone.prov("status")


def test_clone_without_a_remote(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "alone")
    assert clone.prov("status").endswith("no remote: runs are in this clone only\n")
