"""Runs in a file, for places that no network reaches: a git bundle of our refs.

`git bundle verify` lets damaged packs pass. So a bundle is first cloned into a repository of its
own and checked there by git; then its chains are read as a stranger's, as from any remote.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitprov.errors import InputError, IntegrityError
from gitprov.model.run import RUN_SCHEMA
from gitprov.store.acceptance import Accepted, accept
from gitprov.store.durable import sync_file, sync_folders
from gitprov.store.fetching import fetch_chains
from gitprov.store.git import Git, last_line
from gitprov.store.git_locks import mend
from gitprov.store.home import Home
from gitprov.store.ledger import list_entries, read_entries
from gitprov.store.lock import store_lock
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import OURS, REMOTE, Area, list_refs
from gitprov.store.store import Store

# Its chains stand here while they are looked at. No remote can be called so by accident.
BUNDLE = "@bundle"


@dataclass(frozen=True, slots=True)
class Bundled:
    """What a bundle holds."""

    runs: int
    refs: int
    size: int


def create_bundle(store: Store, path: Path, areas: Sequence[Area]) -> Bundled:
    """Write all chains of these areas to a file. Raises InputError where there is nothing yet."""
    refs = list_refs(store.repository.git, *(f"{OURS}/{area}" for area in areas))
    if not refs:
        raise InputError("there is nothing to bundle: no runs are recorded here")
    names = "".join(f"{ref}\n" for ref in refs).encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        store.repository.git.run(
            "bundle", "create", "--quiet", str(temporary.absolute()), "--stdin", stdin=names
        )
        sync_file(temporary)
        temporary.replace(path)
        sync_folders([path.absolute().parent])
    finally:
        temporary.unlink(missing_ok=True)
    ledger = [oid for ref, oid in refs.items() if ref.startswith(f"{OURS}/ledger/")]
    entries = read_entries(store.objects, list_entries(store.repository.git, ledger))
    runs = sum(record.schema == RUN_SCHEMA for entry in entries for record in entry.records)
    return Bundled(runs, len(refs), path.stat().st_size)


def import_bundle(store: Store, path: Path, areas: Sequence[Area]) -> Accepted:
    """Check a bundle and take in what it holds.

    Raises InputError where it cannot be read, IntegrityError where git finds it damaged; nothing
    of it is here then.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    store.repository.require_writable()
    with tempfile.TemporaryDirectory(dir=store.repository.prov_dir, prefix=".bundle-") as folder:
        _cloned(store, path.absolute(), Path(folder))
        try:
            fetch_chains(store, folder, Home(BUNDLE), areas)
            return accept(store)
        finally:
            _forget(store)


def _cloned(store: Store, path: Path, folder: Path) -> None:
    """Make a repository of a bundle, and let git check all of it."""
    git = Git(folder)
    git.run("init", "--quiet", "--bare")
    # A bundle may build on commits that are here.
    alternates = folder / "objects" / "info" / "alternates"
    alternates.write_text(f"{store.repository.common_dir / 'objects'}\n")
    fetched = git.call(
        "fetch", "--quiet", "--no-tags", str(path), f"+{OURS}/*:{OURS}/*",
        config=["fetch.fsckObjects=true", "fetch.unpackLimit=1"],
    )  # fmt: skip
    if fetched.returncode != 0:
        raise IntegrityError(f"{path} is no bundle that git can read: {last_line(fetched.stderr)}")
    if not list_refs(git, OURS):
        raise InputError(f"{path} holds no runs")
    checked = git.call("fsck", "--strict", "--no-dangling", "--connectivity-only")
    if checked.returncode != 0:
        raise IntegrityError(f"{path} is damaged: {last_line(checked.stderr)}")


def _forget(store: Store) -> None:
    """Remove the chains of a bundle from among those of remotes."""
    with store_lock(store.lock_path) as lock:
        mend(store.repository)
        refs = list_refs(store.repository.git, f"{REMOTE}/{BUNDLE}")
        if refs:
            gone = {ref: (oid, None) for ref, oid in refs.items()}
            move_refs(store.repository, gone, lock=lock, fsync=store.fsync)
