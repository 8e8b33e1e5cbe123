"""Few packs instead of many: what drains have written is merged, sixteen packs at a time.

Each drain leaves one pack, and git reads slowly where there are many. So sixteen packs of one size
class become one of the next, as in a log-structured merge tree: after a million drains there are a
few dozen, and each object was written about five times. Only packs of our own making are touched;
`<common dir>/prov/packs` lists them by class (losing it leaves them to git's own gc). Packs above
32 MiB are git's business, too: `git gc` and `git maintenance` merge them with all others.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gitprov.errors import GitFailed, StoreBusy
from gitprov.store.durable import sync_folders
from gitprov.store.git import syncing
from gitprov.store.lock import store_lock
from gitprov.store.store import Store

_WIDTH = 16
_LARGEST_BYTES = 32 << 20
# Kept by somebody; fetched with objects left out; unreachable objects on their way out.
_SPECIAL = ("keep", "promisor", "mtimes")
# What git itself takes for the longest gc, before it disregards the lock file of one.
_LONGEST_GC_SECONDS = 12 * 3600

# The names of packs by size class: of a drain (0), of sixteen drains (1), ...
Classes = dict[int, list[str]]


def remember_pack(common_dir: Path, name: str, *, fsync: bool = False) -> None:
    """List a pack that is about to be written; under the store's lock.

    Synced, where it is to tell later whose `.keep` file the pack has. Raises OSError.
    """
    path = _list(common_dir)
    path.parent.mkdir(exist_ok=True)
    known = path.exists()
    with path.open("a") as file:
        file.write(f"0 {name}\n")
        file.flush()
        if fsync:
            os.fsync(file.fileno())
    if fsync and not known:
        sync_folders([path.parent])


def is_due(common_dir: Path) -> bool:
    """Say whether there are so many packs of one class that they are to be merged."""
    return _full_class(listed_packs(common_dir)) is not None


def consolidate(store: Store) -> None:
    """Merge packs where there are sixteen of one class; costs next to nothing where there are not.

    Does nothing while git's own gc, or another of us, is at it. What fails is left as it was.
    """
    common_dir = store.repository.common_dir
    if not is_due(common_dir) or _gc_runs(common_dir):
        return
    ours_alone = store_lock(store.repository.prov_dir / "packs-lock", timeout=0)
    with suppress(StoreBusy, GitFailed, OSError), ours_alone:
        while full := _full_class(listed_packs(common_dir)):
            _merge(store, *full)


def _merge(store: Store, level: int, names: list[str]) -> None:
    """Make one pack of many. Nothing is removed before the new one is durable and listed."""
    common_dir = store.repository.common_dir
    folder = common_dir / "objects" / "pack"
    output = store.repository.git.run(
        "pack-objects", "--quiet", "--stdin-packs", "--delta-base-offset", str(folder / "pack"),
        stdin="".join(f"pack-{name}.pack\n" for name in names).encode(),
        config=syncing(fsync=store.fsync),
    )  # fmt: skip
    merged = output.split()[-1].decode()
    if store.fsync:
        sync_folders([folder])
    with store_lock(store.lock_path):
        lines = [(number, name) for number, name in _lines(common_dir) if name not in names]
        if (folder / f"pack-{merged}.pack").stat().st_size <= _LARGEST_BYTES:
            lines.append((level + 1, merged))
        _save(common_dir, lines)
    for name in set(names) - {merged}:
        if not _is_ours(folder, name):
            continue
        # The index first: without it, no git takes the pack for whole.
        for suffix in ("idx", "rev", "bitmap", "pack"):
            (folder / f"pack-{name}.{suffix}").unlink(missing_ok=True)


def _full_class(classes: Classes) -> tuple[int, list[str]] | None:
    return next(((level, names[:_WIDTH]) for level, names in sorted(classes.items())
                 if len(names) >= _WIDTH), None)  # fmt: skip


def listed_packs(common_dir: Path) -> Classes:
    """Return the packs of our own making that may be merged, by size class."""
    classes: Classes = defaultdict(list)
    for level, name in _lines(common_dir):
        if name not in classes[level] and _is_ours(common_dir / "objects" / "pack", name):
            classes[level].append(name)
    return classes


def remembered_packs(common_dir: Path) -> set[str]:
    """Return the names of all packs that are listed, whether or not they are there."""
    return {name for _, name in _lines(common_dir)}


def _lines(common_dir: Path) -> list[tuple[int, str]]:
    try:
        lines = _list(common_dir).read_text(errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(" ") for line in lines)
    return [(int(level), name) for level, _, name in pairs if level.isdecimal() and name.isalnum()]


def _is_ours(folder: Path, name: str) -> bool:
    """Say whether a pack is whole, kept by nobody, and in no index that git has of many packs.

    Git would miss a pack that is in such an index. Those that are newer are not.
    """
    try:
        made = (folder / f"pack-{name}.idx").stat().st_mtime_ns
    except FileNotFoundError:
        return False
    for index in ("multi-pack-index", "multi-pack-index.d/multi-pack-index-chain"):
        with suppress(FileNotFoundError):
            if made <= (folder / index).stat().st_mtime_ns:
                return False
    return not any((folder / f"pack-{name}.{suffix}").exists() for suffix in _SPECIAL)


def _save(common_dir: Path, lines: Iterable[tuple[int, str]]) -> None:
    """Write the list anew, without what is gone; under the store's lock."""
    path, folder = _list(common_dir), common_dir / "objects" / "pack"
    temporary = path.with_name(".packs.tmp")
    present = {file.stem.removeprefix("pack-") for file in folder.glob("pack-*")}
    temporary.write_text("".join(f"{level} {name}\n" for level, name in lines if name in present))
    temporary.replace(path)


def _list(common_dir: Path) -> Path:
    return common_dir / "prov" / "packs"


def _gc_runs(common_dir: Path) -> bool:
    """Say whether git's own gc is at work, which may be reading the packs that we would remove."""
    try:
        age = time.time() - (common_dir / "gc.pid").stat().st_mtime
    except FileNotFoundError:
        return False
    return age < _LONGEST_GC_SECONDS
