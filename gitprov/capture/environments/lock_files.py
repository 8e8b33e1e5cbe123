"""The lock files of the project, byte for byte, under their path in the repository.

Looked for at the top of the work tree and in each folder from there down to the one that the
command starts in, since a folder's own lock governs what is run in it.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitprov.capture.environments.kind import Findings, Request

MAX_LOCK_BYTES = 8 << 20

_NAMES = frozenset(
    {
        "Cargo.lock",
        "JuliaManifest.toml",
        "Manifest.toml",
        "Pipfile.lock",
        "conda-lock.yaml",
        "conda-lock.yml",
        "environment.yaml",
        "environment.yml",
        "flake.lock",
        "go.sum",
        "package-lock.json",
        "pdm.lock",
        "pixi.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "renv.lock",
        "uv.lock",
        "yarn.lock",
    }
)
# PEP 751: pylock.toml, or pylock.<name>.toml with no dot in the name; conda-<platform>.lock, as
# conda-lock renders it; manifests of Julia for one of its versions.
_PATTERN = re.compile(
    r"pylock(\.[^.]+)?\.toml|requirements.*\.txt|conda-.+\.lock"
    r"|(Julia)?Manifest-v[0-9.]+\.toml",
    re.DOTALL,
)
# A project of Julia is locked by its manifest, which needs it beside.
_JULIA_PROJECTS = ("JuliaProject.toml", "Project.toml")
_JULIA_MANIFEST = re.compile(r"(Julia)?Manifest(-v[0-9.]+)?\.toml")


class _SkippedError(Exception):
    """A lock file that is left out; the message says why."""


def capture(request: Request, /) -> Findings:
    """Return the lock files, and for each that was left out the reason."""
    if request.top is None:
        reason = "the run is in no work tree, so there is no place to look for lock files"
        return Findings(missing={"environment.locks": reason})
    files: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    for folder in _folders(request.top, request.cwd):
        try:
            names = _locks_among(os.listdir(folder))  # noqa: PTH208
        except OSError as error:
            missing[_field(folder, request.top)] = f"the folder cannot be read: {error.strerror}"
            continue
        for name in names:
            path = folder / name
            try:
                files[_stored_name(path, request.top)] = _content(path, request.top)
            except _SkippedError as error:
                missing[_field(path, request.top)] = str(error)
    return Findings(files=files, locks=tuple(sorted(files)), missing=missing)


def _locks_among(names: Sequence[str]) -> list[str]:
    locks = {name for name in names if name in _NAMES or _PATTERN.fullmatch(name)}
    if any(_JULIA_MANIFEST.fullmatch(name) for name in locks):
        locks.update(name for name in _JULIA_PROJECTS if name in names)
    return sorted(locks)


def _folders(top: Path, cwd: Path) -> Iterator[Path]:
    yield top
    if not cwd.is_relative_to(top):
        return
    folder = top
    for part in cwd.relative_to(top).parts:
        if part.lower() == ".git":  # not content of the repository, and no name for a git tree
            return
        folder /= part
        yield folder


def _field(path: Path, top: Path) -> str:
    shown = os.fsencode(path.relative_to(top)).decode("utf-8", "replace")
    return "environment.locks" if shown == "." else f"environment.locks.{shown}"


def _stored_name(path: Path, top: Path) -> str:
    name = path.relative_to(top).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise _SkippedError("its path is not valid UTF-8") from error
    return name


def _content(path: Path, top: Path) -> bytes:
    """Return the bytes of a lock file; raise _SkippedError where they should not be stored."""
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(top) or target.is_relative_to(top / ".git"):
            raise _SkippedError("it is a symbolic link that leads out of the repository")
        # Not blocking, so that a named pipe cannot hold up the run.
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            data = _regular_content(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, RuntimeError) as error:  # RuntimeError: Path.resolve on a loop of links
        reason = getattr(error, "strerror", None) or error
        raise _SkippedError(f"it cannot be read: {reason}") from error
    if len(data) > MAX_LOCK_BYTES:
        raise _SkippedError(f"it is larger than {MAX_LOCK_BYTES >> 20} MiB")
    return data


def _regular_content(descriptor: int) -> bytes:
    """Return what an open file holds, and at most one byte more than is allowed."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise _SkippedError("it is not a regular file")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(MAX_LOCK_BYTES + 1)
