"""Changes of what is known by a name and has a version, or another value in words."""

from collections.abc import Iterator, Mapping

from gitprov.environments.versions import direction
from gitprov.model.environment_changes import Change, ChangeKind, Section

_KINDS: Mapping[int, ChangeKind] = {1: "upgraded", -1: "downgraded", 0: "changed"}


def version_changes(
    section: Section,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    within: str | None = None,
    pep440: bool = False,
) -> Iterator[Change]:
    """Yield which versions by name have come, gone, gone up or down."""
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            yield come_or_gone(section, name, was, now, within)
        elif was != now:
            yield Change(
                section=section,
                kind=version_kind(was, now, pep440=pep440),
                name=name,
                before=was,
                after=now,
                within=within,
            )


def version_kind(before: str, after: str, *, pep440: bool) -> ChangeKind:
    """Return in which direction a version has gone."""
    return _KINDS[direction(before, after, pep440=pep440)]


def value_changes(
    section: Section, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[Change]:
    """Yield which values by name have come, gone or changed."""
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield value_change(section, name, before.get(name), after.get(name))


def value_change(
    section: Section, name: str, before: str | None, after: str | None, within: str | None = None
) -> Change:
    """Return that a value is another one, or is there on one side only."""
    if before is None or after is None:
        return come_or_gone(section, name, before, after, within)
    return Change(
        section=section, kind="changed", name=name, before=before, after=after, within=within
    )


def come_or_gone(
    section: Section, name: str, before: str | None, after: str | None, within: str | None = None
) -> Change:
    """Return that something is there on one side only."""
    kind: ChangeKind = "added" if before is None else "removed"
    return Change(section=section, kind=kind, name=name, before=before, after=after, within=within)
