"""The command runs and the run is recorded, whatever is wrong around them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish

PROV = [sys.executable, "-m", "gitprov"]
MANY = "import os\nwith open(os.environ['GITPROV_METRICS'], 'a') as lines:\n"
MANY += "    lines.writelines(f'metric{number}=1\\n' for number in range(12_000))\n"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def runs(clone: Clone) -> list[dict[str, Any]]:
    return [json.loads(line) for line in clone.prov("log", "--json").splitlines()]


def test_more_metrics_than_a_record_holds(clone: Clone) -> None:
    clone.run(sys.executable, "-c", MANY)
    clone.run("true")
    after, many = runs(clone)
    assert after["status"] == many["status"] == "completed"
    assert len(many["metrics"]) == 10_000
    assert many["missing"]["metrics.rest"] == "2000 of 12000 are more than a record holds"
    clone.prov("verify")


def test_more_inputs_and_longer_text_than_a_record_holds(clone: Clone) -> None:
    folder = clone.write("many/0", "").parent
    for number in range(1, 10_050):
        (folder / str(number)).touch()
    clone.commit("many files")
    clone.prov("run", "-q", "-m", "x" * 100_000, "-i", "many/*", "--", "true")
    (run,) = runs(clone)
    assert len(run["inputs"]) == 10_000
    assert "inputs.rest" in run["missing"]
    assert len(run["message"]) == 65_536


def test_a_program_that_logs_more_than_a_record_holds(clone: Clone) -> None:
    program = (
        "import gitprov\n"
        "with gitprov.start_run(params={'text': 'x' * 3_000_000}) as run:\n"
        "    for part in range(9):\n"
        "        run.log_metrics({f'm{part}.{number}': 1 for number in range(8_000)})\n"
    )
    clone.call(sys.executable, "-W", "error", "-c", program, check=True)
    (run,) = runs(clone)
    assert run["status"] == "completed"
    assert run["missing"]["metrics.rest"] == "62000 of 72000 are more than a record holds"


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x81\xa5owner\x80"])
def test_a_damaged_journal_holds_up_no_other_run(clone: Clone, content: bytes) -> None:
    clone.run("true")
    journal = clone.store().journal
    damaged = journal.create("k" * 32)
    (damaged.path / "started").write_bytes(content)
    result = clone.prov_call("run", "--", "true")
    assert result.returncode == 0
    assert len(runs(clone)) == 2
    if content != b"\x81\xa5owner\x80":  # well-formed: of a process that cannot be told dead
        assert (clone.path / ".git/prov/rejected" / ("k" * 32)).is_dir()


@pytest.fixture
def locked_out() -> Iterator[tuple[Clone, Path, list[str]]]:
    """Yield a clone, a run's folder in its journal that we may not read, and who `we` are.

    Nothing keeps root from reading, so that somebody else looks where we are root.
    """
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        clone = Clone.make(top / "repo")
        clone.prov("run", "--quiet", "--", "sh", "-c", "kill -9 $PPID", check=False)
        finish(clone.store())
        theirs = clone.store().journal.create("k" * 32)
        somebody: list[str] = []
        if os.geteuid() == 0:
            somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            for path in (top, *top.rglob("*")):
                os.chown(path, 65534, 65534, follow_symlinks=False)
            os.chown(theirs.path, 0, 0)
        theirs.path.chmod(0o700 if somebody else 0)
        if clone.call(*somebody, sys.executable, "-c", "import gitprov").returncode:
            pytest.skip("nobody else may run gitprov here")
        yield clone, theirs.path, somebody
        theirs.path.chmod(0o700)


def test_a_run_that_may_not_be_read_holds_up_no_other(
    locked_out: tuple[Clone, Path, list[str]],
) -> None:
    clone, folder, somebody = locked_out
    home = {"HOME": str(clone.path)}
    done = clone.call(*somebody, *PROV, "run", "-q", "--", "true", **home)
    assert (done.returncode, done.stderr) == (0, "")
    listed = clone.call(*somebody, *PROV, "log", "--json", **home)
    assert listed.stderr == ""
    statuses = [json.loads(line)["status"] for line in listed.stdout.splitlines()]
    assert sorted(statuses) == ["aborted", "completed", "completed"]
    doctor = clone.call(*somebody, *PROV, "doctor", **home)
    assert doctor.returncode == 1
    assert "run kkkkkkkk cannot be read: Permission denied" in doctor.stdout
    assert f"next: see who owns it: ls -ld {folder}\n" in doctor.stdout
    assert doctor.stdout.endswith("1 fault left for you to see to\n")
    assert folder.is_dir()


@pytest.mark.parametrize("name", [".tmp", ".1.swp", "~", ".-1", ".²"])
def test_a_file_beside_the_metrics_of_a_killed_run(clone: Clone, name: str) -> None:
    """The command has made it; it is no rank's."""
    script = 'echo loss=1 > "$GITPROV_METRICS"; echo loss=2 > "$GITPROV_METRICS$0"; kill -9 $PPID'
    assert clone.prov_call("run", "--", "sh", "-c", script, name).returncode == -9
    (run,) = runs(clone)
    assert run["status"] == "aborted"
    assert [(metric["name"], metric["value"]) for metric in run["metrics"]] == [("loss", 1)]
    assert not (clone.path / ".git/prov/rejected").exists()


def test_a_configured_size_that_is_none(clone: Clone) -> None:
    clone.git("config", "prov.log.maxSize", "10MB")
    result = clone.prov_call("run", "--", "echo", "ran")
    assert result.returncode == 0
    assert result.stdout == "ran\n"
    assert "prov.log.maxsize=10MB is not a size" in result.stderr
    (run,) = runs(clone)
    assert run["status"] == "completed"


def test_a_folder_that_is_gone(clone: Clone) -> None:
    gone = clone.path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    command = ["sh", "-c", script, "sh", str(gone), *PROV, "run", "--", "echo", "ran"]
    result = clone.call(*command)
    assert result.returncode == 0
    assert result.stdout == "ran\n"
    assert "not recorded" in result.stderr


def test_a_run_id_that_is_none(clone: Clone) -> None:
    clone.prov("run", "-q", "--", "true", GITPROV_RUN_ID="junk")
    (run,) = runs(clone)
    assert "links" not in run


def test_a_terminal_that_lacks_letters(clone: Clone) -> None:
    clone.prov("run", "-q", "-m", "café", "--", "true")
    assert "caf\\xe9" in clone.prov("log", PYTHONIOENCODING="ascii")


def test_a_fault_of_ours_is_one_line(clone: Clone) -> None:
    program = (
        "import gitprov.cli.show, gitprov.cli\n"
        "def broken(self, name='last'): raise ZeroDivisionError('planted')\n"
        "gitprov.cli.show.History.find = broken\n"
        "raise SystemExit(gitprov.cli.run(['show']))\n"
    )
    result = clone.call(sys.executable, "-c", program)
    assert result.returncode == 70
    (line,) = result.stderr.splitlines()
    assert "a fault in gitprov: ZeroDivisionError: planted" in line
    loud = clone.call(sys.executable, "-c", program, GITPROV_DEBUG="1")
    assert "Traceback" in loud.stderr


def test_a_command_that_removes_its_own_repository(clone: Clone) -> None:
    result = subprocess.run(
        [*PROV, "run", "--", "sh", "-c", f"rm -rf '{clone.path}'; exit 7"],
        cwd=clone.path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 7
    assert "Traceback" not in result.stderr
    assert not os.path.exists(clone.path / ".git")  # noqa: PTH110
