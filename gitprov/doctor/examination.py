"""The checks, and the two steps of `git prov doctor`: look at everything, then mend.

A new check is a function that yields findings, and one line in `CHECKS`.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gitprov.doctor import derived, leftovers, locks, machine, objects, references, runs, setting_up
from gitprov.doctor.findings import Finding, Look, State, fault, note
from gitprov.errors import GitprovError, StoreBusy
from gitprov.store.lock import store_lock
from gitprov.store.store import Store

# A drain is over sooner, nearly always, and a lock that names a dead owner is broken sooner.
_PATIENCE_SECONDS = 8.0


class Check(NamedTuple):
    """What is looked at, and by which function; `locked` ones hold under the store's lock alone."""

    area: str
    look: Look
    locked: bool = False


# In the order in which things are shown and mended: what blocks others comes first.
CHECKS = (
    Check("locks", locks.lock_of_the_store),
    Check("locks", locks.locks_on_refs, locked=True),
    Check("locks", locks.locks_of_git),
    Check("runs", runs.runs_of_the_journal),
    Check("runs", runs.runs_set_aside),
    Check("refs", references.refs_that_cannot_be_read),
    Check("refs", references.pins_of_runs_that_are_no_more, locked=True),
    Check("remotes", setting_up.where_runs_live),
    Check("remotes", references.what_was_fetched),
    Check("packs", objects.packs_of_ours),
    Check("packs", objects.packs_that_are_kept, locked=True),
    Check("packs", objects.what_git_would_tidy),
    Check("index", derived.index),
    Check("files", leftovers.files_left_behind),
    Check("disk", machine.room),
    Check("disk", machine.filesystem),
    Check("disk", machine.clock),
    Check("set-up", setting_up.git_version),
    Check("set-up", setting_up.what_init_sets_up),
    Check("set-up", setting_up.identity),
)


@dataclass(slots=True)
class Examination:
    """What was found, by area; `busy` where another process had the store's lock all the time."""

    found: dict[str, list[Finding]] = field(
        default_factory=lambda: {check.area: [] for check in CHECKS}
    )
    busy: bool = False

    def count(self, state: State) -> int:
        """Return how many findings have a state."""
        return sum(item.state == state for items in self.found.values() for item in items)

    def document(self) -> list[dict[str, Any]]:
        """Return the findings as plain maps, for JSON."""
        return [
            {
                "area": area,
                "state": item.state,
                "text": item.text,
                **({"advice": item.advice} if item.advice else {}),
            }
            for area, items in self.found.items()
            for item in items
        ]


def examine(store: Store) -> Examination:
    """Look at everything, and change nothing."""
    seen = Examination()
    for check in CHECKS:
        if not check.locked:
            seen.found[check.area] += _findings(check.look, store)
    # Where nothing was ever recorded there is no lock, and looking must not make one.
    if store.repository.prov_dir.is_dir():
        _look_under_the_lock(store, seen)
    return seen


def mend(store: Store, seen: Examination) -> Examination:
    """Put right what can be; return what was, and what could not be."""
    done = Examination()
    for area, items in seen.found.items():
        for remedy in dict.fromkeys(item.mend for item in items if item.mend):
            if not seen.busy:
                done.found[area] += _findings(remedy, store)
        if seen.busy and any(item.state == "mendable" for item in items):
            text = "nothing is mended while another process holds the lock"
            done.found[area].append(fault(text, "later: git prov doctor"))
    return done


def _look_under_the_lock(store: Store, seen: Examination) -> None:
    with ExitStack() as stack:
        try:
            stack.enter_context(store_lock(store.lock_path, timeout=_PATIENCE_SECONDS))
        except StoreBusy as error:
            seen.busy = True
            seen.found["locks"] += [note(str(error).partition(";")[0]), *locks.holders(store)]
        except OSError as error:
            seen.found["locks"].append(note(f"not all was looked at: {error}"))
        else:
            for check in CHECKS:
                if check.locked:
                    seen.found[check.area] += _findings(check.look, store)


def _findings(look: Look, store: Store) -> list[Finding]:
    """Return what a check or a remedy says; where it fails, that it did."""
    found: list[Finding] = []
    try:
        found.extend(look(store))
    except (GitprovError, OSError) as error:
        found.append(fault(str(error), "put that right, then: git prov doctor"))
    except Exception as error:
        if os.environ.get("GITPROV_DEBUG") == "1":
            raise
        text = f"a fault in gitprov: {type(error).__name__}: {error}"
        found.append(fault(text, "please report it; GITPROV_DEBUG=1 shows where"))
    return found
