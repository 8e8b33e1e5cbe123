"""What two states of data differ in, at the cost of what they differ in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from gitprov.codec.listings import FILE, LINK, Item
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


class OtherKind(InputError):
    """One side is a file and the other a folder."""


def compare(before: Side, after: Side) -> DataDifference:
    """Return what two sides differ in.

    Files are one another's equals by a digest that both have. Raises OtherKind where one is a file
    and the other a folder; InputError where files have no digest in common; ObjectMissing and
    IntegrityError where a listing cannot be read.
    """
    one, two = before.artifact, after.artifact
    if (one.kind == "tree") != (two.kind == "tree"):
        kinds = ("a folder" if item.kind == "tree" else "a file" for item in (one, two))
        raise OtherKind(f"{before.text} is {next(kinds)} and {after.text} is {next(kinds)}")
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
    changes, added, removed = [], list[Difference](), list[Difference]()
    for difference in found:
        before, after = difference.before, difference.after
        if before is None:
            added.append(difference)
        elif after is None:
            removed.append(difference)
        elif not _is_same(before, after):
            changes.append(Change("changed", *difference))
        elif before.mode != after.mode:
            changes.append(Change("mode", *difference))
    changes += _renamed(added, removed)
    return sorted(changes, key=lambda change: change.path)


def _renamed(added: Iterable[Difference], removed: Iterable[Difference]) -> Iterator[Change]:
    """Yield what has come and gone, as one where it is the same content; each is used once."""
    gone: dict[tuple[int, str, bytes], list[Difference]] = defaultdict(list)
    for old in removed:
        for key in _keys(old.before):
            gone[key].append(old)
    used: set[bytes] = set()
    for new in added:
        olds = (old for key in _keys(new.after) for old in gone[key] if old.path not in used)
        found = next(olds, None)
        if found is None:
            yield Change("added", *new)
        else:
            used.add(found.path)
            yield Change("renamed", new.path, found.before, new.after, found.path)
    yield from (Change("removed", *old) for old in removed if old.path not in used)


def _keys(item: Item | None) -> Iterator[tuple[int, str, bytes]]:
    """Yield what a file's content may be known by; empty ones are nobody's."""
    if item is not None and item.size:
        for algorithm, digest in item.digests.items():
            yield item.size, algorithm, digest


def _is_same(before: Item, after: Item) -> bool:
    is_link = LINK in (before.mode, after.mode)
    if before.size != after.size or (is_link and before.mode != after.mode):
        return False
    same = _equal(before.digests, after.digests)
    if same is None:
        names = [", ".join(sorted(item.digests)) for item in (before, after)]
        raise InputError(f"files have no digest in common: {names[0]} before, {names[1]} after")
    return same


def _equal(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> bool | None:
    """Say whether digests are of one content; None where there is none that both have."""
    shared = before.keys() & after.keys()
    return all(before[name] == after[name] for name in shared) if shared else None


def _item(side: Side) -> Item | None:
    artifact = side.artifact
    if artifact.size is None:
        return None
    return Item(b"", FILE, artifact.size, 1, artifact.digest)
