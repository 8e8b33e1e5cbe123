"""Payload: logs, series and listings, kept apart from the ledger so that they can be dropped.

A payload file lies at `<run id>/<name>` (short text, readable with plain git) or
`<run id>/<name>.zst` in a commit of `refs/prov/payload/…`. Its hash stands in the manifest:
whatever is read is compared with it. Specification: section 4.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress

from gitprov.codec.compression import compress, decompress
from gitprov.errors import IntegrityError, MalformedRecord, ObjectMissing, PayloadMissing
from gitprov.store.journal import JournalRun
from gitprov.store.objects import ObjectReader, decode_commit, decode_tree
from gitprov.store.pack import Files

OUTPUT_LOG = "output.log"
OUTPUT_TAIL = "tail.txt"
SERIES = "series"

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
    for blob, packed in _candidates(reader, tips, run_id, name):
        found = True
        with suppress(MalformedRecord):
            data = decompress(blob) if packed else blob
            if hashlib.sha256(data).digest() == sha256:
                return data
    if found:
        raise IntegrityError(f"the payload {name} of run {run_id} does not match its hash")
    raise PayloadMissing(
        f"{name} of run {run_id[:8]} is not in this clone; fetch it with: git prov pull --payload"
    )


def _candidates(
    reader: ObjectReader, tips: list[str], run_id: str, name: str
) -> Iterator[tuple[bytes, bool]]:
    """Walk the chains for the run's folder, newest first, and yield its files of this name."""
    forms = {name.encode(): False, f"{name}.zst".encode(): True}
    waiting, seen = list(tips), set(tips)
    while waiting:
        oid = waiting.pop()
        try:
            commit = decode_commit(reader.read(oid).data)
        except (ObjectMissing, MalformedRecord):
            continue
        with suppress(ObjectMissing, MalformedRecord):
            for folder in decode_tree(reader.read(commit.tree).data):
                if folder.name != run_id.encode():
                    continue
                for file in decode_tree(reader.read(folder.oid).data):
                    if file.name in forms:
                        yield reader.read(file.oid).data, forms[file.name]
        for parent in commit.parents:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
