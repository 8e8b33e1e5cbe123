"""Recorded data compared with what lies there now: by a look, or by reading all of it again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from gitprov.data.comparison import DataDifference, OtherKind, compare
from gitprov.data.references import Recorded
from gitprov.data.sides import Side, Sides
from gitprov.errors import GitprovError, PayloadMissing
from gitprov.model.wording import place_text

State = Literal["same", "changed", "gone", "unknown"]

# What a remote store says of an object, the surest first.
_HINTS = ("version_id", "checksum", "etag", "last_modified")
_WEAK = "W/"


@dataclass(slots=True)
class DataState:
    """What has become of recorded data; `reason` says why that is not known, or how it is."""

    recorded: Recorded
    state: State
    reason: str | None = None
    difference: DataDifference | None = None


def check(sides: Sides, recorded: Iterable[Recorded]) -> Iterator[DataState]:
    """Yield what has become of each. Nothing is raised for what cannot be read."""
    for item in recorded:
        found = _state(sides, item)
        if found.state == "changed" and _is_rewritten(item):
            found = replace(found, state="unknown", reason="the run itself has changed it")
        yield found


def _is_rewritten(recorded: Recorded) -> bool:
    """Say whether an input is what the run has written, too: what it was is no more."""
    place = place_text(recorded.artifact)
    outputs = (item for item in recorded.run.outputs if place_text(item) == place)
    return recorded.role == "input" and any(
        item.digest != recorded.artifact.digest for item in outputs
    )


def _state(sides: Sides, recorded: Recorded) -> DataState:
    try:
        before = _recorded(sides, recorded)
        if not before.artifact.digest and not before.artifact.remote:
            return DataState(recorded, "unknown", "it was not hashed when it was recorded")
        after = sides.now(before)
        found = compare(before, after)
    except (FileNotFoundError, NotADirectoryError):
        return DataState(recorded, "gone")
    except OtherKind as error:
        return DataState(recorded, "changed", str(error))
    except (GitprovError, OSError) as error:
        return DataState(recorded, "unknown", str(error))
    return _by_hints(recorded, found) if found.same is None else _by_content(recorded, found)


def _by_content(recorded: Recorded, found: DataDifference) -> DataState:
    reason = None
    if found.after.left_out:
        path, why = next(iter(found.after.left_out.items()))
        reason = f"{path or 'it'} could not be read: {why}"
    return DataState(recorded, "same" if found.same else "changed", reason, found)


def _recorded(sides: Sides, recorded: Recorded) -> Side:
    """Return what was recorded; where the listing is not here, its digest tells enough."""
    try:
        return sides.recorded(recorded)
    except PayloadMissing:
        if recorded.within:
            raise
        return Side(recorded.text, recorded.artifact, None, recorded)


def _by_hints(recorded: Recorded, found: DataDifference) -> DataState:
    """Say whether a remote object has changed by what the store says of it."""
    sizes = found.before.artifact.size, found.after.artifact.size
    if None not in sizes and sizes[0] != sizes[1]:
        return DataState(recorded, "changed", "its size is another one", found)
    before, after = found.before.artifact.remote, found.after.artifact.remote
    for hint in _HINTS:
        if hint in before and hint in after:
            same = before[hint] == after[hint]
            if same and before[hint].startswith(_WEAK):
                continue  # it may stand for other bytes, too (RFC 9110, 8.8.1)
            name = hint.replace("_", " ")
            reason = f"by its {name}; it was not read" if same else f"its {name} is another one"
            return DataState(recorded, "same" if same else "changed", reason, found)
    return DataState(recorded, "unknown", "it was not read, and has no mark to compare", found)
