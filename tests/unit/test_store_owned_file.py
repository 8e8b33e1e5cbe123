"""The lock of filesystems that have none: one holder at a time, and never a dead one."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier

import pytest

from gitprov.codec import canonical
from gitprov.codec.canonical import Document
from gitprov.errors import StoreBusy
from gitprov.store.liveness import current_process
from gitprov.store.owned_file import owned_file, owner_of
from tests.support.repositories import clean_environment

PROCESSES, ROUNDS = 8, 12

HOLDER = """
import sys
from pathlib import Path
from gitprov.store.owned_file import owned_file
with owned_file(Path(sys.argv[1]), lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


class Waited(Exception):
    """Somebody else holds the file."""


def give_up() -> None:
    raise Waited


def pause() -> None:
    time.sleep(0.001)


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def dead_process() -> Document:
    """Return the description of a process that has ended."""
    program = "import sys; from gitprov.codec.canonical import encode; from gitprov.store.liveness"
    program += " import current_process; sys.stdout.buffer.write(encode(current_process()))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, check=True
    )
    return canonical.decode(done.stdout)


def leave(path: Path, owner: Document, *, seconds_ago: float = 60) -> None:
    """Put a file there that names an owner, whole from the first moment."""
    whole = path.with_name("whole")
    whole.write_bytes(canonical.encode(owner))
    os.utime(whole, (time.time() - seconds_ago,) * 2)
    whole.rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "owner"


def test_names_its_owner_while_it_is_held(path: Path) -> None:
    assert owner_of(path) is None
    with owned_file(path, give_up):
        assert owner_of(path) == current_process()
        with pytest.raises(Waited), owned_file(path, give_up):
            pass
    assert owner_of(path) is None
    assert list(path.parent.iterdir()) == []


def test_is_free_again_after_an_error(path: Path) -> None:
    with pytest.raises(KeyError), owned_file(path, give_up):
        raise KeyError
    assert list(path.parent.iterdir()) == []


def test_file_of_a_killed_owner_is_taken_over(path: Path) -> None:
    with hold(path) as holder:
        os.utime(path, (0, 0))
        with pytest.raises(Waited), owned_file(path, give_up):
            pass
        holder.kill()
    assert owner_of(path) is not None
    with owned_file(path, pause):
        assert owner_of(path) == current_process()
    assert list(path.parent.iterdir()) == []


def test_what_a_dead_owner_has_started_gets_a_moment(path: Path) -> None:
    owner = dead_process()
    leave(path, owner, seconds_ago=0)
    with pytest.raises(Waited), owned_file(path, give_up):
        pass
    assert owner_of(path) == owner


@pytest.mark.parametrize(
    "change",
    [{"boot": "another"}, {"pids": "pid:[1]"}, current_process(), {"pid": "?"}, {"boot": ""}],
    ids=["another machine", "another container", "alive", "no number", "no machine"],
)
def test_owner_that_may_live_is_waited_for(path: Path, change: Document) -> None:
    owner = dead_process() | change
    leave(path, owner)
    with pytest.raises(Waited), owned_file(path, give_up):
        pass
    assert owner_of(path) == owner
    assert list(path.parent.iterdir()) == [path]


def test_owner_of_another_boot_that_holds_it_for_an_hour_has_lost_it(path: Path) -> None:
    """Its machine is off, or was started anew; a drain takes seconds."""
    owner = dead_process() | {"boot": "another"}
    leave(path, owner, seconds_ago=3500)
    with pytest.raises(Waited), owned_file(path, give_up):
        pass
    assert owner_of(path) == owner
    leave(path, owner, seconds_ago=3700)
    with owned_file(path, [None].pop):  # the second try
        assert owner_of(path) == current_process()
    assert list(path.parent.iterdir()) == []


def test_owner_of_this_machine_that_lives_keeps_it(path: Path) -> None:
    leave(path, current_process(), seconds_ago=100_000)
    with pytest.raises(Waited), owned_file(path, give_up):
        pass
    assert owner_of(path) == current_process()


def test_number_of_a_dead_owner_that_another_process_has_now(path: Path) -> None:
    leave(path, current_process() | {"started": "1"})
    with owned_file(path, pause):
        assert owner_of(path) == current_process()


@pytest.mark.parametrize("content", [b"", b"words"])
def test_damaged_file_is_told_of(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreBusy, match="is damaged; if no gitprov is running, remove it"):
        owned_file(path, give_up).__enter__()
    assert path.read_bytes() == content


def test_only_one_removes_a_dead_owner_s_file(path: Path) -> None:
    leave(path, dead_process())
    breaking = path.with_name("owner.breaking")
    breaking.mkdir()
    with pytest.raises(Waited), owned_file(path, give_up):
        pass
    os.utime(breaking, (0, 0))
    with pytest.raises(StoreBusy, match="was left behind; remove it"):
        owned_file(path, give_up).__enter__()
    breaking.rmdir()
    with owned_file(path, pause):
        pass


def test_filesystem_without_links_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(StoreBusy, match="can neither lock nor link files"):
        owned_file(path, give_up).__enter__()
    assert list(path.parent.iterdir()) == []


def _take_over(path: Path, dead: Document, start: Barrier, number: int) -> None:
    """Want the file of a dead owner, at the same moment as all others, again and again."""
    inside, count = path.with_name("inside"), path.with_name("count")
    for _ in range(ROUNDS):
        start.wait(60)
        if number == 0:
            leave(path, dead)
        start.wait(60)
        with owned_file(path, pause):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            count.write_text(str(int(count.read_text()) + 1))
            inside.unlink()


def test_many_who_find_a_dead_owner_at_once(path: Path) -> None:
    path.with_name("count").write_text("0")
    context = multiprocessing.get_context("spawn")
    start, dead = context.Barrier(PROCESSES), dead_process()
    workers = [
        context.Process(target=_take_over, args=(path, dead, start, number))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    assert path.with_name("count").read_text() == str(PROCESSES * ROUNDS)
    assert [left.name for left in path.parent.iterdir()] == ["count"]
