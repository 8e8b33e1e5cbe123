"""DVC: what is tracked by `X.dvc` or `dvc.lock`, itself or inside a folder that is.

`dvc.md5` is what DVC says that the input is; `dvc.path` names what it tracks, below its root. Where
the input is inside that, `dvc.folder_md5` names the whole. `dvc.matches` compares `dvc.md5` with
the content that is there. A pointer that is itself the input answers for what it stands for.
"""

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitprov.capture.data.pointers.dvc_files import (
    Listing,
    Tracked,
    cached_listing,
    from_lock,
    from_pointer,
)
from gitprov.capture.data.pointers.dvc_md5 import (
    CannotTell,
    ignores,
    md5_of_folder,
    md5_of_listing,
)
from gitprov.capture.data.pointers.kind import BrokenPointer, Hasher, Question

_SUFFIX = ".dvc"
_LOCK = "dvc.lock"
_OF_FOLDER = ".dir"


def identity(question: Question) -> Mapping[str, str]:
    """Return what DVC says of an input."""
    path = question.path
    if not path.name:  # the root of all files
        return {}
    root = _root(path, question.top)
    if path.suffix == _SUFFIX and path.stem and stat.S_ISREG(question.mode):
        root = root or path.parent
        tracked = from_pointer(path, root)[0]
        # Nobody has named what it stands for but the pointer.
        if not tracked.path.resolve().is_relative_to(root.resolve()):
            raise BrokenPointer("a path leads out of the repository")
        return _said(tracked, tracked.path, root, question.md5)
    for candidate in _tracking(path, root):
        if path.is_relative_to(candidate.path):
            return _said(candidate, path, root or path.parent, question.md5)
    return {}


def _root(path: Path, top: Path | None) -> Path | None:
    """Return the nearest folder around `path`, up to the top, that DVC was set up in."""
    for folder in path.parents:
        if (folder / ".dvc").is_dir():
            return folder
        if folder == top:
            break
    return None


def _tracking(path: Path, root: Path | None) -> Iterator[Tracked]:
    """Yield what the pointers around `path` track, the nearest first."""
    for level in (path, *path.parents):
        if level == root:
            return
        beside = level.with_name(level.name + _SUFFIX)
        if beside.is_file():
            yield from from_pointer(beside, root or level.parent)
        if root is None:
            return
        lock = level.with_name(_LOCK)
        if lock.is_file():
            yield from from_lock(lock, root)


def _said(tracked: Tracked, path: Path, root: Path, md5: Hasher | None) -> dict[str, str]:
    said = {"dvc.path": tracked.path.relative_to(root).as_posix(), **tracked.said}
    expected = tracked.md5
    if path != tracked.path:
        if tracked.md5 is not None:
            said["dvc.folder_md5"] = tracked.md5
        place = path.relative_to(tracked.path).as_posix()
        said |= tracked.versions.get(place, {})
        listing = _listing(tracked, root)
        if listing is None:
            return said | {"dvc.matches": "unknown: DVC's cache does not have the folder's listing"}
        expected = _within(listing, place)
        if expected is None:
            return said | {"dvc.matches": "no: DVC does not have it in the folder"}
    if expected is None:
        return said
    return said | {"dvc.md5": expected, "dvc.matches": _matches(tracked, path, expected, root, md5)}


def _listing(tracked: Tracked, root: Path) -> Listing | None:
    if tracked.listing is not None or tracked.md5 is None:
        return tracked.listing
    if not tracked.md5.endswith(_OF_FOLDER):
        raise BrokenPointer("it says that a folder is a file")
    return cached_listing(root, tracked.md5)


def _within(listing: Listing, place: str) -> str | None:
    """Return the md5 that DVC has for a file or folder inside of one."""
    if place in listing:
        return listing[place]
    above = f"{place}/"
    below = sorted(
        (path.removeprefix(above), md5) for path, md5 in listing.items() if path.startswith(above)
    )
    return md5_of_listing(below) if below else None


def _matches(tracked: Tracked, path: Path, expected: str, root: Path, md5: Hasher | None) -> str:
    """Say whether the content that is there has the md5 that DVC says."""
    if md5 is None:
        return "unknown: not read"
    try:
        difference = _difference(tracked, path, expected, root, md5)
    except CannotTell as error:
        return f"unknown: {error}"
    except OSError as error:
        return f"unknown: {error.strerror or 'it cannot be read'}"
    return f"no: {difference}" if difference else "yes"


def _difference(tracked: Tracked, path: Path, expected: str, root: Path, md5: Hasher) -> str | None:
    """Return in what the content is not what DVC says; None where it is."""
    if not path.exists():
        raise CannotTell("it is not there")
    if path.is_dir() != expected.endswith(_OF_FOLDER):
        return f"it is a {'folder' if path.is_dir() else 'file'}"
    if path.is_dir():
        actual = md5_of_folder(path, md5, ignores(root, path))
    elif not path.is_file():
        raise CannotTell("it is neither a file nor a folder")
    else:
        size = path.stat().st_size
        if path == tracked.path and tracked.size not in (None, size) and not tracked.legacy:
            return f"it has {size} bytes, not {tracked.size}"
        actual = md5(bytes(path))
    if actual != expected and tracked.legacy:
        raise CannotTell("DVC 2 took the md5 of text with other line ends")
    return None if actual == expected else f"the md5 is {actual}"
