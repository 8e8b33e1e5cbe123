"""The lock: one at a time, and never held by the dead."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitprov.errors import StoreBusy
from gitprov.store.lock import Overtaken, store_lock
from gitprov.store.owned_file import owner_of
from tests.support.killed_git import needs_strace
from tests.support.repositories import Clone, clean_environment

HOLDER = """
import sys
from pathlib import Path
from gitprov.store.lock import store_lock
with store_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path, *tracer: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*tracer, sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def without_locks(error: str) -> list[str]:
    """Return how to run a command as on a filesystem that lacks flock."""
    inject = f"inject=flock:error={error}"
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", inject]


def test_is_free_again_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with store_lock(path, timeout=0):
            assert path.exists()


def test_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), store_lock(tmp_path / "lock", timeout=0):
        raise KeyError
    with store_lock(tmp_path / "lock", timeout=0):
        pass


def test_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold(path)
    try:
        with pytest.raises(StoreBusy), store_lock(path, timeout=0):
            pass
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate(timeout=20)
    with store_lock(path, timeout=5):
        assert path.exists()


def test_child_that_did_not_inherit_it_does_not_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with store_lock(path, timeout=0):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with store_lock(path, timeout=0):
        child.communicate(b"\n", timeout=20)


def test_forked_child_does_not_hold_it(tmp_path: Path) -> None:
    """As a worker of multiprocessing that starts while another thread of its parent drains."""
    path = tmp_path / "lock"
    ours, its = socket.socketpair()
    with ours:
        with store_lock(path):
            child = os.fork()
            if child == 0:
                ours.close()
                its.send(b"begun")
                its.recv(1)
                os._exit(0)
            its.close()
            assert ours.recv(5) == b"begun"
            with pytest.raises(StoreBusy), store_lock(path, timeout=0):
                pass  # it is ours all the same
        with store_lock(path, timeout=0):
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
    assert os.waitpid(child, 0) == (child, 0)


def test_child_that_inherited_it_holds_it(tmp_path: Path) -> None:
    """Such as a git that goes on when we are killed."""
    path = tmp_path / "lock"
    with store_lock(path, timeout=0) as lock:
        assert lock is not None
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )
    with pytest.raises(StoreBusy), store_lock(path, timeout=0):
        pass
    child.communicate(b"\n", timeout=20)
    with store_lock(path, timeout=0):
        pass


def test_waiting_ends_once_it_is_of_no_use(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    counts = [2, 1, 0]

    def left() -> int:
        return counts.pop(0)

    with store_lock(path), pytest.raises(Overtaken), store_lock(path, left=left):
        pass
    with store_lock(path, timeout=0, left=left):
        assert counts == []


def test_waiting_goes_on_while_others_do_our_work(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    begun = time.monotonic()
    counts = iter([*range(8, 0, -1), *[1] * 1000])

    def left() -> int:
        time.sleep(0.05)
        return next(counts)

    with store_lock(path), pytest.raises(StoreBusy), store_lock(path, timeout=0.2, left=left):
        pass
    assert time.monotonic() - begun > 8 * 0.05 + 0.2


def test_waiting_ends_with_a_message_that_helps(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    begun = time.monotonic()
    with store_lock(path), pytest.raises(StoreBusy) as failure, store_lock(path, timeout=0.2):
        pass
    assert 0.2 <= time.monotonic() - begun < 10
    assert str(path) in str(failure.value)
    assert "git prov doctor" in str(failure.value)
    assert "\n" not in str(failure.value)


def _add_one(folder: Path) -> None:
    for _ in range(50):
        with store_lock(folder / "lock"):
            path = folder / "number"
            path.write_text(str(int(path.read_text()) + 1))


def test_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_one, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "number").read_text() == "200"


@needs_strace
@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_one_at_a_time_without_flock(tmp_path: Path, error: str) -> None:
    path, number = tmp_path / "lock", tmp_path / "number"
    number.write_text("0")
    program = (
        "import sys; from pathlib import Path; from tests.unit.test_store_lock import _add_one"
    )
    command = [sys.executable, "-c", f"{program}; _add_one(Path(sys.argv[1]))", str(tmp_path)]
    workers = [
        subprocess.Popen([*without_locks(error), *command], env=clean_environment())
        for _ in range(3)
    ]
    assert [worker.wait(120) for worker in workers] == [0] * 3
    assert number.read_text() == "150"
    assert sorted(tmp_path.iterdir()) == [path, number]


@needs_strace
def test_killed_holder_without_flock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, *without_locks("ENOLCK")) as holder:
        owner = owner_of(path.with_name("lock-owner"))
        assert owner is not None
        waiting = "import sys; from pathlib import Path; from gitprov.store.lock import store_lock;"
        waiting += "store_lock(Path(sys.argv[1]), timeout={}).__enter__(); print('held')"
        ask = [*without_locks("ENOLCK"), sys.executable, "-c"]

        def call(timeout: int) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*ask, waiting.format(timeout), str(path)],
                env=clean_environment(), capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip

        assert "StoreBusy" in call(0).stderr
        os.kill(owner["pid"], signal.SIGKILL)
        holder.wait(20)
        os.utime(path.with_name("lock-owner"), (0, 0))
        assert call(30).stdout == "held\n"


@needs_strace
def test_whole_command_without_flock(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    command = [*without_locks("ENOLCK"), sys.executable, "-m", "gitprov"]
    for number in range(2):
        done = clone.call(*command, "run", "--", "sh", "-c", f"exit {number}")
        assert done.returncode == number
        assert "warning" not in done.stderr
    listed = clone.call(*command, "log", "--oneline", check=True)
    assert len(listed.stdout.splitlines()) == 2
    assert clone.call(*command, "verify").returncode == 0
    assert not list((clone.path / ".git" / "prov").glob("*-owner*"))


@needs_strace
def test_filesystem_with_neither_locks_nor_links(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    command = [*without_locks("ENOLCK"), "-e", "trace=flock,link,linkat"]
    command += ["-e", "inject=link,linkat:error=EPERM", sys.executable, "-m", "gitprov"]
    done = clone.call(*command, "run", "--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "can neither lock nor link files" in done.stderr
    assert str(clone.path / ".git/prov/journal") in done.stderr
    assert len(clone.prov("log", "--oneline").splitlines()) == 1
