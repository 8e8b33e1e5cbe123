"""A git that is killed at a chosen system call, wherever its caller asks for one command of it."""

import os
import shutil
from pathlib import Path

import pytest

# The kill comes before the call does anything. All else goes to the real git.
_WRAPPER = """#!/bin/sh
PATH="{path}"
for word in "$@"; do
    if [ "$word" = "{command}" ]; then
        exec strace -qq -o /dev/null -e trace={call} \\
            -e inject={call}:signal=SIGKILL:when={number} git "$@"
    fi
done
exec git "$@"
"""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def killed_git(folder: Path, command: str, call: str, number: int) -> str:
    """Return a PATH on which git dies at the so manyth `call` of `git <command>`."""
    path = os.environ["PATH"]
    folder.mkdir()
    program = folder / "git"
    program.write_text(_WRAPPER.format(path=path, command=command, call=call, number=number))
    program.chmod(0o755)
    return os.pathsep.join([str(folder), path])
