"""Hooks seen at work: who was started, and waiting for what they leave in the background."""

import os
import select
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.repositories import Clone, clean_environment

SHELLS = {"dash": "/bin/dash", "bash": "/bin/bash", "busybox": "/bin/busybox sh"}
# Whoever loses its parent becomes a child of this process (Linux: PR_SET_CHILD_SUBREAPER).
_WAITING_FOR_ALL = """
import ctypes, os, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1) == 0
status = subprocess.call(sys.argv[1:])
try:
    while True:
        os.wait()
except ChildProcessError:
    sys.exit(status)
"""


class Started:
    """Stands where hooks find gitprov, and keeps who called it: a line of arguments each.

    It begins as gitprov does: whoever comes from then on starts another. What is not for the
    background is gitprov's own.
    """

    def __init__(self, clone: Clone, folder: Path) -> None:
        self.log = folder / "started"
        program = folder / "git-prov"
        begun = clone.store().repository.prov_dir / "catching-up"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>\'{self.log}\'\n[ "$2" = catch-up ] || exec git-prov "$@"\n'
            f"rm -f {shlex.quote(str(begun))}\n"
        )
        program.chmod(0o755)
        clone.git("config", "prov.program", str(program))

    def calls(self) -> list[str]:
        """Return the calls since the last time."""
        said = self.log.read_text() if self.log.exists() else ""
        self.log.unlink(missing_ok=True)
        return said.splitlines()


def settled(
    command: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command, and wait for all that it has started, in the background, too."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", _WAITING_FOR_ALL, *command],
        cwd=cwd,
        env=clean_environment() if env is None else env,
        input=b"" if stdin is None else stdin,
        capture_output=True,
        check=False,
        timeout=120,
    )


def git(clone: Clone, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in a clone, and wait for what its hooks have started."""
    done = settled(["git", *arguments], cwd=clone.path, env=clean_environment(**env))
    assert done.returncode == 0, done.stderr.decode()
    return done


def set_shell(clone: Clone, shell: str) -> None:
    """Let the installed hooks run under a shell."""
    for hook in (clone.path / ".git/hooks").iterdir():
        if hook.suffix != ".sample":
            hook.write_text(hook.read_text().replace("#!/bin/sh", f"#!{shell}", 1))


class Gate:
    """Stands where hooks find gitprov: it says that it has begun, and waits to be let through."""

    def __init__(self, clone: Clone, folder: Path) -> None:
        said, go = folder / "said", folder / "go"
        for fifo in (said, go):
            os.mkfifo(fifo)
        # Both ways: nobody waits in opening one, and none ends before its time.
        self._said, self._go = os.open(said, os.O_RDWR), os.open(go, os.O_RDWR)
        program = folder / "waiting"
        program.write_text(
            f"#!/bin/sh\necho begun >'{said}'\nread -r line <'{go}'\necho ended >'{said}'\n"
        )
        program.chmod(0o755)
        clone.git("config", "prov.program", str(program))

    def begun(self) -> bool:
        """Wait until gitprov was started."""
        return self._next() == b"begun\n"

    def passed(self) -> bool:
        """Let it through, and wait for its end."""
        os.write(self._go, b"\n")
        return self._next() == b"ended\n"

    def close(self) -> None:
        """Close it for good."""
        os.close(self._said)
        os.close(self._go)

    def _next(self) -> bytes:
        ready, _, _ = select.select([self._said], [], [], 60)
        return os.read(self._said, 100) if ready else b""
