"""Manifests cut to what a record may hold, with a word on what is left out.

The format bounds a record (specification, section 7). A run that reports more than that must be
recorded all the same: the longest groups are cut, their beginning stays, and `missing` says so.
"""

from collections.abc import Mapping
from typing import Any

from gitprov.codec.canonical import MAX_BYTES, Document

MAX_GROUP_ITEMS = 10_000
MAX_TEXT = 1 << 16

# The writer's place is added later, and the reasons for what is cut.
_MAX_BYTES = MAX_BYTES - (1 << 18)
_GROUPS = ("metrics", "params", "inputs", "outputs", "tags", "missing")
_TEXTS = ("message", "error")


def fitted(manifest: Mapping[str, Any]) -> Document:
    """Return the manifest, cut where it is too long."""
    document = dict(manifest)
    for name in _TEXTS:
        if len(text := document.get(name) or "") > MAX_TEXT:
            document[name] = text[:MAX_TEXT]
    wanted = {name: len(document[name]) for name in _GROUPS if document.get(name)}
    for name in wanted:
        document[name] = _first(document[name], MAX_GROUP_ITEMS)
    sizes = {name: _size(document[name]) for name in wanted}
    rest = _size({name: value for name, value in document.items() if name not in wanted})
    while sizes and rest + sum(sizes.values()) > _MAX_BYTES:
        longest = max(sizes, key=sizes.__getitem__)
        document[longest] = _first(document[longest], len(document[longest]) // 2)
        sizes[longest] = _size(document[longest])
        if not document[longest]:
            del sizes[longest]
    reasons = {
        f"{name}.rest": f"{count - len(document[name])} of {count} are more than a record holds"
        for name, count in wanted.items()
        if len(document[name]) < count
    }
    if reasons:
        document["missing"] = {**document.get("missing", {}), **reasons}
    return {name: value for name, value in document.items() if value not in ({}, [])}


def _first(items: Any, count: int) -> Any:
    if isinstance(items, Mapping):
        return dict(list(items.items())[:count])
    return list(items[:count])


def _size(value: Any) -> int:
    """Return a number of bytes that the value's encoding does not exceed, give or take little."""
    return len(repr(value).encode("utf-8", "backslashreplace"))
