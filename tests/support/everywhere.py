"""Every byte that a git directory holds, as it reads: objects and payload decompressed."""

import os
import sqlite3
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from gitprov.codec.compression import decompress
from gitprov.errors import MalformedRecord
from tests.support.repositories import clean_environment

_ZLIB = b"\x78"
_ZSTD = b"\x28\xb5\x2f\xfd"


class Content(NamedTuple):
    """Some bytes, and where they are: `objects`, or a path below the git directory."""

    place: str
    data: bytes


def everything(git_dir: Path) -> Iterator[Content]:
    """Yield all objects, of object stores in the journal too, and all files besides them."""
    for folder, folders, files in os.walk(git_dir):
        here = Path(folder)
        place = here.relative_to(git_dir).as_posix()
        if here.name == "objects":
            folders.clear()
            yield from (Content(place, data) for data in _objects(git_dir, here))
            continue
        for name in files:
            with suppress(FileNotFoundError):  # of a run that goes on meanwhile
                yield from _file(here / name, f"{place}/{name}".removeprefix("./"))


def places_of(word: str, contents: Iterable[Content]) -> set[str]:
    """Return where a word stands."""
    raw = word.encode()
    return {place for place, data in contents if raw in data or raw in place.encode()}


def _objects(git_dir: Path, store: Path) -> Iterator[bytes]:
    env = clean_environment(GIT_OBJECT_DIRECTORY=str(store))
    command = ["git", f"--git-dir={git_dir}", "cat-file"]
    command += ["--batch-all-objects", "--batch", "--unordered"]
    listing = subprocess.run(command, env=env, capture_output=True, check=True, timeout=60).stdout
    while listing:
        header, _, rest = listing.partition(b"\n")
        size = int(header.split()[2])
        yield from _readable(rest[:size])
        listing = rest[size + 1 :]
    for path in store.rglob("*"):  # what git has begun to write, and has no name yet
        if path.is_file() and path.parent.name != "pack":
            with suppress(FileNotFoundError, zlib.error):
                yield zlib.decompressobj().decompress(path.read_bytes())


def _file(path: Path, place: str) -> Iterator[Content]:
    if path.is_fifo() or path.is_socket():
        return
    for data in _readable(path.read_bytes()):
        yield Content(place, data)
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            yield Content(place, "\n".join(database.iterdump()).encode())


def _readable(data: bytes) -> Iterator[bytes]:
    yield data
    if data.startswith(_ZLIB):
        with suppress(zlib.error):
            yield zlib.decompress(data)
    if data.startswith(_ZSTD):
        with suppress(MalformedRecord):
            yield decompress(data)
