"""Killed at any moment, or out of room: what was acknowledged is there, and the rest is sound."""

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.policy.verify import verify
from tests.support.repositories import Clone, clean_environment

TRIES = 20
LONGEST_SECONDS = 0.6


def start(clone: Clone, tag: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gitprov", "run", "--quiet", "-t", tag, "--", "sh", "-c",
         "echo words; echo loss=1 >> $GITPROV_METRICS"],
        cwd=clone.path, env=clean_environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "group"])
def test_kill_at_random_moments(tmp_path: Path, *, whole_group: bool) -> None:
    clone = Clone.make(tmp_path / "clone")
    clone.prov("init")
    moments = random.Random(20)  # noqa: S311 -- the same moments each time
    acknowledged, killed = set(), 0
    for number in range(TRIES):
        clone.write("train.py", f"print({number})\n")
        process = start(clone, f"number-{number}")
        time.sleep(moments.uniform(0, LONGEST_SECONDS))
        with contextlib.suppress(ProcessLookupError):
            if whole_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        if process.wait(20) == 0:
            acknowledged.add(f"number-{number}")
        else:
            killed += 1
    assert killed
    assert start(clone, "last").wait(60) == 0
    acknowledged.add("last")
    listed = clone.prov_call("log", "--json")
    assert listed.returncode == 0, listed.stderr
    runs = [json.loads(line) for line in listed.stdout.splitlines()]
    tags = [run["tags"][0] for run in runs]
    assert len(tags) == len(set(tags))
    assert acknowledged <= set(tags), listed.stderr
    for run in runs:
        assert run["status"] == ("completed" if run["tags"][0] in acknowledged else run["status"])
        if run["status"] == "aborted":
            assert run["missing"]["exit_code"]
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    findings = verify(clone.store())
    assert findings.is_good
    assert findings.counts["writers"]["checked"] == len(runs)
    assert not any(run.is_finished or run.started for run in clone.store().journal.runs())


def recording_fails(done: subprocess.CompletedProcess[str]) -> None:
    """Check that the command had its way, and that the user knows what is not recorded."""
    assert done.returncode == 3, done.stderr
    assert done.stdout == "words\n"
    assert "not recorded" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_file_can_grow(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-m", "gitprov", "run", "--", "sh", "-c", "echo words; exit 3"],
        cwd=clone.path, env=clean_environment(), capture_output=True, text=True, check=False,
        timeout=60, preexec_fn=limit,
    )  # fmt: skip
    recording_fails(done)
    clone.run("true")
    assert len(clone.prov("log", "--oneline").splitlines()) == 1
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a filesystem of 8 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("only who may mount can make a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    path = disk / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return path


def test_full_disk(small_disk: Path) -> None:
    clone = Clone.make(small_disk / "clone")
    clone.run("true")
    filler = fill(small_disk)
    recording_fails(clone.prov_call("run", "--", "sh", "-c", "echo words; exit 3"))
    assert len(clone.prov("log", "--oneline").splitlines()) == 1
    filler.unlink()
    clone.run("true")
    assert len(clone.prov("log", "--oneline").splitlines()) == 2
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_disk_that_the_command_fills(small_disk: Path) -> None:
    clone = Clone.make(small_disk / "clone")
    clone.write(".gitignore", "filler\n")
    done = clone.prov_call(
        "run", "--", "sh", "-c", "cat /dev/zero > filler 2>/dev/null; echo words; exit 3"
    )
    recording_fails(done)
    (clone.path / "filler").unlink()
    (line,) = clone.prov("log", "--json").splitlines()
    assert json.loads(line)["status"] == "aborted"
    assert clone.git("fsck", "--strict", "--no-dangling") == ""
    assert clone.prov_call("verify").returncode == 0


def test_disk_that_the_command_fills_after_much_output(small_disk: Path) -> None:
    """There is no room for the end of the output beside its beginning."""
    clone = Clone.make(small_disk / "clone")
    clone.write(".gitignore", "filler\n")
    script = r"""
head -c 49999 /dev/zero | tr '\0' x
echo
until test "$(stat -c %s "$GITPROV_JOURNAL/payload/output.log")" = 50000; do :; done
cat /dev/zero > filler
exit 3
"""
    output = "x" * 49999 + "\n"
    done = clone.prov_call("run", "--", "sh", "-c", f"({script}) 2>/dev/null")
    assert (done.returncode, done.stdout) == (3, output)
    assert "the end of the output is not kept" in done.stderr
    assert "Traceback" not in done.stderr
    (clone.path / "filler").unlink()
    (line,) = clone.prov("log", "--json").splitlines()
    assert json.loads(line)["status"] == "aborted"
    assert clone.prov("show", "--output") == output
