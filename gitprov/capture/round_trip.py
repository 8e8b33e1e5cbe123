"""Which files of a snapshot do not come back as they were, by git alone.

Git stores what filters and rules for line ends make of a file, and writes what they make of that.
Only files that differ from the commit are looked at: of all others, git says that they are as
committed.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gitprov.capture.partial_index import PartialIndex
from gitprov.capture.pointer_files import POINTERS
from gitprov.store.objects import ObjectReader, TreeEntry
from gitprov.store.repository import Config

_PLAIN_MODES = (0o100644, 0o100755)
# What makes git write other bytes than it has stored; without a value, whatever value there is.
_CONVERTING = {"eol": b"crlf", "filter": None, "ident": b"set"}
_NO_VALUE = (b"unspecified", b"unset")


class Losses(NamedTuple):
    """Files that come back otherwise, and files of which there is but a pointer."""

    altered: tuple[bytes, ...] = ()
    elsewhere: tuple[bytes, ...] = ()


def losses(
    files: Mapping[bytes, TreeEntry],
    before: Mapping[bytes, str],
    index: PartialIndex,
    reader: ObjectReader,
    config: Config,
    folder: Path,
) -> Losses:
    """Return what is lost of `files` that the index has; `before` is the blobs of their bytes.

    `folder` is made for it, and removed.
    """
    plain = [path for path in before if path in files and files[path].mode in _PLAIN_MODES]
    filtered = {path for path in plain if files[path].oid != before[path]}
    asked = sorted(filtered.union(plain if _writes_crlf(config) else _converted(plain, index)))
    if not asked:
        return Losses()
    found = reader.read_many([files[path].oid for path in asked])
    pointers = {
        path
        for path, blob in zip(asked, found, strict=True)
        if blob is not None and blob.data.startswith(POINTERS)
    }
    # A pointer is not followed: its content may be far away.
    others = [path for path in asked if path not in pointers]
    elsewhere = tuple(sorted(pointers & filtered))
    try:
        written = dict(index.checked_out(others, folder)) if others else {}
    except OSError:  # no room to try: nobody can say that they come back
        return Losses(tuple(others), elsewhere)
    return Losses(tuple(path for path in others if written[path] != before[path]), elsewhere)


def _writes_crlf(config: Config) -> bool:
    """Say whether files get other line ends by the configuration alone."""
    native = "crlf" if os.linesep == "\r\n" else "lf"
    ends = {"crlf": "crlf", "lf": "lf"}.get(config.get("core.eol", "native") or "", native)
    return ends == "crlf" or config.flag("core.autocrlf", default=False)


def _converted(paths: list[bytes], index: PartialIndex) -> Iterator[bytes]:
    """Yield the files that attributes have git write otherwise."""
    for path, name, value in index.attributes(paths, _CONVERTING):
        if value not in _NO_VALUE and _CONVERTING[name] in (None, value):
            yield path
