"""What DVC's own files say: `X.dvc`, and `dvc.lock` of schema 2.0."""

import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitprov.capture.data.pointers.dvc_md5 import md5_of_listing
from gitprov.capture.data.pointers.kind import BrokenPointer
from gitprov.capture.data.pointers.reading import read, read_yaml, text_of
from gitprov.capture.url_credentials import without_credentials

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_NUMBER = re.compile("[0-9]{1,18}")
_MAX_LISTING_BYTES = 64 << 20
_SCHEMES = ("://", "remote:")
# Fields of an output, and of what it was imported from, that are identities elsewhere.
_SAID = ("version_id", "etag", "checksum")
_KEPT_FILES = 8
_PIPELINE = "dvc.yaml"

Listing = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A file or folder that DVC knows: where it is, and its md5 when DVC saw it last.

    `listing` has the md5s of what is in a folder by path, where the pointer itself says so, and
    `versions` what a cloud calls them. DVC 2 took the md5 of text with other line ends: `legacy`.
    `said` is what else it says.
    """

    path: Path
    md5: str | None
    size: int | None = None
    listing: Listing | None = None
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    legacy: bool = False
    said: Mapping[str, str] = field(default_factory=dict)


def from_pointer(pointer: Path, root: Path) -> list[Tracked]:
    """Return what a file `X.dvc` tracks."""
    document = _document(pointer)
    folder = _inside(pointer.parent, text_of(document, "wdir") or ".", root)
    origin: dict[str, str] = {}
    for source in _maps(document, "deps"):
        repository = source.get("repo")
        origin |= _named(
            source=text_of(repository, "url") or text_of(source, "path"),
            revision=text_of(repository, "rev_lock"),
        )
        origin |= {f"dvc.source_{name[4:]}": text for name, text in _versions(source).items()}
    outs = list(_maps(document, "outs"))
    if not outs:
        raise BrokenPointer(f"{pointer.name} names no output")
    return [_tracked(out, folder, root, origin) for out in outs]


def from_lock(lock: Path, root: Path) -> list[Tracked]:
    """Return what the stages of a `dvc.lock` have made, then what they have read."""
    return _from_lock(lock, root, _stamp(lock), _stamp(lock.with_name(_PIPELINE)))


# Kept: it is asked for once for each input beside it.
@functools.lru_cache(_KEPT_FILES)
def _from_lock(lock: Path, root: Path, *_stamps: tuple[int, ...]) -> list[Tracked]:
    document = _document(lock)
    schema = text_of(document, "schema")
    if schema != "2.0":
        raise BrokenPointer(f"dvc.lock has the schema {schema}, not 2.0")
    stages = document.get("stages")
    stages = stages if isinstance(stages, dict) else {}
    folders = _stage_folders(lock.with_name(_PIPELINE), stages)
    found: list[Tracked] = []
    for kind in ("outs", "deps"):
        for name, stage in stages.items():
            if folders[name] is None:
                continue
            for item in _maps(stage, kind):
                place = text_of(item, "path") or ""
                if any(sign in place for sign in _SCHEMES):
                    continue
                folder = lock.parent / (folders[name] or ".")
                if _resolved(folder, place).is_relative_to(root):
                    found.append(_tracked(item, folder, root, {"dvc.stage": name}))
    return found


def cached_listing(root: Path, md5: str) -> Listing | None:
    """Return the paths and md5s of a folder from DVC's cache; None where it is not there.

    Raises BrokenPointer where it is not what its name says.
    """
    path = root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    try:
        data = read(path, _MAX_LISTING_BYTES)
        items = json.loads(data)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise BrokenPointer("a listing in DVC's cache is damaged") from error
    listing = _listing(items if isinstance(items, list) else [])
    if md5_of_listing(sorted(listing.items())) != md5:
        raise BrokenPointer("a listing in DVC's cache is damaged")
    return listing


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does; nothing where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _document(path: Path) -> dict[str, Any]:
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise BrokenPointer(f"{path.name} is not a map")
    return document


def _tracked(item: dict[str, Any], folder: Path, root: Path, said: Mapping[str, str]) -> Tracked:
    place = text_of(item, "path")
    if place is None:
        raise BrokenPointer("an output has no path")
    files = item.get("files")
    listing = _listing(files) if isinstance(files, list) else None
    md5 = text_of(item, "md5")
    if md5 is not None and not _MD5.fullmatch(md5):
        raise BrokenPointer("an md5 is none")
    if md5 is None and listing is not None:
        md5 = md5_of_listing(sorted(listing.items()))
    size = text_of(item, "size")
    return Tracked(
        path=_inside(folder, place, root),
        md5=md5,
        size=int(size) if size and _NUMBER.fullmatch(size) else None,
        listing=listing,
        versions={file["relpath"]: _versions(file) for file in _maps(item, "files")},
        legacy="hash" not in item,
        said={**said, **_versions(item)},
    )


def _versions(item: dict[str, Any]) -> dict[str, str]:
    """Return the names that stores have for an output; those of the cloud it was pushed to, too."""
    found = {key: text_of(item, key) for key in _SAID}
    cloud = item.get("cloud")
    if isinstance(cloud, dict) and cloud:
        remote = next(iter(cloud))
        found |= {"remote": remote, **{key: text_of(cloud[remote], key) for key in _SAID}}
    else:
        found["remote"] = text_of(item, "remote")
    return _named(**found)


def _named(**fields: str | None) -> dict[str, str]:
    return {f"dvc.{key}": without_credentials(text) for key, text in fields.items() if text}


def _listing(items: list[Any]) -> Listing:
    listing: dict[str, str] = {}
    for item in items:
        path, md5 = text_of(item, "relpath"), text_of(item, "md5")
        if path is None or md5 is None or not _MD5.fullmatch(md5) or "\0" in path:
            raise BrokenPointer("the listing of a folder is damaged")
        listing[path] = md5
    return listing


def _maps(document: Any, key: str) -> Iterator[dict[str, Any]]:
    items = document.get(key) if isinstance(document, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def _stage_folders(pipeline: Path, stages: dict[str, Any]) -> dict[str, str | None]:
    """Return in which folder each stage works, as `dvc.yaml` says; None where it has a variable."""
    try:
        defined = _document(pipeline).get("stages")
    except FileNotFoundError:
        defined = None
    folders: dict[str, str | None] = {}
    for name in stages:
        stage = defined.get(name.partition("@")[0]) if isinstance(defined, dict) else None
        do = stage.get("do") if isinstance(stage, dict) else None
        folder = text_of(stage, "wdir") or text_of(do, "wdir") or "."
        folders[name] = None if "${" in folder else folder
    return folders


def _inside(folder: Path, place: str, root: Path) -> Path:
    if any(sign in place for sign in _SCHEMES):
        raise BrokenPointer("it tracks what is not local")
    path = _resolved(folder, place)
    if not path.is_relative_to(root):
        raise BrokenPointer("a path leads out of the repository")
    return path


def _resolved(folder: Path, place: str) -> Path:
    if "\0" in place:
        raise BrokenPointer("a path is none")
    return Path(os.path.normpath(folder / place))
