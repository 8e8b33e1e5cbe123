"""The very bytes of recorded data, from wherever they can be had, and checked.

Looked at, in this order: the place where the data was recorded, the source of the run, the stores
of git-lfs, git-annex and DVC in this clone, and the object at its URI, in the version that was
recorded. What does not have the recorded digest is not taken, whatever its name.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from gitprov.capture.data.names import is_remote, local_path
from gitprov.capture.hashing.algorithms import hashes
from gitprov.codec.listings import FOLDER, LINK, PROGRAM
from gitprov.data.references import Recorded
from gitprov.data.sides import Side, Sides
from gitprov.errors import DataUnavailable, GitprovError, InputError, InTheWay
from gitprov.model.wording import files_text, printable
from gitprov.store.git import Git
from gitprov.store.listings import Listing
from gitprov.store.repository import Repository

_CHUNK_BYTES = 1 << 20
_PROGRAM_MODE = 0o755
# A listing of few objects may name files without end.
_MAX_ITEMS = 100_000_000

Opened = Callable[[], IO[bytes]]


class DataContent:
    """Brings the bytes of recorded data; `sides` knows where it lies."""

    def __init__(self, repository: Repository, sides: Sides) -> None:
        self._repository = repository
        self._sides = sides

    def bring(self, recorded: Recorded, destination: Path) -> int:
        """Write a recorded file or folder to a place where nothing is; return how many files.

        Whole or not at all. Raises DataUnavailable where bytes cannot be had, InTheWay where there
        is something at the destination, PayloadMissing where the listing is not in this clone.
        """
        if os.path.lexists(destination):
            raise InTheWay(f"{destination} is there already; name another place")
        side = self._sides.recorded(recorded)
        if side.artifact.kind != "tree" and not side.artifact.digest:
            raise DataUnavailable(f"{recorded.text} was not hashed; nothing can be checked")
        if side.artifact.kind == "tree" and side.listing is None:
            raise DataUnavailable(f"{recorded.text} has no listing")
        destination.parent.mkdir(parents=True, exist_ok=True)
        # Beside what is written, and out of reach of the names in a listing.
        with TemporaryDirectory(prefix=".gitprov-", dir=destination.parent) as folder:
            made = Path(folder, "made")
            if side.listing is None:
                count = 1
                self._bring_file(side, b"", side.artifact.digest, made)
            else:
                count = self._bring_folder(side, side.listing, made)
            if os.path.lexists(destination):
                raise InTheWay(f"{destination} is there already; name another place")
            made.rename(destination)
        return count

    def open(self, side: Side, path: bytes, digest: Mapping[str, bytes]) -> Path | None:
        """Return a local file that holds the recorded content of a file now, if there is one."""
        for place in self._local_places(side, path, digest):
            with suppress(_Unreadable, GitprovError):
                if place.is_file() and _matches(_file(place), digest):
                    return place
        return None

    def copied(self, side: Side, path: bytes, digest: Mapping[str, bytes], copy: Path) -> Path:
        """Write the recorded bytes of a file to `copy`; raise DataUnavailable."""
        self._bring_file(side, path, digest, copy)
        return copy

    def _bring_folder(self, side: Side, listing: Listing, folder: Path) -> int:
        if listing.count() > _MAX_ITEMS:
            raise DataUnavailable(f"{side.text} names more than {_MAX_ITEMS} files and folders")
        folder.mkdir()
        links: dict[Path, bytes] = {}
        missing: list[str] = []
        count = 0
        for path, item in listing.items():
            place = folder / os.fsdecode(path)
            if item.mode == FOLDER:
                place.mkdir()
                continue
            count += 1
            if item.mode == LINK:
                links[place] = item.target or b""
                continue
            try:
                self._bring_file(side, path, item.digests, place)
            except DataUnavailable:
                missing.append(os.fsdecode(path))
                continue
            if item.mode == PROGRAM:
                place.chmod(_PROGRAM_MODE)
        if missing:
            raise DataUnavailable(
                f"the recorded bytes of {files_text(missing)} cannot be had any more; "
                "nothing was written"
            )
        # Last: nothing is ever written through one.
        for place, target in links.items():
            place.symlink_to(os.fsdecode(target))
        return count

    def _bring_file(
        self, side: Side, path: bytes, digest: Mapping[str, bytes], destination: Path
    ) -> None:
        """Write a file where none is; raise DataUnavailable, and OSError where it cannot be."""
        for opened in self._places(side, path, digest):
            with suppress(_Unreadable, GitprovError), destination.open("xb") as written:
                if _matches(opened, digest, written):
                    return
            destination.unlink(missing_ok=True)
        name = os.fsdecode(path) or side.text
        raise DataUnavailable(
            f"the recorded bytes of {printable(name)} cannot be had any more: neither where it "
            "lay, nor in the source of the run, nor in a store of git-lfs, git-annex or DVC here"
        )

    def _places(self, side: Side, path: bytes, digest: Mapping[str, bytes]) -> Iterator[Opened]:
        for place in self._local_places(side, path, digest):
            if place.is_file():
                yield _file(place)
        blob = self._blob(side, path)
        if blob is not None:
            yield blob
        artifact = side.artifact
        if artifact.uri and is_remote(artifact.uri):
            # Late: fsspec takes 100 ms to import.
            from gitprov.capture.data.remote.access import open_object  # noqa: PLC0415

            uri = self._sides.place_of(artifact)
            if path:
                uri = f"{uri.rstrip('/')}/{os.fsdecode(path)}"
            version = None if path else artifact.remote.get("version_id")
            yield lambda: open_object(uri, version)

    def _local_places(self, side: Side, path: bytes, digest: Mapping[str, bytes]) -> Iterator[Path]:
        with suppress(GitprovError):
            name = self._sides.place_of(side.artifact)
            if not is_remote(name):
                yield Path(local_path(name), os.fsdecode(path))
        common_dir = self._repository.common_dir
        if sha256 := digest.get("sha256", b"").hex():
            yield common_dir / "lfs" / "objects" / sha256[:2] / sha256[2:4] / sha256
        md5 = side.artifact.remote.get("dvc.md5", "")
        if len(md5) == 32 and md5.isalnum() and not path and self._repository.work_tree:  # noqa: PLR2004
            yield self._repository.work_tree / ".dvc/cache/files/md5" / md5[:2] / md5[2:]

    def _blob(self, side: Side, path: bytes) -> Opened | None:
        """Return what opens the file in the source of the run, if it may be there."""
        reference, artifact = side.reference, side.artifact
        if not isinstance(reference, Recorded) or artifact.path is None:
            return None
        source = reference.run.source
        if source is None or source.tree is None:
            return None
        place = artifact.path if isinstance(artifact.path, bytes) else artifact.path.encode()
        name = os.fsdecode(b"/".join(part for part in (place, path) if part))
        return lambda: _blob_of(self._repository.git, f"{source.tree}:{name}")


def _blob_of(git: Git, name: str) -> IO[bytes]:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    with git.open("cat-file", "blob", name) as process:
        assert process.stdin and process.stdout  # noqa: S101, PT018 -- both are pipes
        process.stdin.close()
        shutil.copyfileobj(process.stdout, spool, _CHUNK_BYTES)
    if process.returncode != 0:
        spool.close()
        raise InputError(f"the source has no {name}")
    spool.seek(0)
    return spool


def _file(place: Path) -> Opened:
    return lambda: place.open("rb")


class _Unreadable(Exception):
    """A place that may have the bytes cannot be read."""


def _matches(opened: Opened, digest: Mapping[str, bytes], copy: IO[bytes] | None = None) -> bool:
    """Say whether what is read has a digest, and write it to a file meanwhile.

    Raises _Unreadable or GitprovError where it cannot be read, OSError where it cannot be written.
    """
    algorithms = sorted(digest)
    begun = [new() for new in hashes(algorithms)]
    for chunk in _chunks(opened):
        for each in begun:
            each.update(chunk)
        if copy is not None:
            copy.write(chunk)
    return all(each.digest() == digest[name] for name, each in zip(algorithms, begun, strict=True))


def _chunks(opened: Opened) -> Iterator[bytes]:
    try:
        with opened() as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise _Unreadable from error
