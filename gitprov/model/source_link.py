"""Links from the source of a run to the commits that stand for it today.

A run names the commit and tree that it was made from, and that never changes. What came of them is
told by kinds, the surest first:

- `committed`   the run's uncommitted tree is, file by file, the tree of this commit
- `rewritten`   the ledger records that this commit took the place of the source
- `near`        as committed, but for files that the run is known not to have read
- `same-tree`   inferred: another commit with the very tree that ran, as after a squash or amend,
  or with uncommitted changes that were not captured whole
- `same-patch`  inferred: a commit that changes the same, as after a cherry-pick or rebase
- `squash`      inferred: a commit that holds the series of changes that the source was part of
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

Kind = Literal["committed", "rewritten", "near", "same-tree", "same-patch", "squash"]
INFERRED: frozenset[Kind] = frozenset({"same-tree", "same-patch", "squash"})


class Step(NamedTuple):
    """One recorded rewrite on the way: how, to which commit, and the record that says so.

    `made_ns` is when it was seen, `by` the name of whoever rewrote.
    """

    how: str
    new: str
    record: str
    made_ns: int
    by: str | None


@dataclass(frozen=True, slots=True)
class SourceLink:
    """A commit that stands for the source of runs, and what says so.

    `via` is the commit by which it was found: the source, the end of `steps`, the end of the
    branch that was squashed, or itself where the source is no commit. `files` are those in which a
    `near` commit differs, or that the snapshot of a tree leaves out. `same_tree` says whether the
    commit has the very tree that ran, where that is known.
    """

    commit: str
    kind: Kind
    via: str
    steps: tuple[Step, ...] = ()
    files: tuple[str, ...] = ()
    same_tree: bool | None = None

    @property
    def inferred(self) -> bool:
        """Whether this is a conclusion, and no record or identity."""
        return self.kind in INFERRED

    @property
    def sureness(self) -> int:
        """The place of this kind of link among the others, 0 for the surest."""
        return get_args(Kind).index(self.kind)
