"""What two listings differ in, at the cost of what they differ in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gitprov.codec.listings import FOLDER, Item
from gitprov.store.listings import Listing, Place, Places


class Difference(NamedTuple):
    """A file or link that is not the same in both; None where one side has none."""

    path: bytes
    before: Item | None
    after: Item | None


def differences(before: Listing, after: Listing) -> Iterator[Difference]:
    """Yield the files and links that differ, folder by folder, in the order of names.

    Folders that are equal are not looked at. Raises what reading a `Listing` raises.
    """
    comparison = _Comparison(before, after)
    waiting = [comparison.steps(_Folders(before.top, after.top, b""))]
    while waiting:
        for step in waiting[-1]:
            if isinstance(step, Difference):
                yield step
            else:
                waiting.append(comparison.steps(step))
                break
        else:
            waiting.pop()


class _Folders(NamedTuple):
    """Folders at one path, to be compared; None where one side has none."""

    before: Place | None
    after: Place | None
    prefix: bytes


class _Entry(NamedTuple):
    """An item, and where it is stored if it is a folder."""

    item: Item
    place: Place | None

    @property
    def file(self) -> Item | None:
        """The item, if it is no folder."""
        return self.item if self.item.mode != FOLDER else None


_NOTHING = _Entry(Item(b"", FOLDER, 0, 0, {}), None)


class _Comparison:
    def __init__(self, before: Listing, after: Listing) -> None:
        self._before = before
        self._after = after

    def steps(self, folders: _Folders) -> Iterator[Difference | _Folders]:
        """Yield what differs in two folders, and the folders below them that do."""
        found = self._differing(folders.before, folders.after)
        for name in sorted(found):
            one, two = found[name]
            path = folders.prefix + name
            if one.file or two.file:
                yield Difference(path, one.file, two.file)
            if one.place or two.place:
                yield _Folders(one.place, two.place, path + b"/")

    def _differing(
        self, before: Place | None, after: Place | None
    ) -> Mapping[bytes, tuple[_Entry, _Entry]]:
        """Return what differs in two folders, or in parts of them at the same place, by name."""
        if before and after and before.sha256 == after.sha256:
            return {}
        old = self._before.read(before) if before else None
        new = self._after.read(after) if after else None
        found: dict[bytes, tuple[_Entry, _Entry]] = {}
        if old and new and old[0].is_split and new[0].is_split:
            for name in old[1].keys() | new[1].keys():
                found |= self._differing(old[1].get(name), new[1].get(name))
            return found
        olds = _entries(*self._before.unfolded(*old)) if old else {}
        news = _entries(*self._after.unfolded(*new)) if new else {}
        for name in olds.keys() | news.keys():
            one, two = olds.get(name, _NOTHING), news.get(name, _NOTHING)
            if one.item != two.item:
                found[name] = one, two
        return found


def _entries(items: Sequence[Item], places: Places) -> dict[bytes, _Entry]:
    return {item.name: _Entry(item, places.get(item.name)) for item in items}
