"""Data to be compared: as a run has recorded it, or as it is now."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gitprov.capture.data.local import LocalCapture
from gitprov.capture.data.names import is_remote, local_path
from gitprov.capture.data.options import Captured, DataOptions, with_digests
from gitprov.capture.data.uris import capture_uri
from gitprov.capture.files import raw_text
from gitprov.capture.hashing.algorithms import SIZES
from gitprov.capture.secrets.redaction import Redactor, redactor_for
from gitprov.codec.listings import FOLDER, LINK
from gitprov.data.references import Present, Recorded
from gitprov.errors import InputError, UnknownData
from gitprov.model.run import Artifact
from gitprov.model.wording import place_text, printable
from gitprov.store.listings import Listing
from gitprov.store.objects import Object, ObjectReader, object_id
from gitprov.store.payload import open_listing
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store

# What records of others may make us ask: nothing that reads local files by another name.
SCHEMES = frozenset(
    "abfs abfss adl az ftp gcs gs hf http https lakefs memory oci oss r2 s3 s3a sftp ssh".split()
)

# The digests that files may well have in a listing that is not here.
_USUAL = (("sha256",), ("blake3",), ("sha256", "blake3"))


class Side(NamedTuple):
    """One file or object, or a folder with its listing; `left_out` is what could not be read."""

    text: str
    artifact: Artifact
    listing: Listing | None = None
    reference: Recorded | Present | None = None
    left_out: Mapping[str, str] = {}


class Sides:
    """Looks data up, and looks at it as it is now."""

    def __init__(self, store: Store, cwd: Path, options: DataOptions) -> None:
        self._store = store
        self._cwd = cwd
        self._options = options
        self._held = HeldListings(store.objects)

    def of(self, reference: Recorded | Present, like: Side | None = None) -> Side:
        """Return what a reference names; what lies there now is captured as `like` was.

        Raises OSError, InputError or MissingDependency where it cannot be read, PayloadMissing
        where its listing is not in this clone.
        """
        if isinstance(reference, Recorded):
            return self.recorded(reference)
        return self.present(reference, like)

    def recorded(self, reference: Recorded) -> Side:
        """Return data as it was recorded; raise PayloadMissing, IntegrityError, UnknownData."""
        artifact, listing = reference.artifact, None
        if artifact.listing:
            tips = list(list_refs(self._store.repository.git, PAYLOAD).values())
            run_id = reference.run.id
            listing = open_listing(self._store.objects, tips, run_id, artifact.listing)
        if not reference.within:
            return Side(reference.text, artifact, listing, reference)
        below = listing.open(reference.within) if listing else None
        if below is None:
            raise UnknownData(f"there is no {printable(reference.text)}")
        item, folder = below
        place = os.path.join(os.fsencode(place_text(artifact)), reference.within)  # noqa: PTH118 -- bytes
        within = Artifact(
            kind="tree" if item.mode == FOLDER else "file",
            path=raw_text(os.fsdecode(place)) if artifact.path is not None else None,
            uri=os.fsdecode(place) if artifact.path is None else None,
            size=item.size,
            digest=dict(item.digests),
            file_count=item.files if folder else None,
            links=artifact.links,
        )
        return Side(reference.text, within, folder, reference)

    def present(self, reference: Present, like: Side | None = None) -> Side:
        """Return data as it is now."""
        return self._captured(reference, like, None)

    def _captured(
        self, reference: Present, like: Side | None, algorithms: tuple[str, ...] | None
    ) -> Side:
        options = self._options_like(like)
        if algorithms is not None:
            options = replace(options, algorithms=algorithms)
        if is_remote(reference.name):
            captured = self._remote(reference.name, options)
        else:
            captured = self._local(self._cwd / local_path(reference.name), options)
        artifact, listing = captured.artifact, None
        if captured.tree is not None:
            listing = Listing(self._held, captured.tree, artifact.digest["sha256"])
        return Side(reference.text, artifact, listing, reference, captured.left_out)

    def now(self, recorded: Side) -> Side:
        """Return what lies now where something was recorded.

        Raises as `present` does, and InputError where a record may not lead us.
        """
        reference = Present(self.place_of(recorded.artifact))
        found = self.present(reference, recorded)
        artifact = recorded.artifact
        if artifact.kind != "tree" or recorded.listing is not None:
            return found
        # Which digests its files have is in the listing; where that is not here, one of these
        # gives the same root, or it has changed.
        for algorithms in _USUAL:
            if found.artifact.digest == artifact.digest:
                break
            found = self._captured(reference, recorded, algorithms)
        return found

    def place_of(self, artifact: Artifact) -> str:
        """Return the path or URI at which data was recorded; raise InputError."""
        if artifact.path is not None:
            path = os.fsdecode(artifact.path)
            if path.startswith("/") or ".." in path.split("/") or "\0" in path:
                raise InputError(f"{path!r} leads out of the work tree, and is not looked at")
            top = self._store.repository.require_work_tree()
            return os.fspath(top / path)
        uri = artifact.uri
        if uri is None:
            raise InputError("its place was not recorded")
        if "\0" in local_path(uri):
            raise InputError(f"{uri} is no URI of a file")
        scheme = uri.partition("://")[0]
        if is_remote(uri) and ("::" in uri or scheme not in SCHEMES):
            raise InputError(f"{uri} comes from a record and is not opened for its sake")
        return uri

    def _options_like(self, like: Side | None) -> DataOptions:
        """Return the options by which something is captured as something else was."""
        options = with_digests(self._options, self._store.repository.config)
        if like is None:
            return options
        digests: Collection[str] = like.artifact.digest
        if like.artifact.kind == "tree":
            items = like.listing.files() if like.listing is not None else iter(())
            first = next((item for _, item in items if item.mode != LINK), None)
            digests = first.digests if first is not None else ()
        algorithms = tuple(name for name in SIZES if name in digests)
        return replace(
            options,
            algorithms=algorithms or options.algorithms,
            follow_links=like.artifact.links == "followed",
        )

    def _local(self, path: Path, options: DataOptions) -> Captured:
        with self._capture(options) as local:
            return local.capture(path, self._held, "observed")

    def _capture(self, options: DataOptions) -> LocalCapture:
        """Return what captures as runs do: secrets in names are commitments there, too."""
        repository = self._store.repository
        return LocalCapture(
            repository.prov_dir, repository.work_tree, options, redactor=self._redactor
        )

    @cached_property
    def _redactor(self) -> Redactor:
        return redactor_for(self._store.repository, os.environ)

    def _remote(self, uri: str, options: DataOptions) -> Captured:
        prov_dir = self._store.repository.prov_dir
        with self._capture(options) as local:
            found = list(
                capture_uri(
                    uri, self._held, prov_dir, options, "observed", cwd=self._cwd,
                    redact=local.redact,
                )
            )  # fmt: skip
        if len(found) != 1:
            raise InputError(f"{uri} stands for {len(found)} objects; name one")
        return found[0]


class HeldListings(ObjectReader):
    """Listings in memory, and all that another reader has."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader
        self._objects: dict[str, Object] = {}

    def new_listing(self) -> "HeldListings":
        """Return what takes the objects of one listing: itself."""
        return self

    def add(self, kind: str, data: bytes) -> str:
        """Take an object and return its name."""
        oid = object_id(kind, data)
        self._objects[oid] = Object(kind, data)
        return oid

    def keep(self, sha256: bytes, tree: str) -> None:
        """Keep a listing; its objects are kept already."""

    def discard(self) -> None:
        """Forget nothing: other listings may have the same objects."""

    def read_many(self, oids: Sequence[str]) -> Iterator[Object | None]:
        """Yield the objects in the order asked for, None for each that is missing."""
        others = self._reader.read_many([oid for oid in oids if oid not in self._objects])
        for oid in oids:
            yield self._objects[oid] if oid in self._objects else next(others)

    def close(self) -> None:
        """Leave the other reader to its owner."""
