"""A folder with more in it than one node holds, in the parts that its listing will have.

A million files in one folder are a million names: they are held one after the other, by the first
digits of their hashes, so that each part can be taken out by itself.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Literal, NamedTuple

from gitprov.codec.listings import fits

Kind = Literal[b"f", b"l", b"d"]
FILE: Kind = b"f"
LINK: Kind = b"l"
FOLDER: Kind = b"d"

_DIGITS = 4
_HEX = b"0123456789abcdef"


class Member(NamedTuple):
    """Something in a folder; `target` is what a link says."""

    name: bytes
    kind: bytes
    target: bytes = b""


class Crowd:
    """Members of one folder, by parts."""

    def __init__(self) -> None:
        self._held: dict[bytes, bytearray] = {}
        self._counts: dict[bytes, int] = defaultdict(int)
        self._text: dict[bytes, int] = defaultdict(int)

    def add(self, member: Member, said: bytes, said_target: bytes) -> None:
        """Take a member; what the listing will say of it decides about its part."""
        digits = hashlib.sha256(said).hexdigest()[:_DIGITS].encode()
        held = self._held.setdefault(digits, bytearray())
        held += b"%s%s\0%s\0" % (member.kind, member.name, member.target)
        self._counts[digits] += 1
        self._text[digits] += len(said) + len(said_target)

    def parts(self) -> Iterator[tuple[bytes, list[Member]]]:
        """Take out the parts: the digits of each, and its members in the order of their names."""
        counts: dict[bytes, int] = defaultdict(int)
        text: dict[bytes, int] = defaultdict(int)
        within: dict[bytes, list[bytes]] = defaultdict(list)
        for digits, count in self._counts.items():
            for length in range(_DIGITS + 1):
                counts[digits[:length]] += count
                text[digits[:length]] += self._text[digits]
                within[digits[:length]].append(digits)
        waiting = [b""]
        while waiting:
            part = waiting.pop()
            if len(part) == _DIGITS or fits(counts[part], text[part]):
                yield part, self._taken(within[part])
            else:
                below = (part + _HEX[digit : digit + 1] for digit in reversed(range(16)))
                waiting += (digits for digits in below if digits in counts)

    def _taken(self, held: list[bytes]) -> list[Member]:
        members = []
        for digits in held:
            words = bytes(self._held.pop(digits)).split(b"\0")[:-1]
            members += [
                Member(name[1:], name[:1], target)
                for name, target in zip(words[::2], words[1::2], strict=True)
            ]
        return sorted(members)
