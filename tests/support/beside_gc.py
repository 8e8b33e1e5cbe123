"""A crowd that records beside a gc that never rests, and what is there afterwards."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from gitprov.policy.verify import verify
from gitprov.store.pins import PINS
from gitprov.store.refs import list_refs
from tests.support.crowd import Acknowledged, ids_in_log, record_at_once, repeating
from tests.support.repositories import Clone
from tests.support.runs import run_ids
from tests.support.torture import Outcome, Part

COLLECTIONS = (("git", "gc", "--prune=now", "--quiet"), ("git", "repack", "-ad", "--quiet"))
# Consolidation leaves fifteen of each size class, and git one or two of its own.
_MOST_PACKS = 48


class Crowd(NamedTuple):
    """So many processes, and how many runs each of them records."""

    processes: int
    runs: int

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.processes} processes x {self.runs} runs"


def record_beside_gc(crowd: Crowd, path: Path) -> Outcome:
    """Let a crowd record in a new repository at `path`, and look for every run of it."""
    clone = Clone.make(path)
    with repeating(clone.path, COLLECTIONS) as collections:
        done = record_at_once(clone.path, processes=crowd.processes, runs=crowd.runs)
    late = clone.run("true")
    listed = ids_in_log(clone.prov("log", "--json"))
    outcome = Outcome(str(crowd), tried=len(done.ids))
    outcome.lost = sorted(set(done.ids) - set(listed))
    expected = crowd.processes * crowd.runs
    if len(set(done.ids)) != expected:
        outcome.wrong.append(f"{len(set(done.ids))} of {expected} acknowledged")
    outcome.wrong += [f"listed and unknown: {found}" for found in {*listed} - {*done.ids, late}]
    outcome.wrong += [f"warned of: {line}" for line in done.warnings]
    outcome.wrong += _faults(clone, {*done.ids, late})
    if 0 not in collections:
        outcome.wrong.append("no collection succeeded")
    outcome.figures = _figures(done, listed, outcome, collections.count(0))
    return outcome


def _faults(clone: Clone, ids: set[str]) -> list[str]:
    """Say what is wrong with a repository that holds these runs, once the dust has settled."""
    faults = []
    store = clone.store()
    twice = [run_id for run_id, times in Counter(run_ids(store)).items() if times > 1]
    missing = ids - set(run_ids(store))
    findings = verify(store)
    folder = clone.path / ".git"
    packs = len(list(folder.glob("objects/pack/*.pack")))
    left = [*folder.rglob("*.lock"), *folder.glob("objects/pack/*.keep"), folder / "gc.pid"]
    for fault, found in {
        "recorded twice": twice,
        "not in the ledger": missing,
        "waits in the journal": [run.id for run in store.journal.runs()],
        "is pinned": list_refs(store.repository.git, PINS),
        "is left": [str(path) for path in left if path.exists()],
    }.items():
        faults += [f"{fault}: {', '.join(sorted(found))}"] if found else []
    if not findings.is_good or findings.total("unknown"):
        faults.append("verification says that not all is good")
    fsck = clone.call("git", "fsck", "--strict", "--no-dangling", "--no-progress")
    if fsck.returncode or fsck.stdout or fsck.stderr:
        faults.append(f"fsck exits {fsck.returncode}: {fsck.stdout}{fsck.stderr}")
    if packs > _MOST_PACKS:
        faults.append(f"there are {packs} packs")
    store.close()
    return faults


def _figures(done: Acknowledged, listed: list[str], outcome: Outcome, collections: int) -> str:
    present = len(set(done.ids) & set(listed))
    return (
        f"acknowledged {len(done.ids)}, present {present}, lost {len(outcome.lost)}; finish(): "
        f"p50 {done.quantile(0.5):.1f} ms, p99 {done.quantile(0.99):.1f} ms; "
        f"{collections} collections"
    )


def states(_: str) -> list[Crowd]:
    """Return the one crowd of the long form."""
    return [Crowd(processes=64, runs=100)]


def attempt(_: str, state: Crowd) -> Outcome:
    """Try a crowd in a repository on disk, where syncing takes its time."""
    with tempfile.TemporaryDirectory(prefix="gitprov-", ignore_cleanup_errors=True) as folder:
        return record_beside_gc(state, Path(folder) / "clone")


PART = Part("many processes at once beside gc", ("beside gc",), states, attempt)
