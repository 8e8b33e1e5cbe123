"""Payload: logs, series and listings, kept apart from the ledger so that they can be dropped.

A payload file lies at `<run id>/<name>` (short text, readable with plain git) or
`<run id>/<name>.zst` in a commit of `refs/prov/payload/…`. Its hash stands in the manifest:
whatever is read is compared with it. Specification: section 4.
"""

import hashlib
from collections.abc import Container, Iterator
from contextlib import suppress

from gitprov.codec.compression import compress, decompress
from gitprov.errors import (
    GitprovError,
    IntegrityError,
    MalformedRecord,
    ObjectMissing,
    PayloadMissing,
)
from gitprov.model.ids import short
from gitprov.store.journal import JournalRun
from gitprov.store.listings import Listing
from gitprov.store.objects import ObjectReader, TreeEntry, decode_commit, decode_tree
from gitprov.store.pack import Files

OUTPUT_LOG = "output.log"
OUTPUT_TAIL = "tail.txt"
SERIES = "series"
# What the name of a listing begins with; its sha256 follows.
LISTING = "listing-"

# What a payload file is: its role and media type, by name.
PAYLOAD_ROLES = {
    OUTPUT_LOG: ("log", "text/plain"),
    OUTPUT_TAIL: ("log-tail", "text/plain"),
    SERIES: ("metrics", "application/vnd.gitprov.series"),
}
PLAIN_TEXT_BYTES = 16 << 10


def payload_files(journal: JournalRun) -> Files:
    """Return the payload of a run as files to store: short text as it is, the rest as zstd."""
    files: dict[str, bytes] = {}
    for path in sorted((journal.path / "payload").glob("*")):
        data = path.read_bytes()
        if len(data) <= PLAIN_TEXT_BYTES and path.suffix in (".txt", ".log"):
            files[path.name] = data
        else:
            files[f"{path.name}.zst"] = compress(data)
    return files


def read_payload(
    reader: ObjectReader, tips: list[str], run_id: str, name: str, sha256: bytes
) -> bytes:
    """Return a payload file, looked for in the chains that end at `tips`.

    Chains come from anywhere, so a file of this name may be another's: the one that has the hash
    is returned, wherever it is. Raises PayloadMissing where this clone does not have it,
    IntegrityError where nothing that it has under this name is what the manifest says.
    """
    found = False
    forms = {name.encode(): False, f"{name}.zst".encode(): True}
    for file in _candidates(reader, tips, run_id, forms):
        with suppress(MalformedRecord, ObjectMissing):
            blob = reader.read(file.oid).data
            found = True
            data = decompress(blob) if forms[file.name] else blob
            if hashlib.sha256(data).digest() == sha256:
                return data
    if found:
        raise IntegrityError(f"the payload {name} of run {run_id} does not match its hash")
    raise _missing(run_id, name)


def open_listing(reader: ObjectReader, tips: list[str], run_id: str, name: str) -> Listing:
    """Return a listing of a run, looked for in the same way; raise PayloadMissing, IntegrityError.

    That its first node has the hash in its name was seen; each other is compared as it is read.
    """
    try:
        sha256 = bytes.fromhex(name.removeprefix(LISTING))
    except ValueError as error:
        raise IntegrityError(f"run {run_id} names a listing that cannot be one") from error
    wrong: GitprovError | None = None
    for file in _candidates(reader, tips, run_id, {name.encode()}):
        listing = Listing(reader, file.oid, sha256)
        try:
            listing.read(listing.top)
        except (MalformedRecord, IntegrityError, ObjectMissing) as error:
            wrong = error
        else:
            return listing
    raise wrong or _missing(run_id, name)


def _missing(run_id: str, name: str) -> PayloadMissing:
    return PayloadMissing(
        f"{name} of run {short(run_id)} is not in this clone; fetch it with: git prov pull "
        f"--payload"
    )


def _candidates(
    reader: ObjectReader, tips: list[str], run_id: str, names: Container[bytes]
) -> Iterator[TreeEntry]:
    """Walk the chains for the run's folder, newest first, and yield what has one of these names."""
    waiting, seen = list(tips), set(tips)
    while waiting:
        oid = waiting.pop()
        try:
            commit = decode_commit(reader.read(oid).data)
        except (ObjectMissing, MalformedRecord):
            continue
        with suppress(ObjectMissing, MalformedRecord):
            for folder in decode_tree(reader.read(commit.tree).data):
                if folder.name == run_id.encode():
                    found = decode_tree(reader.read(folder.oid).data)
                    yield from (entry for entry in found if entry.name in names)
        for parent in commit.parents:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
