"""Who is dead: on this machine, in another container, after a reboot, on another host."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitprov.store import liveness
from gitprov.store.liveness import (
    LifeSign,
    current_process,
    filesystem_type,
    is_dead,
    is_known_dead,
    is_local,
)
from tests.support.repositories import clean_environment

OTHER_BOOT = "00000000-0000-0000-0000-000000000000"
OTHER_PIDS = "pid:[1]"
HOUR = 3600.0

MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:26 / /home rw,relatime shared:1 master:2 - nfs4 server:/home rw,vers=4.2
31 30 0:27 / /home/ada/local\040disk rw - xfs /dev/vdb rw
32 27 0:28 / /run rw,nosuid - tmpfs tmpfs rw
33 27 0:29 / /scratch rw - autofs systemd-1 rw,fd=5
34 33 0:30 / /scratch rw - lustre 10.0.0.1@o2ib:/scratch rw
35 27 0:31 / /mnt/pool rw - zfs pool rw
36 27 0:32 / /mnt/box rw - fuse.sshfs ada@box: rw
37 27 0:33 / /mnt/host rw - 9p host rw
a line that makes no sense
"""


@pytest.fixture
def alive(tmp_path: Path) -> Path:
    """Return the file of a life sign that nobody holds."""
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "alive"
    path.touch()
    return path


@pytest.fixture
def sign(alive: Path) -> Iterator[LifeSign]:
    sign = LifeSign(alive, heartbeat=False)
    yield sign
    sign.end()


def dead(alive: Path, **owner: object) -> bool:
    here: dict[str, Any] = {**current_process(), "local": True, **owner}
    return is_dead(here, alive, dead_after=HOUR)


def let_pass(alive: Path, seconds: float) -> None:
    past = time.time() - seconds
    os.utime(alive, (past, past))


def see(monkeypatch: pytest.MonkeyPatch, *, local: bool) -> None:
    """Let every folder be on a filesystem of this machine, or on none."""
    monkeypatch.setattr(liveness, "is_local", lambda _: local)


class Child:
    """A Python process that says who it is, and stays until its input ends."""

    def __init__(self, program: str = "", *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"""
import json, sys
from pathlib import Path
from gitprov.store.liveness import LifeSign, current_process
{program}
print(json.dumps(current_process()), flush=True)
sys.stdin.read()
""", *words],
            env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.owner: dict[str, Any] = json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate(timeout=20)


class TestSameMachine:
    """By number and start; the life sign is not asked."""

    def test_this_process(self, alive: Path) -> None:
        assert not dead(alive)
        assert not is_known_dead(current_process())

    def test_process_that_has_ended(self, alive: Path) -> None:
        child = Child()
        assert child.owner["pid"] != os.getpid()
        assert not is_known_dead(child.owner)
        child.end()
        assert is_known_dead(child.owner)
        assert is_dead(child.owner, alive, dead_after=HOUR)

    def test_process_that_waits_to_be_reaped(self) -> None:
        child = Child()
        child.process.kill()
        os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT)
        assert is_known_dead(child.owner)
        child.end()

    @pytest.mark.usefixtures("sign")
    def test_number_of_another_process(self, alive: Path) -> None:
        assert dead(alive, started="1")

    @pytest.mark.parametrize("pid", ["1", None])
    def test_no_number(self, alive: Path, pid: object) -> None:
        assert not dead(alive, pid=pid)

    @pytest.mark.parametrize(
        ("start", "gone"), [("", False), ("the same", False), ("another", True)]
    )
    def test_process_of_another_user(
        self, monkeypatch: pytest.MonkeyPatch, start: str, *, gone: bool
    ) -> None:
        """Where /proc hides it (hidepid), nothing tells that its number has another owner now."""

        def refuse(*_: object) -> None:
            raise PermissionError

        owner = current_process() | {"started": "the same"}
        monkeypatch.setattr(os, "kill", refuse)
        monkeypatch.setattr(liveness, "process_start", lambda _: start)
        assert is_known_dead(owner) is gone

    def test_unknown_owner(self, alive: Path) -> None:
        assert not is_dead({}, alive, dead_after=0)
        assert not is_known_dead({})


class TestOtherContainer:
    """The same boot, other process numbers: the kernel's lock tells."""

    def test_held(self, alive: Path, sign: LifeSign) -> None:
        let_pass(alive, 10 * HOUR)
        assert not dead(alive, pids=OTHER_PIDS, pid=1 << 22)
        assert not dead(alive, pids=OTHER_PIDS, pid=1 << 22, local=False)
        sign.end()
        assert dead(alive, pids=OTHER_PIDS, pid=1 << 22)
        assert dead(alive, pids=OTHER_PIDS, pid=1 << 22, local=False)

    def test_real_namespace(self, alive: Path) -> None:
        """The owner is process 1 there, and so is somebody here."""
        program = f"sign = LifeSign(Path({str(alive)!r}), heartbeat=False)"
        works = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        try:
            subprocess.run([*works, "true"], check=True, capture_output=True, timeout=20)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("only who may make namespaces can make a container")
        code = f"""
import json
from pathlib import Path
from gitprov.store.liveness import LifeSign, current_process
{program}
print(json.dumps(current_process()), flush=True)
input()
"""
        process = subprocess.Popen(
            [*works, sys.executable, "-c", code],
            env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        owner = json.loads(process.stdout.readline())
        assert owner["boot"] == current_process()["boot"]
        assert owner["pid"] == 1
        assert owner["pids"] != current_process()["pids"]
        assert not is_known_dead(owner)
        assert not is_dead(owner, alive, dead_after=0)
        process.communicate("\n", timeout=20)
        assert not is_known_dead(owner)
        assert is_dead(owner, alive, dead_after=HOUR)

    def test_those_who_ask_are_no_owners(self, alive: Path) -> None:
        with alive.open() as asking:
            fcntl.flock(asking, fcntl.LOCK_SH)
            assert dead(alive, pids=OTHER_PIDS)

    def test_no_life_sign(self, tmp_path: Path) -> None:
        assert not dead(tmp_path / "alive", pids=OTHER_PIDS)


class TestReboot:
    def test_local_folder(self, alive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        see(monkeypatch, local=True)
        assert dead(alive, boot=OTHER_BOOT)

    def test_local_folder_without_a_life_sign(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Power loss may have taken the file: it is not synced."""
        see(monkeypatch, local=True)
        assert dead(tmp_path / "alive", boot=OTHER_BOOT)

    @pytest.mark.usefixtures("sign")
    def test_container_with_a_boot_id_of_its_own(
        self, alive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        see(monkeypatch, local=True)
        assert not dead(alive, boot=OTHER_BOOT)


class TestOtherHost:
    """The heartbeat tells, by the clock of the filesystem."""

    @pytest.mark.parametrize("host", ["elsewhere.example.org", current_process()["host"]])
    def test_silence(self, alive: Path, host: str) -> None:
        owner = {"boot": OTHER_BOOT, "host": host, "local": False}
        assert not dead(alive, **owner)
        let_pass(alive, HOUR - 120)
        assert not dead(alive, **owner)
        let_pass(alive, HOUR + 120)
        assert dead(alive, **owner)
        assert sorted(path.name for path in alive.parent.parent.iterdir()) == ["run"]

    @pytest.mark.usefixtures("sign")
    def test_silent_and_locked(self, alive: Path) -> None:
        let_pass(alive, 10 * HOUR)
        assert not dead(alive, boot=OTHER_BOOT, local=False)

    def test_never_sooner_than_five_minutes(self, alive: Path) -> None:
        owner = {**current_process(), "boot": OTHER_BOOT, "local": False}
        let_pass(alive, 240)
        assert not is_dead(owner, alive, dead_after=1)
        let_pass(alive, 360)
        assert is_dead(owner, alive, dead_after=1)

    @pytest.mark.usefixtures("sign")
    def test_filesystem_without_locks(self, alive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(liveness.fcntl, "flock", refuse)
        second = alive.with_name("second")
        LifeSign(second, heartbeat=False).end()
        for boot in (OTHER_BOOT, current_process()["boot"]):
            owner = {"boot": boot, "pids": OTHER_PIDS, "local": False}
            assert not dead(second, **owner)
            let_pass(alive, HOUR + 120)
            assert dead(alive, **owner)

    def test_owner_at_the_disk_that_others_mount(
        self, alive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It saw a local disk, and so has no heartbeat; its own machine will finish the run."""
        see(monkeypatch, local=False)
        let_pass(alive, 100 * HOUR)
        assert not dead(alive, boot=OTHER_BOOT, local=True)

    def test_clock_of_the_filesystem(self, alive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Our own clock may be a day fast or slow."""
        for skew in (-24 * HOUR, 24 * HOUR):
            now = time.time() + skew
            monkeypatch.setattr(time, "time", lambda now=now: now)
            alive.touch()
            assert not dead(alive, boot=OTHER_BOOT, local=False)
            monkeypatch.undo()

    def test_folder_that_cannot_be_written_to(
        self, alive: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        let_pass(alive, 10 * HOUR)
        monkeypatch.setattr(liveness.os, "utime", refuse)
        assert not dead(alive, boot=OTHER_BOOT, local=False)
        assert sorted(path.name for path in alive.parent.parent.iterdir()) == ["run"]


class TestLifeSign:
    def test_a_killed_owner_lets_go(self, alive: Path) -> None:
        child = Child("sign = LifeSign(Path(sys.argv[1]), heartbeat=False)", str(alive))
        assert not dead(alive, pids=OTHER_PIDS)
        child.process.kill()
        child.end()
        assert dead(alive, pids=OTHER_PIDS)

    def test_children_have_no_part_in_it(self, alive: Path) -> None:
        """A forked child and a started one outlive their parent, and hold nothing."""
        program = """
import os, subprocess
sign = LifeSign(Path(sys.argv[1]), heartbeat=False)
ready, told = os.pipe()
if (forked := os.fork()) == 0:
    os.write(told, b".")
    os.execvp("sleep", ["sleep", "600"]) if sys.argv[2] == "exec" else os.pause()
os.read(ready, 1)
print(forked, flush=True)
""".replace("os.pause()", "__import__('signal').pause()")
        for how in ("fork", "exec"):
            process = subprocess.Popen(
                [sys.executable, "-c", "import sys\nfrom pathlib import Path\n"
                 "from gitprov.store.liveness import LifeSign\n" + program + "\ninput()",
                 str(alive), how],
                env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert process.stdout is not None
            child = int(process.stdout.readline())
            try:
                assert not dead(alive, pids=OTHER_PIDS)
                process.kill()
                process.wait(20)
                os.kill(child, 0)
                assert dead(alive, pids=OTHER_PIDS)
            finally:
                os.kill(child, signal.SIGKILL)
                process.communicate(timeout=20)

    def test_heartbeat(self, alive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(liveness, "_BEAT_SECONDS", 0.01)
        let_pass(alive, HOUR)
        before = alive.stat().st_mtime_ns
        sign = LifeSign(alive, heartbeat=True)
        deadline = time.monotonic() + 20
        while alive.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sign.end()
        let_pass(alive, HOUR)
        assert not [thread for thread in threading.enumerate() if "heartbeat" in thread.name]
        sign.end()

    @pytest.mark.usefixtures("sign")
    def test_no_thread_without_a_heartbeat(self) -> None:
        assert not [thread for thread in threading.enumerate() if "heartbeat" in thread.name]


class TestFilesystems:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/srv/git", "ext4"),
            ("/", "ext4"),
            ("/homes", "ext4"),
            ("/home", "nfs4"),
            ("/home/ada/thesis/.git", "nfs4"),
            ("/home/ada/local disk/thesis", "xfs"),
            ("/run/user/1", "tmpfs"),
            ("/scratch/x", "lustre"),
            ("/mnt/pool/x", "zfs"),
            ("/mnt/box/x", "fuse.sshfs"),
            ("/mnt/host/x", "9p"),
        ],
    )
    def test_type(self, path: str, kind: str) -> None:
        assert filesystem_type(path, MOUNTS) == kind

    def test_unknown(self) -> None:
        assert filesystem_type("/x", "") == ""
        assert not is_local(Path("/"), "")

    @pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "f2fs", "tmpfs", "overlay"])
    def test_local(self, kind: str) -> None:
        assert is_local(Path("/x"), f"27 1 254:0 / / rw - {kind} source rw")

    @pytest.mark.parametrize(
        "kind", ["nfs", "nfs4", "cifs", "smb3", "lustre", "beegfs", "ceph", "gpfs", "9p",
                 "virtiofs", "fuse.sshfs", "fuse", "afs", "gfs2", "ocfs2", "never-heard-of"],
    )  # fmt: skip
    def test_shared_or_unknown(self, kind: str) -> None:
        assert not is_local(Path("/x"), f"27 1 254:0 / / rw - {kind} source rw")

    def test_links_are_followed(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/")
        mounts = f"1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path} rw - nfs b rw\n"
        assert not is_local(tmp_path, mounts)
        assert is_local(tmp_path / "link", mounts)
