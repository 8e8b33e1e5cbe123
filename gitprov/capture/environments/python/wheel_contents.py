"""What a wheel brought, as one digest: the same wherever and by whichever tool it was installed.

A RECORD (PEP 376, PEP 427) lists the files of an installed distribution with their hashes. Of its
lines those count that are about files of the wheel in the library folder: path and hash, sorted.
Left out are

- what installers add, each in its own way: RECORD itself, INSTALLER, direct_url.json and the like;
- compiled files, which pip lists and others do not, and whatever has no hash;
- what lies elsewhere: scripts name the interpreter in their first line;
- sizes, which the hash implies, and which some tools that make wheels leave out.
"""

import csv
import hashlib
import io
from bisect import bisect_left

_BY_INSTALLERS = (
    b"INSTALLER",
    b"RECORD",
    b"RECORD.jws",
    b"RECORD.p7s",
    b"REFER_TO",  # PDM, where packages are links into its cache
    b"REQUESTED",
    b"direct_url.json",
    b"provenance_url.json",
    b"uv_build.json",
    b"uv_cache.json",
)
_ELSEWHERE = (b"../", b"..\\", b"/")


def content_sha256(record: bytes, folder: str) -> str | None:
    """Return the digest in hexadecimal digits; None where no line tells of a file of the wheel.

    `record` is the content of RECORD, `folder` the name of the folder (`*.dist-info`) that it is
    in. Lines that are none are passed over.
    """
    own = folder.encode("utf-8", "surrogateescape") + b"/"
    added = tuple(own + name + b"," for name in _BY_INSTALLERS)
    # There may be tens of thousands of lines: little is done with each, and what begins alike is
    # found in the sorted list at once.
    kept = [line[: line.rfind(b",")] for line in _lines(record) if not line.endswith(b",,")]
    kept.sort()
    for beginning in _ELSEWHERE:
        del kept[_beginning_with(beginning, kept)]
    mine = _beginning_with(own, kept)
    kept[mine] = [line for line in kept[mine] if not line.startswith(added)]
    data = b"\n".join(kept)
    if b".pyc," in data or data.count(b",") < len(kept):
        data = b"\n".join(line for line in kept if b".pyc," not in line and b"," in line)
    return hashlib.sha256(data).hexdigest() if data else None


def _beginning_with(beginning: bytes, lines: list[bytes]) -> slice:
    """Return where such lines are in a sorted list."""
    first = bisect_left(lines, beginning)
    return slice(first, bisect_left(lines, beginning + b"\xff", first))


def _lines(record: bytes) -> list[bytes]:
    """Return the lines, without quotes where some have them, since these are a matter of taste."""
    if b'"' not in record:
        return record.splitlines()
    text = io.StringIO(record.decode("utf-8", "surrogateescape"), newline="")
    try:
        rows = list(csv.reader(text))
    except csv.Error:
        return record.splitlines()
    return [",".join(row).encode("utf-8", "surrogateescape") for row in rows]
