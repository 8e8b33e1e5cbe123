"""Wheels and source distributions in folders of the user's, found by what a record says of them."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_SUFFIXES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
_PREFERRED = ("sha256", "sha384", "sha512")


def find_file(
    folders: Sequence[Path], name: str, version: str, hashes: Mapping[str, str]
) -> Path | None:
    """Return the file with one of `hashes`; where there are none, a wheel of this version."""
    files = [file for folder in folders for file in _files_of(folder, name)]
    algorithm = next((item for item in _PREFERRED if item in hashes), None)
    if algorithm is not None:
        return next((file for file in files if _digest(file, algorithm) == hashes[algorithm]), None)
    if hashes:  # of a kind that proves nothing any more
        return None
    return next(
        (file for file in files if _wheel_of(file.name) == _as_written(name, version)), None
    )


def is_wheel(file_name: str) -> bool:
    """Say whether a file can be installed without executing anything that it holds."""
    return file_name.endswith(".whl")


def _wheel_of(file_name: str) -> tuple[str, str] | None:
    """Return whose wheel a file is, and of which version, by its name."""
    parts = file_name.split("-")
    return _as_written(parts[0], parts[1]) if is_wheel(file_name) and len(parts) > 1 else None


def _as_written(name: str, version: str) -> tuple[str, str]:
    return _folded(name), version.lower().replace("-", "_")


def _files_of(folder: Path, name: str) -> Iterator[Path]:
    beginning = f"{_folded(name)}-"
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return
    for file in files:
        if _folded(file.name).startswith(beginning) and file.name.endswith(_SUFFIXES):
            yield file


def _folded(text: str) -> str:
    """Return a name in the one form in which names are compared."""
    return re.sub(r"[._-]+", "-", text).lower()


def _digest(file: Path, algorithm: str) -> str | None:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError:
        return None
