"""Commands that run on a terminal."""

import os
import pty
import select
import subprocess
import sys
import time

from tests.support.repositories import Clone, clean_environment


def on_terminal(clone: Clone, *arguments: str, **env: str) -> str:
    """Run gitprov with a terminal as its output, and return what it writes there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "gitprov", *arguments],
        cwd=clone.path,
        env=clean_environment(**{"TERM": "xterm", "GIT_PAGER": "cat", **env}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        waiting = select.poll()
        waiting.register(ours, select.POLLIN | select.POLLHUP)
        parts = []
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if not waiting.poll(1000):
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            parts.append(data)
        os.close(ours)
        assert process.wait(10) == 0
    return b"".join(parts).decode().replace("\r\n", "\n")
