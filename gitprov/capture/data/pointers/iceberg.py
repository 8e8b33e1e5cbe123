"""Iceberg tables in a folder: the newest metadata, its snapshot, and the table's id."""

import json
import os
import re
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path

from gitprov.capture.data.pointers.kind import BrokenPointer, Question
from gitprov.capture.data.pointers.reading import read, text_of

_FOLDER = "metadata"
_HINT = "version-hint.text"
# `v3.metadata.json` where the folder is the catalogue, `00003-<uuid>.metadata.json` elsewhere.
_METADATA = re.compile(
    r"(?:v(?P<version>[0-9]{1,18})|(?P<number>[0-9]{1,18})-.+?)(?P<gz>\.gz)?\.metadata\.json(?P<old_gz>\.gz)?"
)
_MAX_BYTES = 64 << 20
_MAX_HINT_BYTES = 64
_NO_SNAPSHOT = -1


def identity(question: Question) -> Mapping[str, str]:
    """Return what the newest metadata of the table in a folder says."""
    folder = question.path / _FOLDER
    if stat.S_ISREG(question.mode) or not folder.is_dir():
        return {}
    name = _newest(folder)
    if name is None:
        return {}
    document = _document(folder / name)
    table, snapshot = text_of(document, "table-uuid"), document.get("current-snapshot-id")
    said = {"iceberg.metadata": f"{_FOLDER}/{name}"}
    if table:
        said["iceberg.table_uuid"] = table
    if isinstance(snapshot, int) and snapshot != _NO_SNAPSHOT:
        said["iceberg.snapshot_id"] = str(snapshot)
    return said


def _newest(folder: Path) -> str | None:
    """Return the name of the metadata that counts; the hint says so where there is one."""
    found: dict[int, list[str]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := _METADATA.fullmatch(entry.name):
                number = int(match["version"] or match["number"])
                found.setdefault(number, []).append(entry.name)
    if not found:
        return None
    try:
        hint = read(folder / _HINT, _MAX_HINT_BYTES).strip()
    except FileNotFoundError:
        number = max(found)
    else:
        number = int(hint) if hint.isdigit() else -1
    names = found.get(number, [])
    if not names:
        raise BrokenPointer("the version hint names no metadata")
    if len(names) > 1:
        raise BrokenPointer("several files of metadata have the highest number")
    return names[0]


def _document(path: Path) -> dict[str, object]:
    data = read(path, _MAX_BYTES)
    try:
        if data.startswith(b"\x1f\x8b"):
            unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            data = unpacker.decompress(data, _MAX_BYTES)
        document = json.loads(data)
    except (ValueError, RecursionError, zlib.error) as error:
        raise BrokenPointer("the metadata of the table is damaged") from error
    if not isinstance(document, dict):
        raise BrokenPointer("the metadata of the table is damaged")
    return document
