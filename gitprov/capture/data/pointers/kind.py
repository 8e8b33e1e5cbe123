"""What a kind of pointer is: from an input to what another tool says of it.

A kind is one module with one function `identity`, and one line in `gitprov.capture.data.pointers`.
It answers nothing at all for what is not its own, after a few stats and without imports: most
inputs are nobody's. Its fields are named `<tool>.<field>`. What a pointer says is never passed off
as what the content is: where both can be had, `<tool>.matches` says "yes", "no: why" or
"unknown: why". All files are a stranger's: they are bounded (`reading`), and none leads out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# Returns the md5 of a file in hex; raises OSError where it cannot be read.
Hasher = Callable[[bytes], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An input, after it was hashed.

    `path` is absolute, with the links that the user has named; `mode` that of its lstat, 0 where
    nothing is there; `top` the top of the work tree, None outside one. `digest` is ours of the
    content, empty where that could not be read. Without `md5`, nothing is read for a comparison.
    """

    path: Path
    top: Path | None
    mode: int
    size: int
    digest: Mapping[str, bytes]
    md5: Hasher | None

    @property
    def place(self) -> str | None:
        """The path below the top of the work tree; None outside it."""
        if self.top is None or not self.path.is_relative_to(self.top):
            return None
        return str(self.path.relative_to(self.top))


class Kind(Protocol):
    """One tool's pointers to local data."""

    def __call__(self, question: Question, /) -> Mapping[str, str]:
        """Return what the tool says of the input; raises BrokenPointer, OSError, GitprovError."""
        ...


class Pin(Protocol):
    """One service's names of versions."""

    def __call__(self, uri: str, /) -> tuple[str, Mapping[str, str]]:
        """Return the URI of the version that `uri` means now, and what the service says of it."""
        ...


class BrokenPointer(Exception):
    """A pointer that cannot be understood; says why, in words that hold nothing of its content."""
