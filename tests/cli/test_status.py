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


def test_what_sends_what_waits(clone: Clone) -> None:
    clone.run("true")
    both = "origin: 1 run to send; git push sends the runs, git prov push all"
    assert both in clone.prov("status")
    clone.git("config", "prov.autopush", "off")
    assert "origin: 1 run to send; git prov push\n" in clone.prov("status")
    clone.git("config", "prov.share", "ledger")
    assert "origin: 1 run to send; git prov push\n" in clone.prov("status")
    clone.git("config", "--unset", "prov.autopush")
    assert "origin: 1 run to send; git push\n" in clone.prov("status")
    clone.git("push", "--quiet", "origin", "main")
    assert "origin: has everything" in clone.prov("status")


def test_what_is_left_is_named_as_what_it_is(clone: Clone) -> None:
    clone.run("true")
    clone.git("push", "--quiet", "origin", "main")
    assert "origin: references to sources to send; git prov push\n" in clone.prov("status")
    clone.prov("push")
    clone.run("echo", "words")
    clone.git("push", "--quiet", "origin", "main")
    assert "origin: logs and series to send; git prov push\n" in clone.prov("status")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("remote.origin.provRemote", "nobody", "git remote add nobody URL"),
        ("remote.origin.provNamespace", "heads/prov", "cannot be below heads/prov"),
    ],
)
def test_setting_that_leads_astray_hides_no_other_remote(
    clone: Clone, tmp_path: Path, name: str, value: str, reason: str
) -> None:
    clone.git("remote", "add", "lab", str(bare_repository(tmp_path / "lab.git")))
    clone.git("config", name, value)
    clone.run("true")
    first, lab, origin = clone.prov("status").splitlines()
    assert first == "1 run recorded here"
    assert lab.startswith("lab: 1 run, ")
    assert origin.startswith("origin: ")
    assert reason in origin
    by_name = {
        item["remote"]: item for item in json.loads(clone.prov("status", "--json"))["remotes"]
    }
    assert reason in by_name["origin"]["problem"]
    assert by_name["lab"]["pending"]["runs"] == 1


def test_misspelt_share(clone: Clone) -> None:
    clone.git("config", "prov.share", "leger")
    clone.run("true")
    said = clone.prov("status")
    assert said.startswith("1 run recorded here\n")
    assert "prov.share=leger is neither all nor ledger" in said


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
