"""What a check says: that all is well, that something is worth knowing, or what is wrong.

A text is one line; `advice` says what a person can do, `mend` is what gitprov can do by itself.
Several findings may name the same `mend`, which then is called once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from gitprov.store.store import Store

# Mendable: gitprov puts it right, and nobody is at risk. A fault is for a person.
State = Literal["good", "note", "mendable", "mended", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has seen, or that was put right."""

    state: State
    text: str
    advice: str | None = None
    mend: Callable[[Store], Iterable["Finding"]] | None = None


Findings = Iterable[Finding]
Look = Callable[[Store], Findings]


def good(text: str) -> Finding:
    """Say in a few words that all is as it should be."""
    return Finding("good", text)


def note(text: str, advice: str | None = None, mend: Look | None = None) -> Finding:
    """Say what is no fault and yet worth knowing; `mend` may find something to do all the same."""
    return Finding("note", text, advice, mend)


def mendable(text: str, mend: Look) -> Finding:
    """Say what is wrong and can be put right without risk."""
    return Finding("mendable", text, mend=mend)


def mended(text: str) -> Finding:
    """Say what was put right."""
    return Finding("mended", text)


def fault(text: str, advice: str) -> Finding:
    """Say what is wrong, and what a person can do."""
    return Finding("fault", text, advice)
