"""The journal: what survives a torn write, and who is dead."""

import os
import resource
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from gitprov.errors import StoreDamaged
from gitprov.model.ids import new_id
from gitprov.store.journal import Journal, JournalRun, current_process, is_dead
from tests.support.repositories import clean_environment

EVENTS = [{"event": "params", "params": {"number": number}} for number in range(4)]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def run(journal: Journal) -> JournalRun:
    return journal.create(new_id())


def events_file(run: JournalRun) -> Path:
    (path,) = run.path.glob("events-*")
    return path


def test_life_of_a_run(journal: Journal, run: JournalRun) -> None:
    assert [found.id for found in journal.runs()] == [run.id]
    assert (run.started, run.finished, run.is_finished, run.is_orphaned) == (
        None,
        None,
        False,
        False,
    )
    run.begin({"manifest": {"id": run.id}})
    run.write_environment({"uv.lock": b"lock\n", "conda/explicit.txt": b"\0"})
    assert run.started is not None
    assert run.started["owner"] == current_process()
    assert not run.is_orphaned
    run.payload("tail.txt").write_bytes(b"words")
    run.finish({"manifest": {"id": run.id}})
    again = journal.open(run.id)
    assert again.is_finished
    assert again.finished == {"manifest": {"id": run.id}}
    assert again.environment() == {"uv.lock": b"lock\n", "conda/explicit.txt": b"\0"}
    again.remove()
    assert journal.runs() == []
    assert not run.path.exists()


def test_other_files_are_no_runs(journal: Journal) -> None:
    assert journal.runs() == []
    (journal.folder / "not-an-id").mkdir(parents=True)
    assert journal.runs() == []


def test_removal_that_is_cut_short_is_still_a_finished_run(
    run: JournalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.begin({})
    run.append(EVENTS[0])
    run.finish({"manifest": {}})
    folder = run.path

    class Killed(Exception):
        pass

    def killed(_: Path) -> None:
        raise Killed

    monkeypatch.setattr(Path, "rmdir", killed)
    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(Killed):
        run.remove()
    assert (folder / "finished").exists()


def test_events_torn_at_every_byte(run: JournalRun) -> None:
    for event in EVENTS:
        run.append(event)
    path = events_file(run)
    whole = path.read_bytes()
    frame = len(whole) // len(EVENTS)
    assert frame * len(EVENTS) == len(whole)
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert list(run.events()) == EVENTS[: length // frame]


def test_events_damaged_at_every_byte_are_never_taken_for_others(run: JournalRun) -> None:
    for event in EVENTS:
        run.append(event)
    path = events_file(run)
    whole = path.read_bytes()
    frame = len(whole) // len(EVENTS)
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        assert list(run.events()) == EVENTS[: position // frame]


def test_event_that_finds_no_room_harms_no_other(run: JournalRun) -> None:
    """A short write tears a frame; what is appended later must still be read."""
    program = """
import resource, signal, sys
from pathlib import Path
from gitprov.store.journal import Journal
path = Path(sys.argv[1])
run = Journal(path.parent).open(path.name)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run.append({"n": 1})
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))
try:
    run.append({"n": 2, "text": "x" * 100})
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
run.append({"n": 3})
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(run.path)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert result.stdout == "No space left on device\n"
    assert [event["n"] for event in run.events()] == [1, 3]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_events_of_several_processes(run: JournalRun) -> None:
    run.append({"from": "here"})
    program = """
import sys
from pathlib import Path
from gitprov.store.journal import Journal
path = Path(sys.argv[1])
Journal(path.parent).open(path.name).append({"from": "there"})
"""
    subprocess.run(
        [sys.executable, "-c", program, str(run.path)], env=clean_environment(), check=True
    )
    assert sorted(event["from"] for event in run.events()) == ["here", "there"]


def test_this_process_is_alive() -> None:
    assert not is_dead(current_process())


def test_dead_process_is_known() -> None:
    program = "from gitprov.store.journal import current_process; print(current_process())"
    output = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    owner = eval(output)  # noqa: S307 -- our own words
    assert owner["pid"] != os.getpid()
    assert is_dead(owner)


def test_process_that_waits_to_be_reaped_is_dead() -> None:
    program = """
from gitprov.store.journal import current_process
print(current_process(), flush=True)
input()
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    owner = eval(child.stdout.readline())  # noqa: S307 -- our own words
    assert not is_dead(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(owner)
    child.communicate(timeout=20)


def test_number_of_another_process_is_not_ours() -> None:
    assert is_dead(current_process() | {"started": "1"})


def test_reboot_ends_everything() -> None:
    assert is_dead(current_process() | {"boot": "00000000-0000-0000-0000-000000000000"})


@pytest.mark.parametrize(
    "owner",
    [
        {},
        current_process() | {"host": "elsewhere.example.org", "pid": 1 << 22},
        current_process() | {"pids": "pid:[1]", "pid": 1 << 22},
        current_process() | {"pid": "1"},
    ],
    ids=["unknown", "host", "container", "number"],
)
def test_what_cannot_be_known_counts_as_alive(owner: dict[str, object]) -> None:
    assert not is_dead(owner)


def test_finished_run_is_no_orphan(run: JournalRun) -> None:
    program = """
import sys
from pathlib import Path
from gitprov.store.journal import Journal
path = Path(sys.argv[1])
Journal(path.parent).open(path.name).begin({"manifest": {}})
"""
    subprocess.run(
        [sys.executable, "-c", program, str(run.path)], env=clean_environment(), check=True
    )
    assert run.is_orphaned
    run.finish({"manifest": {}})
    assert not run.is_orphaned


def test_damaged_files_are_named(run: JournalRun) -> None:
    run.begin({"manifest": {}})
    (run.path / "started").write_bytes(b"\xc1")
    with pytest.raises(StoreDamaged, match="started is damaged"):
        _ = run.started


def test_snapshot_objects(run: JournalRun) -> None:
    assert list(run.snapshot_objects()) == []
    folder = run.objects_dir / "ab"
    folder.mkdir(parents=True)
    (folder / ("c" * 38)).write_bytes(zlib.compress(b"blob 5\0a\0b\0c"))
    ((found),) = run.snapshot_objects()
    assert found == ("blob", b"a\0b\0c")
    (folder / ("d" * 38)).write_bytes(b"no zlib")
    with pytest.raises(StoreDamaged, match="is damaged"):
        list(run.snapshot_objects())


def test_interrupt_while_the_file_is_written_leaves_the_old_one(run: JournalRun) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from gitprov.store import durable
def killed(descriptor):
    os.kill(os.getpid(), signal.SIGKILL)
durable.os.fsync = killed
durable.write_durably(Path(sys.argv[1]), b"new")
"""
    path = run.path / "file"
    path.write_bytes(b"old")
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=clean_environment(), check=False
    )
    assert result.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
