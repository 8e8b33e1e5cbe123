"""Which processes of this machine hold the lock of a file, and what they are."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitprov.model.wording import duration_text
from gitprov.store.liveness import current_process, process_start

_LONGEST_COMMAND = 60


def lock_holders(path: Path) -> list[int]:
    """Return the processes that hold a `flock` on a file, those that share it among them.

    Processes of other users, containers and machines cannot be seen.
    """
    wanted, found = path.stat(), []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                if any(_locks(process, fd.name, wanted) for fd in (process / "fd").iterdir()):
                    found.append(int(process.name))
    return sorted(found)


def _locks(process: Path, descriptor: str, wanted: os.stat_result) -> bool:
    try:
        if not os.path.samestat((process / "fd" / descriptor).stat(), wanted):
            return False
        return "FLOCK" in (process / "fdinfo" / descriptor).read_text()
    except OSError:  # closed meanwhile
        return False


def process_text(pid: int) -> str:
    """Return a process in words: its number, its command, for how long it has been there."""
    words = [f"process {pid}"]
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
        words.append(f"({clipped(os.fsdecode(command), _LONGEST_COMMAND)})")
        ticks = int(process_start(pid) or 0)
        up = float(Path("/proc/uptime").read_text().split()[0])
        age = up - ticks / os.sysconf("SC_CLK_TCK")
        words.append(f"for {duration_text(int(age * 1e9))}")
    return " ".join(words)


def owner_text(owner: Mapping[str, Any]) -> str:
    """Return in words who owns something, as far as its owner has said."""
    here, number = current_process(), owner.get("pid", "of unknown number")
    if owner.get("boot") != here["boot"]:
        return f"process {number} on {owner.get('host') or 'an unknown host'}"
    where = "of" if is_near(owner) else "in another container of"
    return f"process {number} {where} this machine"


def is_near(owner: Mapping[str, Any]) -> bool:
    """Say whether a process has its number from the kernel and the container that we run in."""
    here = current_process()
    return all(owner.get(name) == here[name] for name in ("boot", "pids"))


def clipped(text: str, length: int) -> str:
    """Return the beginning of a text."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
