"""Files that gitprov writes for a moment, and that are left where a process is killed then."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gitprov.doctor.findings import Findings, mendable, mended
from gitprov.model.wording import plural
from gitprov.store.store import Store

# No process needs a moment as long as this, one on a machine that slept among them.
_OLD_SECONDS = 7 * 24 * 3600
_FOLDER = ".bundle"  # in which one is cloned
# Below `<common dir>/prov`.
_PATTERNS = (
    ".*.tmp",
    _FOLDER,
    "cache/.*.tmp",
    "catching-up",
    "jobs/.*",
    "journal/.now-*",
    "lock-owner.*.*",
    "rewrites/*.new",
)


def files_left_behind(store: Store) -> Findings:
    """Look for temporary files that are a week old."""
    if left := list(_left(store)):
        text = f"{plural(len(left), 'temporary file')} of killed processes"
        yield mendable(f"{text}, a week old or more", _remove)


def _remove(store: Store) -> Findings:
    left = list(_left(store))
    for path in left:
        if path.name == _FOLDER:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    yield mended(f"{plural(len(left), 'temporary file')} removed")


def _left(store: Store) -> Iterator[Path]:
    for pattern in _PATTERNS:
        for path in store.repository.prov_dir.glob(pattern):
            with suppress(FileNotFoundError):
                is_old = time.time() - path.stat().st_mtime > _OLD_SECONDS
                if is_old and (path.is_file() or path.name == _FOLDER):
                    yield path
