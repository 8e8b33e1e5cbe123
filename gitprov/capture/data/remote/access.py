"""What recorded URIs lead to now: what the store says, and the bytes.

Records may come from anybody: their URIs lead to remote stores only, unless `typed` says that the
user has named them.
"""

import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from gitprov.capture.data.remote.reading import store_at
from gitprov.capture.data.remote.said import Said
from gitprov.capture.data.remote.schemes import words
from gitprov.capture.data.remote.stores import ChangedMeanwhile, Store
from gitprov.capture.url_credentials import without_credentials
from gitprov.errors import GitprovError, InputError


def current_hints(uri: str, *, typed: bool = False) -> Mapping[str, str]:
    """Return what the store says of an object now, and its `size`, without reading it.

    Of a prefix, `size` and `file_count` are all there is to say, after one listing. Raises
    InputError where there is nothing, or the store does not answer; MissingDependency.
    """
    store = store_at(uri, typed=typed, may_read=False)
    try:
        found = _found(store, uri)
        if not found.is_folder:
            size = {} if found.size is None else {"size": str(found.size)}
            return {**found.remote, **size}
        sizes = [item.size or 0 for item in store.below(found.path) if not item.is_folder]
    except GitprovError:
        raise
    except Exception as error:
        raise InputError(f"cannot ask for it: {words(error, uri)}") from error
    return {"size": str(sum(sizes)), "file_count": str(len(sizes))}


def open_object(uri: str, version_id: str | None = None, *, typed: bool = False) -> BinaryIO:
    """Return the bytes of an object as a stream: those of a version where one is named.

    Raises InputError where there is no such object or version. Reading raises it where the store
    fails, or the object changes meanwhile.
    """
    store = store_at(uri, typed=typed)
    try:
        found = _found(store, uri, version_id)
    except GitprovError:
        raise
    except Exception as error:
        raise InputError(f"cannot read it: {words(error, uri)}") from error
    if found.is_folder:
        raise InputError(f"{without_credentials(uri)} is no object but a folder of them")
    return cast("BinaryIO", io.BufferedReader(_Stream(_chunks(store, found, uri)), 1 << 20))


def download(uri: str, dest: Path, version_id: str | None = None, *, typed: bool = False) -> None:
    """Write the bytes of an object to a file; where that fails there is no file.

    Raises InputError as `open_object`, and OSError where the file cannot be written.
    """
    with open_object(uri, version_id, typed=typed) as stream, dest.open("wb") as file:
        try:
            while data := stream.read(1 << 20):
                file.write(data)
        except BaseException:
            dest.unlink()
            raise


class _Stream(io.RawIOBase):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        with closing(self._chunks):  # type: ignore[type-var]
            super().close()


def _found(store: Store, uri: str, version_id: str | None = None) -> Said:
    found = store.version(store.path, version_id) if version_id else store.stat(store.path)
    if found is None:
        what = f"version {version_id} of " if version_id else ""
        raise InputError(f"there is no {what}{without_credentials(uri)}")
    return found


def _chunks(store: Store, of: Said, uri: str) -> Iterator[bytes]:
    try:
        yield from store.chunks(of)
    except ChangedMeanwhile as error:
        raise InputError(f"{without_credentials(uri)} has changed meanwhile") from error
    except GitprovError:
        raise
    except Exception as error:
        raise InputError(f"cannot read it: {words(error, uri)}") from error
