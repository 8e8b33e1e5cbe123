"""Runs in a file, for places that no network reaches: a git bundle of our refs.

`git bundle verify` lets damaged packs pass. So a bundle is first cloned into a repository of its
own and checked there by git: when it is made, and before it is taken in. Then its chains are read
as a stranger's, as from any remote.
"""

import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitprov.errors import GitFailed, InputError, IntegrityError
from gitprov.store.acceptance import Accepted, accept
from gitprov.store.durable import sync_file, sync_folders
from gitprov.store.fetching import fetch_chains
from gitprov.store.git import Git, last_line
from gitprov.store.git_locks import mend
from gitprov.store.home import Home
from gitprov.store.ledger import list_entries
from gitprov.store.lock import store_lock
from gitprov.store.publishing import Pushed, count_published
from gitprov.store.ref_moves import move_refs
from gitprov.store.refs import OURS, REMOTE, Area, list_refs, parse_shard
from gitprov.store.repository import Repository
from gitprov.store.store import Store
from gitprov.store.transfer import Heard, Watch, transfer

# Its chains stand here while they are looked at. No remote can be called so by accident.
BUNDLE = "@bundle"


@dataclass(frozen=True, slots=True)
class Bundled:
    """What a bundle publishes, and which chains, as `keep/2026-11/0a`, this clone has in part."""

    content: Pushed
    left_out: Sequence[str]


def create_bundle(
    store: Store, path: Path, areas: Sequence[Area], *, watch: Watch | None = None
) -> Bundled:
    """Write all chains of these areas to a file that can be cloned, or leave it as it is.

    Chains that `git fetch --depth` has cut off are left out. Raises InputError where there is
    nothing yet, or nothing can be written there.
    """
    refs = list_refs(store.repository.git, *(f"{OURS}/{area}" for area in areas))
    left_out = _cut_off(store.repository, refs)
    whole = {ref: oid for ref, oid in refs.items() if ref not in left_out}
    if not whole:
        raise InputError("there is nothing to bundle: no runs are recorded here")
    content = Pushed(refs=len(whole))
    shards = [shard for ref in whole if (shard := parse_shard(ref))]
    count_published(store, shards, whole, [], content)
    try:
        parent = path.absolute().parent
        with tempfile.TemporaryDirectory(dir=parent, prefix=f".{path.name}.") as folder:
            file = Path(folder, path.name)
            _write(store.repository.git, file, whole, watch)
            _cloned(file, Path(folder, "clone"))
            sync_file(file)
            content.size = file.stat().st_size
            file.replace(path)
        sync_folders([parent])
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return Bundled(content, [ref.removeprefix(f"{OURS}/") for ref in left_out])


def import_bundle(
    store: Store, path: Path, areas: Sequence[Area], *, watch: Watch | None = None
) -> Accepted:
    """Check a bundle and take in what it holds.

    Raises InputError where it cannot be read, IntegrityError where git finds it damaged; nothing
    of it is here then.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    repository = store.repository
    repository.require_writable()
    folder = repository.prov_dir / ".bundle"
    with store_lock(repository.prov_dir / "bundle-lock"):
        shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
        try:
            # A bundle may build on commits that are here.
            _cloned(path.absolute(), folder, repository.common_dir / "objects", watch=watch)
            fetch_chains(store, str(folder), Home(BUNDLE), areas, watch=watch)
            done = accept(store)
        finally:
            _forget(store)
            shutil.rmtree(folder, ignore_errors=True)
    refused = done.refused.items()
    done.refused = {tip: why for tip, why in refused if tip.remote == BUNDLE}
    return done


def _cut_off(repository: Repository, refs: dict[str, str]) -> list[str]:
    """Return the refs of which a shallow clone does not have all that they reach."""
    cut = repository.cut_commits()
    if not cut:
        return []
    git = repository.git
    return [ref for ref, oid in refs.items() if not cut.isdisjoint(list_entries(git, [oid]))]


def _write(git: Git, file: Path, refs: Collection[str], watch: Watch | None) -> None:
    how = "--quiet" if watch is None else "--progress"
    done = git.watched("bundle", "create", how, str(file), *refs, heard=Heard(watch))
    if done.returncode != 0:
        raise GitFailed(f"git bundle failed: {last_line(done.stderr)}")


def _cloned(
    path: Path, folder: Path, borrowed: Path | None = None, *, watch: Watch | None = None
) -> None:
    """Make a repository of a bundle, and let git check all of it.

    It may build on what is `borrowed`, the objects of another repository.
    """
    folder.mkdir()
    git = Git(folder)
    git.run("init", "--quiet", "--bare")
    if borrowed:
        (folder / "objects" / "info" / "alternates").write_text(f"{borrowed}\n")
    fetched = transfer(
        git,
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-auto-maintenance",
        # Git would not look into a bundle of what it could borrow.
        "--refetch",
        str(path),
        f"+{OURS}/*:{OURS}/*",
        watch=watch,
        config=["fetch.fsckObjects=true", "fetch.unpackLimit=1"],
    )
    if fetched.returncode != 0:
        raise IntegrityError(f"{path} is no bundle that git can read: {fetched.reason}")
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
