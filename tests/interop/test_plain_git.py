"""Everything is readable, checkable and safe with git alone."""

import json
import subprocess
from pathlib import Path

import pytest

from gitprov.store.staging import Staging
from tests.support.repositories import Clone
from tests.support.runs import entries, finish, record, run_ids

UV_LOCK = b'version = 1\r\nrequires-python = ">=3.11"\n\n# caf\xc3\xa9, no newline at the end'


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a repository with a few runs: clean, dirty, failed, from a lost branch."""
    clone = Clone.make(tmp_path_factory.mktemp("plain") / "clone")
    clone.commit("lock", {"uv.lock": UV_LOCK, "pyproject.toml": "[project]\n"})
    clone.prov("init")
    clone.run("sh", "-c", "echo loss=0.5 >> $GITPROV_METRICS", options=["-m", "a reason"])
    clone.prov_call("run", "--quiet", "--", "sh", "-c", "exit 3")
    clone.git("checkout", "--quiet", "-b", "lost")
    clone.commit("on a branch that is lost", {"lost.py": "x = 1\n"})
    clone.write("lost.py", "x = 2\n")
    clone.run("true")
    clone.git("checkout", "--quiet", "--force", "main")
    clone.git("branch", "-D", "lost")
    return clone


def log(clone: Clone, *options: str) -> str:
    return clone.git("log", "--glob=refs/prov/ledger/*", *options)


def test_everything_is_clean_to_git(clone: Clone) -> None:
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    assert clone.git("status", "--porcelain") == ""


def test_ledger_is_a_readable_log(clone: Clone) -> None:
    subjects = log(clone, "--format=%s").splitlines()
    assert len(subjects) == 3
    for subject, status in zip(subjects, ["ok", "failed (exit 3)", "ok"], strict=True):
        assert subject.startswith("run ")
        assert status in subject
    assert "a reason" in log(clone, "--format=%b")
    assert log(clone, "--format=%an <%ae>").splitlines() == ["Ada <ada@example.org>"] * 3


def test_trailers_are_git_s(clone: Clone) -> None:
    runs = [json.loads(line) for line in clone.prov("log", "--json").splitlines()]
    entries = log(clone, "--format=%H").split()
    for run, entry in zip(runs, entries, strict=True):
        message = clone.git("log", "-1", "--format=%B", entry)
        parsed = subprocess.run(
            ["git", "interpret-trailers", "--parse"],
            input=message,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        trailers = dict(line.split(": ", 1) for line in parsed.splitlines())
        assert trailers["Prov-Run"] == run["id"]
        assert trailers["Prov-Status"] == run["status"]
        assert trailers["Prov-Source"] == run["source"]["commit"]
        assert trailers.get("Prov-Snapshot") == run["source"].get("snapshot")
    values = log(clone, "--format=%(trailers:key=Prov-Run,valueonly,separator=%x2C)")
    assert values.split() == [run["id"] for run in runs]
    assert "Prov-Metrics: loss=0.5" in log(clone, "--format=%(trailers)")


def test_environment_is_native_files(clone: Clone) -> None:
    run_id = clone.last_id()
    (entry, *_) = log(clone, "--format=%H").split()
    listing = clone.git("show", f"{entry}:{run_id}/environment").splitlines()
    assert "uv.lock" in listing
    stored = subprocess.run(
        ["git", "show", f"{entry}:{run_id}/environment/uv.lock"],
        cwd=clone.path,
        capture_output=True,
        check=True,
    ).stdout
    assert stored == UV_LOCK
    trees = {
        clone.git("rev-parse", f"{oid}:{run}/environment").strip()
        for oid in log(clone, "--format=%H").split()
        for run in clone.git(
            "log", "-1", "--format=%(trailers:key=Prov-Run,valueonly)", oid
        ).split()
    }
    # The command `true` and the shell are not Python: what they run under is the same.
    assert len(trees) == 1


def test_runs_show_under_their_commit(clone: Clone) -> None:
    shown = clone.git("log", "-1", "--notes=prov", "main")
    runs = [json.loads(line) for line in clone.prov("log", "--json", "main").splitlines()]
    assert len(runs) == 2
    for run in runs:
        assert f"    run {run['id'][:8]} " in shown
    assert "loss=0.5" in shown
    # init has made it the default.
    assert clone.git("log", "-1", "main") == shown


def test_ledger_can_be_left_out_of_a_log(clone: Clone) -> None:
    everything = clone.git("log", "--exclude=refs/prov/*", "--exclude=refs/notes/*", "--all",
                           "--format=%s").splitlines()  # fmt: skip
    assert everything == ["lock", "first"]


def test_gc_takes_nothing(tmp_path: Path) -> None:
    """Between and after runs, with snapshots of a branch that was reset away."""
    clone = Clone.make(tmp_path / "clone")
    clone.prov("init")
    snapshots = []
    for number in range(4):
        clone.commit(f"attempt {number}", {f"new{number}.py": f"x = {number}\n"})
        clone.write("train.py", f"print({number})\n")
        clone.write("untracked.txt", f"{number}\n")
        clone.run("sh", "-c", "echo words")
        source = json.loads(clone.prov("show", "--json"))["source"]
        snapshots.append((number, source["snapshot"], source["commit"]))
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
        (clone.path / "untracked.txt").unlink(missing_ok=True)
        clone.git("reflog", "expire", "--expire=now", "--all")
        clone.git("gc", "--prune=now", "--quiet")
    assert len(clone.prov("log", "--oneline").splitlines()) == 4
    for number, snapshot, commit in snapshots:
        assert clone.git("show", f"{snapshot}:train.py") == f"print({number})\n"
        assert clone.git("show", f"{snapshot}:untracked.txt") == f"{number}\n"
        assert clone.git("show", f"{commit}:new{number}.py") == f"x = {number}\n"
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    verified = clone.prov("verify")
    assert "none failed" in verified
    assert "could not be checked" not in verified
    assert clone.prov("show", "--output") == "words\n"


def test_gc_between_writing_and_linking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone.make(tmp_path / "clone")
    store = clone.store()
    record(store)
    original = Staging.write

    def write_and_collect(staging: Staging) -> None:
        original(staging)
        clone.git("gc", "--prune=now", "--quiet")

    monkeypatch.setattr(Staging, "write", write_and_collect)
    for _ in range(3):
        record(store, environment={"uv.lock": UV_LOCK})
    clone.git("gc", "--prune=now", "--quiet")
    assert len(run_ids(store)) == 4
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_bundle_carries_the_runs(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    store = clone.store()
    ids = record(store, 3)
    waiting = finish(store)
    clone.git("bundle", "create", "--quiet", str(tmp_path / "runs"), "--glob=refs/prov/*")
    other = Clone.make(tmp_path / "other")
    other.git("fetch", "--quiet", str(tmp_path / "runs"), "refs/prov/*:refs/prov/*")
    assert run_ids(other.store()) == sorted(ids)
    assert len(entries(other.store())) == 3
    assert [run.id for run in store.journal.runs()] == [waiting.id]
