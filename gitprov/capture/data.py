"""Inputs and outputs: local files and folders, globs, and whatever fsspec opens.

A folder's listing names every file below it with size, mode and sha256; the sha256 of the listing
is the folder's digest, and the listing itself is payload. Symbolic links in folders are recorded,
not followed. Specification: section 6.
"""

import glob
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from gitprov.capture.files import hash_file, raw_text
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.listings import encode_listing
from gitprov.errors import InputError, MissingDependency
from gitprov.model.run import Artifact, RawText, Seen

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_FILE_URI = "file://"
_CHUNK_BYTES = 1 << 20
# What of a listing's item is somebody's words.
_NAMES = ("path", "target")


@dataclass(slots=True)
class CapturedData:
    """The artifacts, the listings of folders by digest, and what could not be read."""

    artifacts: list[Artifact] = field(default_factory=list)
    listings: dict[str, bytes] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def capture_data(
    names: Iterable[str | os.PathLike[str]],
    *,
    role: str,
    cwd: Path,
    top: Path | None,
    seen: Seen = "declared",
    redactor: Redactor | None = None,
) -> CapturedData:
    """Return the artifacts that `names` stand for: paths relative to `cwd`, globs, URIs.

    `role` is "inputs" or "outputs" and begins the keys of `missing`. What cannot be read is an
    artifact without digest, with the reason in `missing`; nothing is raised for it. `redactor`
    keeps secrets out of listings, whose bytes nobody may change once they are hashed.
    """
    found = CapturedData()
    lister = _Lister(found.listings, redactor, role)
    for name in names:
        text = os.fspath(name)
        try:
            for artifact in _artifacts(text, cwd, top, seen, lister):
                if artifact not in found.artifacts:
                    found.artifacts.append(artifact)
        except (OSError, InputError, MissingDependency) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            shown = without_credentials(text)
            found.missing[f"{role}.{shown}"] = reason.replace(text, shown)
            if _is_remote(text):
                found.artifacts.append(Artifact(kind="remote", uri=shown, seen=seen))
            else:
                place = _place(cwd / _file_path(text), top)
                found.artifacts.append(Artifact(kind="file", seen=seen, **place))
    return found


def _artifacts(
    text: str, cwd: Path, top: Path | None, seen: Seen, lister: "_Lister"
) -> list[Artifact]:
    if _is_remote(text):
        return [_remote(text, seen)]
    path = cwd / _file_path(text)
    if not os.path.lexists(path) and glob.has_magic(text):
        matches = sorted(glob.glob(text, root_dir=cwd, recursive=True))  # noqa: PTH207 -- text may be absolute
        if not matches:
            raise InputError("no file matches")
        return [_local(cwd / match, top, seen, lister) for match in matches]
    return [_local(path, top, seen, lister)]


def _is_remote(text: str) -> bool:
    return _SCHEME.match(text) is not None and not text.startswith(_FILE_URI)


def _file_path(text: str) -> str:
    """Return the path that a file URI or a plain path stands for."""
    if not text.startswith(_FILE_URI):
        return text
    return os.fsdecode(unquote_to_bytes(os.fsencode(text.removeprefix(_FILE_URI))))


def _local(path: Path, top: Path | None, seen: Seen, lister: "_Lister") -> Artifact:
    place = _place(path, top)
    if path.is_dir():
        files = _walk(path)
        digest = lister.add(files)
        return Artifact(
            kind="tree",
            size=sum(file.get("size", 0) for file in files),
            digest={"sha256": digest},
            file_count=len(files),
            listing=f"listing-{digest.hex()}",
            seen=seen,
            **place,
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError("neither a file nor a folder")
    hashed = hash_file(path)
    return Artifact(
        kind="file", size=hashed.size, digest={"sha256": hashed.sha256}, seen=seen, **place
    )


class _Lister:
    """Listings by their digests, without the secrets that names and targets of links may hold."""

    def __init__(self, listings: dict[str, bytes], redactor: Redactor | None, place: str) -> None:
        self._listings = listings
        self._redactor = redactor
        self._place = f"{place}.listing"

    def add(self, items: list[dict[str, Any]]) -> bytes:
        """Take a listing and return its digest."""
        listing = encode_listing(self._without_secrets(items))
        digest = hashlib.sha256(listing).digest()
        self._listings[digest.hex()] = listing
        return digest

    def _without_secrets(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = [os.fsdecode(item[key]) for item in items for key in _NAMES if key in item]
        # All at once: there may be a million.
        if self._redactor is None or not self._redactor.find("\n".join(names)):
            return items
        return [
            item | {key: self._redacted(item[key]) for key in _NAMES if key in item}
            for item in items
        ]

    def _redacted(self, name: RawText) -> RawText:
        assert self._redactor is not None  # noqa: S101 -- it has found something
        return raw_text(self._redactor.text(os.fsdecode(name), self._place, remember=False))


def _walk(folder: Path) -> list[dict[str, Any]]:
    """Return the listing's items: every file and link below a folder, but git's own folders."""
    items: list[dict[str, Any]] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if name != ".git")
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]  # noqa: PTH114, PTH118
        for name in (*files, *links):
            path = Path(parent, name)
            items.append({"path": raw_text(path.relative_to(folder))} | _item(path))
    return items


def _refuse(error: OSError) -> None:
    """Stop at a folder that cannot be read: a listing without it would look complete."""
    raise error


def _item(path: Path) -> dict[str, Any]:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return {"mode": 0o120000, "target": raw_text(path.readlink())}
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is neither a file nor a link")
    hashed = hash_file(path)
    return {
        "mode": 0o755 if mode & 0o100 else 0o644,
        "size": hashed.size,
        "digest": {"sha256": hashed.sha256},
    }


def _place(path: Path, top: Path | None) -> dict[str, Any]:
    """Return where an artifact lies: a path below the work tree, or a file URI outside it."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 -- links are kept as they are named
    if top is not None and absolute.is_relative_to(top):
        return {"path": raw_text(absolute.relative_to(top))}
    return {"uri": absolute.as_uri()}


def _remote(uri: str, seen: Seen) -> Artifact:
    """Return a remote object, hashed as it streams by."""
    if "::" in uri:
        raise InputError("chained URIs are not read; name the object itself")
    # Late: fsspec takes 100 ms to import, and most runs read local files.
    import fsspec  # noqa: PLC0415

    digest, size = hashlib.sha256(), 0
    try:
        with fsspec.open(uri, "rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except ImportError as error:
        raise MissingDependency(f"{uri} needs a driver: {error}") from error
    except Exception as error:
        # Each driver raises errors of its own; none may stop the run.
        raise InputError(f"cannot read it: {error or type(error).__name__}") from error
    return Artifact(
        kind="remote",
        uri=without_credentials(uri),
        size=size,
        digest={"sha256": digest.digest()},
        seen=seen,
    )
