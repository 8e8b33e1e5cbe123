"""What two states of data differ in, at the cost of what they differ in."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from gitprov.codec.listings import FILE, Item
from gitprov.data.sides import Side
from gitprov.errors import InputError
from gitprov.store.listing_diff import Difference, differences

ChangeKind = Literal["added", "removed", "changed", "renamed", "mode"]
KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)


class Change(NamedTuple):
    """A file or link that differs; `path` is where it is after, or was, `before_path` before."""

    kind: ChangeKind
    path: bytes
    before: Item | None
    after: Item | None
    before_path: bytes | None = None


@dataclass(slots=True)
class DataDifference:
    """Two sides and what they differ in. `same` is None where that cannot be told."""

    before: Side
    after: Side
    same: bool | None
    changes: list[Change] = field(default_factory=list)

    def count(self, kind: ChangeKind) -> int:
        """Return how many files differ in this way."""
        return sum(change.kind == kind for change in self.changes)


def compare(before: Side, after: Side) -> DataDifference:
    """Return what two sides differ in.

    Files are one another's equals by a digest that both have. Raises InputError where one is a
    file and the other a folder; ObjectMissing and IntegrityError where a listing cannot be read.
    """
    one, two = before.artifact, after.artifact
    if (one.kind == "tree") != (two.kind == "tree"):
        kinds = ("a folder" if item.kind == "tree" else "a file" for item in (one, two))
        raise InputError(f"{before.text} is {next(kinds)} and {after.text} is {next(kinds)}")
    if before.listing is not None and after.listing is not None:
        changes = _changes(differences(before.listing, after.listing))
        return DataDifference(before, after, not changes, changes)
    if one.kind == "tree":
        return DataDifference(before, after, _equal(one.digest, two.digest))
    same = _equal(one.digest, two.digest)
    if same is False:
        changed = Change("changed", b"", _item(before), _item(after))
        return DataDifference(before, after, same, [changed])
    return DataDifference(before, after, same)


def _changes(found: Iterable[Difference]) -> list[Change]:
    changes, added, removed = [], [], defaultdict[tuple[int, bytes], list[Difference]](list)
    for difference in found:
        before, after = difference.before, difference.after
        if before is None:
            added.append(difference)
        elif after is None:
            removed[_content(before)].append(difference)
        else:
            same = _content(before) == _content(after)
            changes.append(Change("mode" if same else "changed", *difference))
    for difference in added:
        assert difference.after is not None  # noqa: S101 -- it was added
        if difference.after.size and (olds := removed.get(_content(difference.after))):
            old = olds.pop(0)
            changes.append(
                Change("renamed", difference.path, old.before, difference.after, old.path)
            )
        else:
            changes.append(Change("added", *difference))
    changes += (Change("removed", *old) for olds in removed.values() for old in olds)
    return sorted(changes, key=lambda change: change.path)


def _content(item: Item) -> tuple[int, bytes]:
    algorithm = min(item.digests)
    return item.size, algorithm.encode() + item.digests[algorithm]


def _equal(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> bool | None:
    """Say whether digests are of one content; None where there is none that both have."""
    shared = before.keys() & after.keys()
    return all(before[name] == after[name] for name in shared) if shared else None


def _item(side: Side) -> Item | None:
    artifact = side.artifact
    if artifact.size is None:
        return None
    return Item(b"", FILE, artifact.size, 1, artifact.digest)
