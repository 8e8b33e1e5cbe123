"""What environments differ in, as text: grouped, aligned, a line each."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from gitprov.codec.documents import to_document
from gitprov.model.environment_changes import CHANGES, Change, ChangeKind, Difference, Section
from gitprov.model.environment_wording import word
from gitprov.views.style import Style

_TITLES: dict[Section, str] = {
    "interpreter": "Python",
    "packages": "Python packages",
    "editables": "Editable packages",
    "broken": "Distributions that are not whole",
    "interpreters": "Other interpreters",
    "conda": "Conda",
    "languages": "Other languages",
    "locks": "Lock files",
    "agreement": "Where lock files say something else",
    "container": "Container",
    "system": "System",
    "system-packages": "System packages",
    "hardware": "Hardware",
    "linear-algebra": "Linear algebra",
    "variables": "Variables",
}
SIDES = ("before", "after")
_OBJECT_ID = re.compile(r"\b([0-9a-f]{9})[0-9a-f]{31}\b")
_MAX_DETAILS = 8
_MAX_NAME = 40
_KIND_WIDTH = len("downgraded")


def difference_lines(
    difference: Difference, style: Style, sides: tuple[str, str] = SIDES
) -> Iterator[str]:
    """Yield the changes section by section; `sides` is what before and after are called."""
    for section, changes in groupby(difference.changes, key=lambda change: change.section):
        yield style.label(_TITLES[section])
        yield from (f"  {line}" for line in change_lines(list(changes), style, sides))
    for section, side in difference.unrecorded.items():
        name = sides[SIDES.index(side)]
        yield style.dim(f"{_TITLES[section]}: not known {name}")


def change_lines(
    changes: Sequence[Change], style: Style, sides: tuple[str, str] = SIDES
) -> Iterator[str]:
    """Yield a line for each change, names and values below one another."""
    names = [_name(change) for change in changes]
    width = min(max(map(len, names), default=0), _MAX_NAME)
    kinds = [kind_text(change.kind, sides) for change in changes]
    kind_width = max(_KIND_WIDTH, *map(len, kinds)) if kinds else 0
    for change, name, kind in zip(changes, names, kinds, strict=True):
        mark = {"added": style.good, "upgraded": style.good}.get(change.kind, style.bad)
        mark = style.id if change.kind == "changed" else mark
        value = _value(change)
        yield f"{mark(kind.ljust(kind_width))}  {name.ljust(width)}  {value}".rstrip()


def kind_text(kind: ChangeKind, sides: tuple[str, str] = SIDES) -> str:
    """Return a kind of change in words: what is on one side only is named by the side."""
    return {"removed": f"only {sides[0]}", "added": f"only {sides[1]}"}.get(kind, kind)


def count_text(changes: Iterable[Change], sides: tuple[str, str] = SIDES) -> str:
    """Return `2 upgraded, 1 only before`, or that there is no difference."""
    kinds = [change.kind for change in changes]
    words = [f"{kinds.count(kind)} {kind_text(kind, sides)}" for kind in CHANGES if kind in kinds]
    return ", ".join(words) or "the same"


def change_document(change: Change) -> dict[str, Any]:
    """Return a change for JSON."""
    document = to_document(change)
    document["change"] = document.pop("kind")
    return document


def _name(change: Change) -> str:
    if change.section == "agreement":
        return word(change.name)
    name = f"{change.within}: {change.name}" if change.within else change.name
    return word(name)


def _value(change: Change) -> str:
    texts = [_shortened(text) for text in (change.before, change.after) if text is not None]
    if change.kind == "changed" and change.before == change.after:
        texts = texts[:1]
    value = " -> ".join(texts)
    details = [_shortened(detail) for detail in change.details[:_MAX_DETAILS]]
    if len(change.details) > _MAX_DETAILS:
        details.append(f"and {len(change.details) - _MAX_DETAILS} more")
    if not details:
        return value
    joined = ", ".join(details)
    return f"{value}  ({joined})" if value else joined


def _shortened(text: str) -> str:
    return _OBJECT_ID.sub(r"\1", word(text))
