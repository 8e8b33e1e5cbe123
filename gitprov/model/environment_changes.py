"""What two environments differ in, as values.

Everything is a change of one thing in one section. `before` and `after` are what it was, in words:
a version, a commit, a name of a processor. Where a record says nothing about a section, nothing is
made up: it is named in `unrecorded`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

ChangeKind = Literal["upgraded", "downgraded", "changed", "added", "removed"]
Section = Literal[
    "interpreter",
    "packages",
    "editables",
    "broken",
    "interpreters",
    "conda",
    "languages",
    "locks",
    "agreement",
    "container",
    "system",
    "system-packages",
    "hardware",
    "linear-algebra",
    "variables",
]
CHANGES: tuple[ChangeKind, ...] = get_args(ChangeKind)
SECTIONS: tuple[Section, ...] = get_args(Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs.

    `within` says where, if a section has several of a kind: the language, the other interpreter.
    `details` say in words what differs where the version does not tell.
    """

    section: Section
    kind: ChangeKind
    name: str
    before: str | None = None
    after: str | None = None
    within: str | None = None
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs, in the order of `SECTIONS`.

    `unrecorded` are sections that one side, `before` or `after`, says nothing about.
    """

    changes: tuple[Change, ...] = ()
    unrecorded: Mapping[Section, Literal["before", "after"]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.changes)

    def of(self, section: Section) -> tuple[Change, ...]:
        """Return the changes of a section."""
        return tuple(change for change in self.changes if change.section == section)

    def without(self, sections: Collection[Section]) -> "Difference":
        """Return the same without some sections."""
        return Difference(
            changes=tuple(change for change in self.changes if change.section not in sections),
            unrecorded={
                section: side
                for section, side in self.unrecorded.items()
                if section not in sections
            },
        )
