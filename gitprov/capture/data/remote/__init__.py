"""Data in stores, through fsspec: objects, prefixes and globs.

A prefix becomes a listing just as a local folder does: the same names, sizes and digests give the
same root. What a store says of an object is a hint: it saves reading what has not changed, and is
recorded beside the digest, never instead of it.
"""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from gitprov.capture.data.folder_scan import Redact
from gitprov.capture.data.local import Listings
from gitprov.capture.data.options import Captured, DataOptions
from gitprov.capture.data.progress import Progress
from gitprov.capture.data.remote.hints_cache import HintsCache
from gitprov.capture.data.remote.reading import Heard, Read, read_objects, store_at
from gitprov.capture.data.remote.said import Said, moment
from gitprov.capture.data.remote.schemes import words
from gitprov.capture.data.remote.spool import Spool, Waiting
from gitprov.capture.data.remote.stores import Store
from gitprov.capture.hashing.algorithms import hashes, split
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.listings import SHA256
from gitprov.errors import GitprovError, InputError
from gitprov.model.run import Artifact, Seen
from gitprov.store.payload import LISTING

_NOT_READ = "it was not read (--hint-only): there is no digest, only what its store says of it"
_STEP = "hashing"
# As git has it for files: what is as young may be written again and look the same. Not in S3,
# whose etags are of the content.
_RACY_SECONDS = 2


def capture_remote(
    uri: str,
    *,
    options: DataOptions,
    seen: Seen,
    listings: Listings,
    prov_dir: Path,
    cwd: Path | None = None,
    redact: Redact | None = None,
) -> Iterator[Captured]:
    """Yield what a URI stands for: an object, a prefix as a tree, or what a pattern matches.

    `listings` takes those of prefixes; `redact` keeps secrets out of them. The reason why something
    has no digest stands in `left_out` under "". What is hashed is remembered in `prov_dir` at once,
    also when this is interrupted. Raises InputError where there is nothing or it cannot be read,
    MissingDependency where a driver is not installed.
    """
    hashes(options.algorithms)  # whatever is wrong with them is said before anything is read
    store = store_at(uri, typed=True, cwd=cwd, may_read=not options.hint_only)
    with closing(HintsCache(prov_dir / "remote-cache.sqlite")) as cache:
        capture = _Capture(store, uri, options, seen, listings, cache, redact)
        try:
            yield from capture.artifacts()
        except GitprovError:
            raise
        except Exception as error:
            # Each driver raises errors of its own; none may stop the run.
            raise InputError(f"cannot read it: {words(error, uri)}") from error


class _Capture:
    def __init__(
        self,
        store: Store,
        uri: str,
        options: DataOptions,
        seen: Seen,
        listings: Listings,
        cache: HintsCache,
        redact: Redact | None,
    ) -> None:
        self._store = store
        self._uri = uri
        self._options = options
        self._algorithms = options.algorithms
        self._seen: Seen = seen
        self._listings = listings
        self._cache = cache
        self._redact = redact
        self._settled = moment(time.time() - _RACY_SECONDS) or ""

    def artifacts(self) -> Iterator[Captured]:
        """Yield what the URI stands for, as a name or as a pattern."""
        found = self._store.stat(self._store.path)
        if found is not None:
            yield self._captured(found)
            return
        matches = self._store.glob()
        if not matches:
            raise InputError(f"there is nothing at {without_credentials(self._uri)}")
        for path in matches:
            match = self._store.stat(path)
            if match is None:
                continue
            try:
                captured = self._captured(match)
            except InputError as error:
                captured = Captured(self._object(match), left_out={"": str(error)})
            yield captured

    def _captured(self, found: Said) -> Captured:
        if found.is_folder:
            return self._tree_of_hints(found) if self._options.hint_only else self._tree(found)
        if self._options.hint_only:
            return Captured(self._object(found), left_out={"": _NOT_READ})
        digests = self._known(found)
        if digests is None:
            [read] = read_objects(self._store, [found], self._algorithms, self._heard(found.size))
            if read.failed is not None:
                raise InputError(read.failed)
            self._remember(read)
            found, digests = read.said, read.digests
        return Captured(self._object(found, digests))

    def _tree(self, top: Said) -> Captured:
        objects = self._listings.new_listing()
        try:
            with Spool(self._algorithms) as spool:
                self._hash(top, spool, self._list(top, spool))
                folder = spool.make(objects.add, self._redact)
                left_out = spool.left_out
            objects.keep(folder.sha256, folder.tree)
        except BaseException:
            objects.discard()
            raise
        artifact = Artifact(
            kind="tree",
            name=self._options.name,
            uri=self._shown(top.path),
            size=folder.size,
            file_count=folder.files,
            digest={SHA256: folder.sha256},
            listing=f"{LISTING}{folder.sha256.hex()}",
            seen=self._seen,
        )
        return Captured(artifact, folder.tree, left_out)

    def _tree_of_hints(self, top: Said) -> Captured:
        files = size = 0
        for found in self._store.below(top.path):
            if not found.is_folder:
                files, size = files + 1, size + (found.size or 0)
        artifact = Artifact(
            kind="tree",
            name=self._options.name,
            uri=self._shown(top.path),
            size=size,
            file_count=files,
            seen=self._seen,
        )
        return Captured(artifact, left_out={"": _NOT_READ})

    def _list(self, top: Said, spool: Spool) -> int:
        """Fill the spool with what is below a folder; return the bytes that are to be read."""
        to_read = 0
        prefix = _prefix(top)
        for found in self._store.below(top.path):
            path = found.path if prefix else found.path.removeprefix("/")
            if not path.startswith(prefix):
                raise InputError(f"its driver names {path} below {top.path}")
            digests = None if found.is_folder else self._known(found)
            if spool.add(path[len(prefix) :], found, digests) and digests is None:
                to_read += found.size or 0
        return to_read

    def _hash(self, top: Said, spool: Spool, to_read: int) -> None:
        """Read what is not known yet."""
        prefix = _prefix(top)
        with closing(self._reads(_asked(prefix, spool.waiting()), to_read)) as reads:
            for read in reads:
                path = read.said.path[len(prefix) :]
                if read.failed is not None:
                    spool.leave_out(path, read.failed)
                else:
                    assert read.said.size is not None  # noqa: S101 -- it was read
                    spool.set(path, read.said.size, read.digests)
                    self._remember(read)

    def _reads(self, asked: Iterator[Said], to_read: int) -> Generator[Read, None, None]:
        heard = self._heard(to_read)
        if self._options.engine is None:
            return read_objects(self._store, asked, self._algorithms, heard)
        # Late: an extra, which takes a second to import.
        from gitprov.capture.data.remote.on_cluster import read_on_cluster  # noqa: PLC0415

        uri = self._store.uri(self._store.path)
        return read_on_cluster(self._options.engine, uri, asked, self._algorithms, heard)

    def _heard(self, to_read: int | None) -> Heard | None:
        """Return what is told of bytes that were read."""
        if self._options.watch is None:
            return None
        return Progress(self._options.watch, _STEP, lambda: to_read or 0).add

    def _known(self, found: Said) -> bytes | None:
        if self._options.verify:
            return None
        return self._cache.get(self._shown(found.path), self._algorithms, found)

    def _remember(self, read: Read) -> None:
        said = read.said
        is_old = said.remote.get("last_modified", "") < self._settled
        if is_old or self._store.is_pinned or said.outlasts_seconds():
            self._cache.put(self._shown(said.path), self._algorithms, said, read.digests)

    def _object(self, found: Said, digests: bytes = b"") -> Artifact:
        digest: Mapping[str, bytes] = split(self._algorithms, digests) if digests else {}
        return Artifact(
            kind="remote",
            name=self._options.name,
            uri=self._shown(found.path),
            size=found.size,
            digest=digest,
            remote=found.remote,
            seen=self._seen,
        )

    def _shown(self, path: str) -> str:
        return without_credentials(self._store.uri(path))


def _prefix(top: Said) -> str:
    """Return what the paths of all objects below a folder begin with."""
    return top.path.rstrip("/") + "/" if top.path else ""


def _asked(prefix: str, waiting: Iterable[Waiting]) -> Iterator[Said]:
    for path, size, remote in waiting:
        yield Said(prefix + path, size, remote)
