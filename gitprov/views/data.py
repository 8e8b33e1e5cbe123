"""Data in words: what has changed, what there is, its versions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitprov.codec.listings import FOLDER, LINK, PROGRAM, Item
from gitprov.model.run import Artifact
from gitprov.model.wording import digest_text, plural, printable, size_text
from gitprov.views.style import Style

_DIGEST_LENGTH = 12
_KINDS = {FOLDER: "folder", LINK: "link", PROGRAM: "program"}


def artifact_text(item: Artifact) -> str:
    """Return `3 files, 12.0 KiB, sha256:0a1b…`: what is known of data, in one line."""
    return content_text(item.file_count, item.size, digest_text(item))


def content_text(files: int | None, size: int | None, digest: str | None) -> str:
    """Return the same of what an index or listing says."""
    parts = [plural(files, "file")] if files is not None else []
    if size is not None:
        parts.append(size_text(size))
    parts.append(short_digest(digest) if digest else "not hashed")
    return ", ".join(parts)


def short_digest(digest: str) -> str:
    """Return `sha256:0a1b2c3d4e5f…`."""
    algorithm, _, value = digest.partition(":")
    return f"{printable(algorithm)}:{value[:_DIGEST_LENGTH]}…"


def name_text(path: bytes) -> str:
    """Return a path of a listing, safe for a terminal."""
    return printable(path)


def item_line(path: bytes, item: Item, style: Style) -> str:
    """Return one line on an item of a listing: digest, size, name."""
    digests = item.digests
    algorithm = "sha256" if "sha256" in digests else min(digests)
    digest = short_digest(f"{algorithm}:{digests[algorithm].hex()}")
    name = name_text(path)
    if item.mode == FOLDER:
        name += "/"
    elif item.mode == LINK:
        name += f" -> {printable(item.target or b'')}"
    size = plural(item.files, "file") if item.mode == FOLDER else size_text(item.size)
    return f"{style.dim(digest)}  {size:>12}  {name}"


def item_document(path: bytes, item: Item) -> Mapping[str, Any]:
    """Return an item of a listing for JSON."""
    found: dict[str, Any] = {
        "path": _raw(path),
        "kind": _KINDS.get(item.mode, "file"),
        "size": item.size,
        "digest": dict(item.digests),
    }
    if item.mode == FOLDER:
        found["file_count"] = item.files
    if item.target is not None:
        found["target"] = _raw(item.target)
    return found


def count_text(counts: Mapping[str, int]) -> str:
    """Return `2 added, 1 removed`, or that there is no difference."""
    words = [f"{count} {kind}" for kind, count in counts.items() if count]
    return ", ".join(words) or "the same"


def change_line(
    kind: str,
    path: bytes,
    before: Item | None,
    after: Item | None,
    before_path: bytes | None,
    style: Style,
) -> str:
    """Return one line on a file that differs."""
    colour = {"added": style.good, "removed": style.bad}.get(kind, style.id)
    name = name_text(path)
    if before_path is not None:
        name = f"{name_text(before_path)} -> {name}"
    return f"  {colour(f'{kind:<8}')} {name}{_what(kind, before, after)}"


def _what(kind: str, before: Item | None, after: Item | None) -> str:
    if before is None or after is None:
        item = before or after
        return f"  ({size_text(item.size)})" if item and item.mode != LINK else ""
    if kind == "mode":
        return f"  ({before.mode:o} -> {after.mode:o})"
    if kind == "renamed":
        return ""
    if before.size == after.size:
        return f"  ({size_text(after.size)}, other content)"
    return f"  ({size_text(before.size)} -> {size_text(after.size)})"


def change_document(
    kind: str,
    path: bytes,
    before: Item | None,
    after: Item | None,
    before_path: bytes | None,
) -> Mapping[str, Any]:
    """Return a change for JSON."""
    found: dict[str, Any] = {"change": kind, "path": _raw(path)}
    if before_path is not None:
        found["before_path"] = _raw(before_path)
    for name, item in (("before", before), ("after", after)):
        if item is not None:
            found[name] = {"size": item.size, "digest": dict(item.digests), "mode": item.mode}
    return found


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines, their columns one below the other."""
    kept = list(rows)
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    for row in kept:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _raw(path: bytes) -> str | bytes:
    try:
        return path.decode()
    except UnicodeDecodeError:
        return path
