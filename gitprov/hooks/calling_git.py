"""What git does not tell its hooks: the command line that it was called with."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

_PROC = Path("/proc/self")
# A shell or two, a hook manager, and git.
_MAX_GENERATIONS = 12
# `-n`, or others with it, as in `-fn`; `-o` takes the rest of the word for its value.
_SHORT = re.compile(r"-[46dfquv]*n")


def is_rehearsal() -> bool:
    """Say whether the push that has called us has --dry-run, as far as can be seen."""
    for argv in _ancestors():
        if Path(argv[0]).name == "git" and "push" in argv:
            return _has_dry_run(argv[argv.index("push") + 1 :])
    return False


def _has_dry_run(options: Sequence[str]) -> bool:
    return any(_SHORT.match(option) or _is_long(option) for option in options)


def _is_long(option: str) -> bool:
    """Git takes the beginning of an option for it, where it fits no other."""
    return option.startswith("--dr") and "--dry-run".startswith(option)


def _ancestors() -> Iterator[list[str]]:
    """Yield the command lines of the processes above this one, nearest first."""
    process = os.getppid()
    for _ in range(_MAX_GENERATIONS):
        if process <= 1:
            return
        try:
            process, argv = _from_proc(process) if _PROC.is_dir() else _from_ps(process)
        except (OSError, subprocess.SubprocessError, ValueError):
            return
        if argv:
            yield argv


def _from_proc(process: int) -> tuple[int, list[str]]:
    folder = _PROC.with_name(str(process))
    words = (folder / "cmdline").read_bytes().split(b"\0")[:-1]
    # The name in parentheses may hold anything.
    parent = (folder / "stat").read_bytes().rpartition(b")")[2].split()[1]
    return int(parent), [os.fsdecode(word) for word in words]


def _from_ps(process: int) -> tuple[int, list[str]]:
    asked = ["ps", "-o", "ppid=", "-o", "args=", "-p", str(process)]
    said = subprocess.run(asked, capture_output=True, check=True, timeout=2, text=True)
    parent, *argv = said.stdout.split()
    return int(parent), argv
