"""What the processes of a command were seen to read and write: one picture of all of them."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Write(NamedTuple):
    """When a path was first written, by the clock of its trace, and what was there before.

    `before` is the change time that the file had, None where there was none; where `known` is not
    so, nobody has looked.
    """

    when: int
    before: int | None = None
    known: bool = False


@dataclass(slots=True)
class Touched:
    """Files and URIs. Names are paths relative to the top of the work tree, or absolute ones.

    `reads` and `writes` say when each was touched first. Below `folders`, files were written that
    are not named. In `doubtful` stand files that were written, and may have been read before.
    """

    reads: dict[str, int] = field(default_factory=dict)
    writes: dict[str, Write] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    uris_read: dict[str, int] = field(default_factory=dict)
    uris_written: dict[str, int] = field(default_factory=dict)

    def read(self, name: str, when: int) -> None:
        """Take note of a read."""
        self.reads[name] = min(when, self.reads.get(name, when))

    def write(self, name: str, write: Write) -> None:
        """Take note of a write; of the first, what was there before is kept."""
        known = self.writes.get(name)
        if known is None or write.when < known.when:
            self.writes[name] = write

    def inputs(self) -> list[str]:
        """Return what was read before anything of the run had written it."""
        return [
            name
            for name, when in self.reads.items()
            if name not in self.writes or when <= self.writes[name].when
        ]
