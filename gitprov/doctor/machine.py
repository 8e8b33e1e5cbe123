"""What gitprov runs on: the disk and its filesystem, and the clock."""

import os
import time
from pathlib import Path

from gitprov.doctor.findings import Findings, fault, good, note
from gitprov.model.wording import duration_text, size_text
from gitprov.store.liveness import filesystem_type, is_local
from gitprov.store.refs import LEDGER
from gitprov.store.store import Store

_LITTLE_BYTES = 100 << 20
_FEW_INODES = 1000
_WRONG_SECONDS = 3600


def room(store: Store) -> Findings:
    """Look whether there is room for more runs, and whether anything may be written."""
    disk = os.statvfs(store.repository.common_dir)
    free = disk.f_bavail * disk.f_frsize
    if free < _LITTLE_BYTES:
        yield fault(f"only {size_text(free)} free: there may be no room for a run", "make room")
    else:
        yield good(f"{size_text(free)} free")
    if disk.f_files and disk.f_favail < _FEW_INODES:  # some filesystems count none
        text = f"only {disk.f_favail} more files can be made: there may be no room for a run"
        yield fault(text, "remove files that are not needed")
    if not os.access(store.repository.common_dir, os.W_OK):
        yield note(f"{store.repository.common_dir} cannot be written to: nothing is recorded here")


def filesystem(store: Store) -> Findings:
    """Say what recording relies on here."""
    folder = store.repository.common_dir
    kind = _filesystem_type(folder)
    if is_local(folder):
        yield good(kind)
    else:
        text = f"{kind}: other machines may have it, so runs show every minute that they live"
        yield note(text)
    if not store.fsync:
        yield note(
            "prov.fsync is off: a power loss may take the latest runs",
            "to wait for the disk: git config --unset prov.fsync",
        )


def clock(store: Store) -> Findings:
    """Look whether anything was recorded at a time that has not come yet."""
    # Git stops at a ref whose commit is not there; another check says so.
    said = store.repository.git.call("for-each-ref", "--format=%(committerdate:unix)", LEDGER)
    ahead = max(map(int, said.stdout.split()), default=0) - time.time()
    if ahead > _WRONG_SECONDS:
        text = f"the ledger was written to {duration_text(int(ahead * 1e9))} from now"
        yield note(f"{text}: a clock was wrong then, or this one is now", "date")


def _filesystem_type(folder: Path) -> str:
    try:
        mounts = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return "unknown filesystem"
    return filesystem_type(os.path.realpath(folder), mounts) or "unknown filesystem"
