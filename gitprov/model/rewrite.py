"""The record of commits that were rewritten, format `rewrite.1`.

An amend or a rebase makes a new commit in the place of an old one. What was run from the old one
stays recorded as it is; this record says where it went, to every clone (specification, section
5.16).
"""

from dataclasses import dataclass

from gitprov.model.run import Agent, Recorder, Writer

REWRITE_SCHEMA = "rewrite.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A commit, and the one that stands in its place; without `new` it was dropped."""

    old: str
    new: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Commits that were rewritten together. `how` is amend, rebase, filter-repo or map."""

    schema: str = REWRITE_SCHEMA
    id: str
    made_ns: int
    how: str
    commits: tuple[Replacement, ...]
    recorder: Recorder
    agent: Agent | None = None
    writer: Writer | None = None
