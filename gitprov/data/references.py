"""What an argument names: data as a run has recorded it, or as it is now.

`RUN:NAME` is what a run has recorded under a name, path or URI, or something in a folder of it;
`RUN:` and a run alone are all that it has recorded. Anything else is a path, or a URI.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gitprov.capture.data.names import is_remote, local_path
from gitprov.errors import GitprovError, UnknownData
from gitprov.model.ids import short
from gitprov.model.run import Artifact, Run
from gitprov.model.wording import place_text, printable

_NAMED = 5

# Finds the run that a word stands for; raises UnknownRun and the like.
FindRun = Callable[[str], Run]


class Recorded(NamedTuple):
    """Data of a run; `within` is a place in a folder of it, nothing where all of it is meant."""

    run: Run
    role: str
    artifact: Artifact
    within: bytes = b""

    @property
    def text(self) -> str:
        """How it is called in what is printed."""
        text = f"{short(self.run.id)}:{self.artifact.name or place_text(self.artifact)}"
        return f"{text}/{os.fsdecode(self.within)}" if self.within else text


class Present(NamedTuple):
    """What lies at a path or URI now."""

    name: str

    @property
    def text(self) -> str:
        """How it is called in what is printed."""
        return self.name


def all_of(run: Run) -> list[Recorded]:
    """Return the data of a run: its inputs, then its outputs."""
    found = [Recorded(run, "input", item) for item in run.inputs]
    return found + [Recorded(run, "output", item) for item in run.outputs]


def referred(text: str, find_run: FindRun) -> Sequence[Recorded | Present]:
    """Return what an argument names: one thing, or all that a run has recorded.

    Raises UnknownData, and what `find_run` raises.
    """
    if is_remote(text) or os.path.lexists(local_path(text)):
        return [Present(text)]
    word, colon, name = text.partition(":")
    if colon:
        run = find_run(word)
        return [named(run, name)] if name else all_of(run)
    try:
        return all_of(find_run(text))
    except GitprovError as error:
        raise UnknownData(
            f"{printable(text)} is no path that is there, no URI, and no run; data of a run is "
            "RUN:NAME, as in last:data/train.csv"
        ) from error


def recorded(text: str, find_run: FindRun) -> Sequence[Recorded]:
    """Return what an argument names of recorded data: a run comes before a path of that name.

    Raises UnknownData, and what `find_run` raises where there is no such run.
    """
    word, colon, name = text.partition(":")
    run = find_run(word if colon and not is_remote(text) else text)
    return [named(run, name)] if colon and name else all_of(run)


def named(run: Run, name: str) -> Recorded:
    """Return the data of a run that is called so, or lies there; raise UnknownData."""
    data = all_of(run)
    wanted = name.rstrip("/")
    for item in data:
        if wanted in (item.artifact.name, place_text(item.artifact).rstrip("/")):
            return item
    for item in data:
        for place in (item.artifact.name, place_text(item.artifact).rstrip("/")):
            if item.artifact.kind == "tree" and place and wanted.startswith(f"{place}/"):
                return item._replace(within=os.fsencode(wanted[len(place) + 1 :]))
    if whole := next((item for item in data if place_text(item.artifact) == "."), None):
        return whole._replace(within=os.fsencode(wanted))  # in all of the work tree
    ends = [item for item in data if Path(place_text(item.artifact)).name == wanted]
    if len(ends) == 1:
        return ends[0]
    known = [item.artifact.name or place_text(item.artifact) for item in data]
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    has = f"it has {', '.join(map(printable, known[:_NAMED]))}{more}" if known else "it has none"
    raise UnknownData(f"run {short(run.id)} has no data {printable(name)}; {has}")
