"""What there is in folders, each before what it holds.

Of a folder that was never looked at before, files are not asked for their stat: who hashes them
finds out, and a second look would cost as much as the first. What is neither a file, a link nor a
folder, or cannot be read, is left out and named.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from stat import S_ISDIR, S_ISLNK, S_ISREG

from gitprov.capture.data.crowd import FILE, FOLDER, LINK, Crowd, Member
from gitprov.capture.data.stat_cache import CachedFolder, StatCache
from gitprov.capture.hashing import pack_stat
from gitprov.codec.listings import MAX_ITEMS

_GIT = b".git"
_OTHER = "neither a file, a link nor a folder"
# Of so many files whose sizes are not known, one is looked at; where one is large, all are.
_SAMPLE = 16
_LARGE_BYTES = 256 << 10
_BY_NAME = attrgetter("name")


# Returns names, and what links say, without secrets: those alone that hold one.
Redact = Callable[[Sequence[bytes]], Mapping[bytes, bytes]]


@dataclass(slots=True)
class Scan:
    """What there is in a folder, or in a part of it: files, targets of links, names of folders.

    `part` are the digits of the part, nothing where it is all of the folder; `cached` is what it
    was when it was looked at last. `stats` are packed, those of all files or of none.
    """

    path: bytes
    part: bytes | None = None
    cached: CachedFolder | None = None
    names: list[bytes] = field(default_factory=list)
    stats: list[bytes] = field(default_factory=list)
    links: dict[bytes, bytes] = field(default_factory=dict)
    folders: list[bytes] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        """What the cache knows it by: no path has a NUL."""
        return self.path if self.part is None else b"%s\0%s" % (self.path, self.part)

    def add(self, member: Member, found: os.stat_result | None) -> None:
        """Add something, a file with its stat where that was looked at."""
        if member.kind == LINK:
            self.links[member.name] = member.target
        elif member.kind == FOLDER:
            self.folders.append(member.name)
        else:
            self.names.append(member.name)
            if found is not None:
                self.stats.append(pack_stat(found))


class Scanner:
    """Goes through folders; `left_out` says what it could not look at, and why.

    What the `cache` does not know is not looked at closely.
    """

    def __init__(self, cache: StatCache, redact: Redact | None) -> None:
        self.left_out: dict[bytes, str] = {}
        self._cache = cache
        self._redact = redact
        self._follow = cache.follow_links
        self._followed: set[tuple[int, int]] = set()

    def scans(self, top: bytes) -> Iterator[Scan]:
        """Yield what is in a folder, and in all below it; raise OSError for the first alone.

        The parts of a folder come one after the other.
        """
        waiting = [(top, frozenset[tuple[int, int]]())]
        while waiting:
            path, above = waiting.pop()
            try:
                if self._follow:
                    found = os.stat(path)
                    above |= {(found.st_dev, found.st_ino)}
                scans = self._scan(path, above)
            except OSError as error:
                if path == top:
                    raise
                self.left_out[path] = error.strerror or str(error)
                scans = iter([Scan(path)])
            for scan in scans:
                waiting += [(os.path.join(path, name), above) for name in scan.folders]
                yield scan

    def _scan(self, path: bytes, above: frozenset[tuple[int, int]]) -> Iterator[Scan]:
        with os.scandir(path) as entries:
            some = list(islice(entries, MAX_ITEMS + 1))
            if len(some) > MAX_ITEMS:
                crowd = Crowd()
                while some:
                    self._add(crowd, some, above)
                    some = list(islice(entries, MAX_ITEMS))
                return self._parts(path, crowd)
        return iter([self._whole(path, some, above)])

    def _whole(
        self, path: bytes, entries: list[os.DirEntry[bytes]], above: frozenset[tuple[int, int]]
    ) -> Scan:
        scan = Scan(path, cached=self._cache.get(path))
        closely = self._follow or scan.cached is not None
        names, stats = scan.names, scan.stats
        entries.sort(key=_BY_NAME)
        for entry in entries:
            found = None
            try:
                if closely:
                    found = entry.stat(follow_symlinks=False)
                    if S_ISREG(found.st_mode) and entry.name != _GIT:  # as nearly all are
                        names.append(entry.name)
                        stats.append(pack_stat(found))
                        continue
                    found = entry.stat() if self._follow and S_ISLNK(found.st_mode) else None
            except OSError as error:
                # A link to nothing is a link.
                if not entry.is_symlink():
                    self.left_out[entry.path] = error.strerror or str(error)
                    continue
            if (member := self._member(entry, above)) is not None:
                scan.add(member, found)
        return scan

    def _add(
        self,
        crowd: Crowd,
        entries: Iterable[os.DirEntry[bytes]],
        above: frozenset[tuple[int, int]],
    ) -> None:
        members = [member for entry in entries if (member := self._member(entry, above))]
        said: Mapping[bytes, bytes] = {}
        if self._redact is not None:
            said = self._redact(
                [text for member in members for text in (member.name, member.target) if text]
            )
        for member in members:
            name, target = member.name, member.target
            crowd.add(member, said.get(name, name), said.get(target, target))

    def _parts(self, path: bytes, crowd: Crowd) -> Iterator[Scan]:
        for part, members in crowd.parts():
            scan = Scan(path, part)
            scan.cached = self._cache.get(scan.key)
            closely = self._follow or scan.cached is not None
            for member in members:
                found = None
                if closely and member.kind == FILE:
                    place = os.path.join(path, member.name)
                    try:
                        found = os.stat(place, follow_symlinks=self._follow)
                    except OSError as error:
                        self.left_out[place] = error.strerror or str(error)
                        continue
                scan.add(member, found)
            yield scan

    def _member(
        self, entry: os.DirEntry[bytes], above: frozenset[tuple[int, int]]
    ) -> Member | None:
        """Return what something is, which most folders tell without another call."""
        if entry.name == _GIT:  # a folder, or in other work trees a file
            return None
        try:
            if entry.is_symlink() and not (self._follow and self._leads_on(entry, above)):
                return Member(entry.name, LINK, os.readlink(entry.path))
            if entry.is_file(follow_symlinks=self._follow):
                return Member(entry.name, FILE)
            if not entry.is_dir(follow_symlinks=self._follow):
                self.left_out[entry.path] = _OTHER
            else:
                return Member(entry.name, FOLDER)
        except OSError as error:
            self.left_out[entry.path] = error.strerror or str(error)
        return None

    def _leads_on(self, entry: os.DirEntry[bytes], above: frozenset[tuple[int, int]]) -> bool:
        """Say whether a link leads to something, and not to a folder around it.

        A folder is followed to once: those that link to each other would never end.
        """
        try:
            found = entry.stat()
        except OSError:
            return False
        place = found.st_dev, found.st_ino
        if not S_ISDIR(found.st_mode):
            return True
        if place in above or place in self._followed:
            return False
        self._followed.add(place)
        return True


def estimated_sizes(folder: bytes, names: Sequence[bytes]) -> dict[bytes, int]:
    """Return sizes of files: of a few where those are small, else of all; as far as can be told."""
    some = _sizes(folder, names[::_SAMPLE])
    return some if max(some.values(), default=0) < _LARGE_BYTES else _sizes(folder, names)


def _sizes(folder: bytes, names: Sequence[bytes]) -> dict[bytes, int]:
    sizes = {}
    for name in names:
        try:
            sizes[name] = os.stat(os.path.join(folder, name)).st_size
        except OSError:  # who hashes it will say so
            continue
    return sizes
