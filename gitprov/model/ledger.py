"""Records about the ledger itself.

`start.1` opens a month: it names the tips that the month continues, so that an older month can
be dropped and the rest still says what is gone (specification, section 4).
"""

from dataclasses import dataclass

START_SCHEMA = "start.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """A ledger ref and the entry that it pointed at."""

    ref: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The first record of a month's chain."""

    schema: str = START_SCHEMA
    id: str
    month: str
    continues: tuple[Tip, ...] = ()
