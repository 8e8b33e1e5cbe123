"""The journal: what survives a torn write."""

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
from gitprov.store.journal import Journal, JournalRun
from gitprov.store.liveness import current_process, is_local
from gitprov.store.object_file import write_objects
from gitprov.store.objects import Object
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


def test_the_environment_is_that_of_the_digest(run: JournalRun) -> None:
    digest, other = b"\1" * 32, b"\2" * 32
    assert run.environment(digest) == {}
    start, end = {"packages.json": b"1"}, {"packages.json": b"2", "a/b.json": b"3"}
    run.write_environment(start)
    assert run.environment() == run.environment(digest) == start
    run.write_environment(end, digest)
    assert run.environment(digest) == end
    assert run.environment() == run.environment(other) == start


def test_life_of_a_run(journal: Journal, run: JournalRun) -> None:
    assert [found.id for found in journal.runs()] == [run.id]
    assert (run.started, run.finished, run.is_finished, run.is_over) == (None, None, False, False)
    assert not run.is_orphaned()
    run.begin({"manifest": {"id": run.id}})
    run.write_environment({"uv.lock": b"lock\n", "conda/explicit.txt": b"\0"})
    assert run.started is not None
    assert run.started["owner"] == current_process() | {"local": is_local(run.path)}
    assert not run.is_orphaned()
    run.payload("tail.txt").write_bytes(b"words")
    run.finish({"manifest": {"id": run.id}})
    again = journal.open(run.id)
    assert again.is_finished
    assert again.is_over
    assert again.finished == {"manifest": {"id": run.id}}
    assert again.environment() == {"uv.lock": b"lock\n", "conda/explicit.txt": b"\0"}
    again.retire()
    assert journal.runs() == []
    assert again.is_over
    assert not run.path.exists()


def test_other_files_are_no_runs(journal: Journal) -> None:
    assert journal.runs() == []
    (journal.folder / "not-an-id").mkdir(parents=True)
    assert journal.runs() == []


def test_retired_run_is_gone_whole_before_any_file_of_it_is(
    journal: Journal, run: JournalRun
) -> None:
    run.begin({})
    run.append(EVENTS[0])
    run.finish({"manifest": {}})
    names = sorted(path.name for path in run.path.iterdir())
    run.retire()
    assert journal.runs() == []
    (left,) = journal.folder.iterdir()
    assert sorted(path.name for path in left.iterdir()) == names
    journal.clear_retired()
    assert list(journal.folder.iterdir()) == []


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


def test_forked_child_has_an_events_file_of_its_own(run: JournalRun) -> None:
    run.append({"from": "parent"})
    child = os.fork()
    if child == 0:
        run.append({"from": "child"})
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    run.append({"from": "parent"})
    assert len(list(run.path.glob("events-*"))) == 2
    # In the order of their first words, whatever the numbers of the processes.
    assert [event["from"] for event in run.events()] == ["parent", "parent", "child"]


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
    assert run.is_orphaned()
    run.finish({"manifest": {}})
    assert not run.is_orphaned()


def test_damaged_files_are_named(run: JournalRun) -> None:
    run.begin({"manifest": {}})
    (run.path / "started").write_bytes(b"\xc1")
    with pytest.raises(StoreDamaged, match="started is damaged"):
        _ = run.started


def test_snapshot_objects(run: JournalRun) -> None:
    assert list(run.snapshot_objects()) == []
    objects = [Object("blob", b"a\0b\0c"), Object("tree", b""), Object("commit", b"c" * 1000)]
    write_objects(run.snapshot, objects, fsync=True)
    assert list(run.snapshot_objects()) == objects
    whole = run.snapshot.read_bytes()
    for damaged in (
        b"no zlib",
        whole[:-3],
        zlib.compress(b"blob 5\0a\0b"),
        zlib.compress(b"blob x\0a"),
        zlib.compress(b"blob 5"),
    ):
        run.snapshot.write_bytes(damaged)
        with pytest.raises(StoreDamaged, match="is damaged"):
            list(run.snapshot_objects())


class TestListings:
    def test_what_is_kept_is_listed(self, run: JournalRun) -> None:
        assert run.listings() == []
        new = run.new_listing()
        blob, tree = new.add("blob", b"node"), new.add("tree", b"")
        assert run.listings() == []
        new.keep(bytes(32), tree)
        new.discard()
        (kept,) = run.listings()
        assert (kept.sha256, kept.tree) == ("00" * 32, tree)
        assert list(kept.objects()) == [Object("blob", b"node"), Object("tree", b"")]
        assert blob != tree

    def test_what_is_not_kept_is_not(self, run: JournalRun) -> None:
        new = run.new_listing()
        new.add("blob", b"node")
        new.discard()
        run.new_listing().add("blob", b"of a process that died")
        assert run.listings() == []

    def test_several_at_once(self, run: JournalRun) -> None:
        """Processes that join a run have listings of their own."""
        news = [run.new_listing() for _ in range(3)]
        for number, new in enumerate(news):
            new.add("blob", b"%d" % number)
        for number, new in enumerate(news):
            new.keep(bytes([number]) * 32, "0" * 40)
        found = [[item.data for item in kept.objects()] for kept in run.listings()]
        assert found == [[b"0"], [b"1"], [b"2"]]

    def test_the_same_twice(self, run: JournalRun) -> None:
        for _ in range(2):
            new = run.new_listing()
            new.add("blob", b"node")
            new.keep(bytes(32), "0" * 40)
        assert len(run.listings()) == 1

    def test_they_count_for_a_batch(self, run: JournalRun) -> None:
        before = run.size
        new = run.new_listing()
        new.add("blob", os.urandom(100_000))
        new.keep(bytes(32), "0" * 40)
        assert run.size - before > 100_000

    def test_after_the_run_is_gone(self, run: JournalRun) -> None:
        new = run.new_listing()
        run.discard()
        with pytest.raises(FileNotFoundError):
            new.keep(bytes(32), "0" * 40)
        with pytest.raises(FileNotFoundError):
            run.new_listing()


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
