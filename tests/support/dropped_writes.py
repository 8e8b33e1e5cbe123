"""What must hold on a disk that has lost what was not synced, for each scenario.

Every run that was acknowledged is there, as it was finished, and verifies; one that had begun is
recorded; git finds nothing wrong; and the next commands work without help.
"""

import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gitprov.codec import canonical
from gitprov.errors import GitprovError
from gitprov.index.history import History
from gitprov.model.ids import new_id
from gitprov.model.run import RUN_SCHEMA
from gitprov.policy.verify import verify
from gitprov.recorder.recovery import catch_up
from gitprov.store.drain import drain
from gitprov.store.refs import AREAS, list_refs
from gitprov.store.store import Store
from gitprov.store.sync import pull, push
from tests.support import runs, scenarios
from tests.support.disk_model import Tree, materialise
from tests.support.disk_states import State, disk_before, record_changes, states, steps_of
from tests.support.repositories import Clone
from tests.support.torture import Outcome, Part, worker_folder

_OTHER_BOOT = b"00000000-0000-4000-8000-000000000000"
_MIXTURES = 8
_GITPROV = (sys.executable, "-m", "gitprov")
# Two runs of one process; the world hears of each as soon as `finish` has returned.
_PROGRAM = """
import os
from pathlib import Path
import gitprov

for number in range(2):
    run = gitprov.start_run(params={"number": number})
    run.log_metrics({"loss": 0.5}, step=1)
    run.log_metrics({"loss": 0.25}, step=2)
    run.finish()
    Path(os.environ["MARKS"], run.id).touch()
"""


class Scenario(NamedTuple):
    """How `clone` is prepared in a folder, and the command in it that loses writes."""

    prepare: Callable[[Path], None]
    command: Sequence[str]


def _prepare_program(folder: Path) -> None:
    clone = Clone.make(folder / "clone")
    clone.commit("program", {"program.py": _PROGRAM})
    clone.run("true")


def _prepare_unsynced(folder: Path) -> None:
    _prepare_program(folder)
    Clone(folder / "clone").git("config", "prov.fsync", "off")


def _prepare_fresh_clone(folder: Path) -> None:
    scenarios.SCENARIOS["run"].prepare(folder / "elsewhere")
    Clone.of("elsewhere/remote", folder / "clone").write("new.txt", "new\n")


SCENARIOS = {
    "program": Scenario(_prepare_program, (sys.executable, "program.py")),
    "fresh clone": Scenario(
        _prepare_fresh_clone,
        ("sh", "-c", f"{' '.join(_GITPROV)} init && {' '.join(_GITPROV)} run -- true"),
    ),
} | {
    name: Scenario(found.prepare, (*_GITPROV, *found.command))
    for name, found in scenarios.SCENARIOS.items()
}
# What must fail: nothing here is synced, and yet runs are acknowledged.
_UNSYNCED = {"unsynced": Scenario(_prepare_unsynced, (sys.executable, "program.py"))}


class Bench:
    """A place where the states of one recording are put on a disk and judged."""

    def __init__(self, recording: Path, folder: Path) -> None:
        self._recording = recording
        self._folder = folder
        self._clone = Clone(folder / "clone")
        for path in recording.iterdir():  # remotes beside the clone
            if path.name not in {"before", "clone", "marks", "steps"}:
                shutil.copytree(path, folder / path.name)
        git = shutil.ignore_patterns(".git")
        shutil.copytree(recording / "clone", self._clone.path, ignore=git)
        self._inode = _inode(recording / "clone" / ".git" / "prov")
        self._shift = _boot_time() - 60 - max(step.time for step in steps_of(recording))
        self._manifests, self._unknown = self._in_the_end()

    def judge(self, state: State) -> Outcome:
        """Put a state on the disk, go on from there, and say what is lost and what is wrong."""
        self.put(state.tree(), rebooted=state.is_rebooted)
        outcome, store = Outcome(), self._clone.store()
        try:
            waiting = _begun(store)
            outcome.wrong += catch_up(store).problems
            recorded = _recorded(store, outcome)
            self._compare(recorded, _begun(store), state, outcome)
            begun = waiting - {run_id for run_id, _ in recorded}
            outcome.wrong += [f"run {run_id} had begun and is not recorded" for run_id in begun]
            if History(store).count() != len(recorded):
                outcome.wrong.append("the index has another number of runs")
            if not self._records(store):
                outcome.wrong.append("a new run is not recorded")
            self._verify(store, state, outcome)
            outcome.wrong += _left_over(store)
            outcome.wrong += self._not_shared(store)
        except (GitprovError, OSError) as error:
            outcome.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            store.close()
        outcome.wrong += self._complaints_of_git()
        if outcome.lost or outcome.wrong:
            outcome.state = state.story()
        return outcome

    def put(self, tree: Tree, *, rebooted: bool) -> None:
        """Put a tree on the disk.

        After a reboot, owners of runs and locks are of another boot, and files are older than
        this one.
        """
        git_dir = self._clone.path / ".git"
        if git_dir.exists():
            shutil.rmtree(git_dir)
        git_dir.mkdir()
        tree = {path: node._replace(data=self._moved(path, node.data, rebooted=rebooted))
                for path, node in tree.items()}  # fmt: skip
        materialise(tree, git_dir, time_shift=self._shift if rebooted else 0.0)
        writer = git_dir / "prov" / "writer"
        if writer.exists():  # it has the folder's inode, by which a copied clone is told
            old, new = f" {self._inode}\n".encode(), f" {_inode(writer.parent)}\n".encode()
            writer.write_bytes(writer.read_bytes().replace(old, new))

    def _moved(self, path: str, data: bytes | None, *, rebooted: bool) -> bytes | None:
        """Return what a file holds here: remotes are elsewhere, and so is the time."""
        if data and path == "config":
            return data.replace(bytes(self._recording), bytes(self._folder))
        if data and rebooted and path.startswith("prov/"):
            return data.replace(_boot(), _OTHER_BOOT)
        return data

    def _in_the_end(self) -> tuple[dict[str, Any], set[str]]:
        """Return the manifests there are when nothing is lost, and what cannot be verified."""
        disk = disk_before(self._recording)
        for step in steps_of(self._recording):
            disk.apply(step)
        self.put(disk.tree(lambda _: 1.0), rebooted=False)
        store = self._clone.store()
        try:
            problems = catch_up(store).problems
            assert not problems, problems
            findings = verify(store)
            assert findings.is_good, findings.reasons
            return dict(_manifests(store)), {found.subject for found in findings.reasons}
        finally:
            store.close()

    def _compare(
        self, recorded: Sequence[tuple[str, Any]], waiting: set[str], state: State, outcome: Outcome
    ) -> None:
        documents = dict(recorded)
        if len(documents) < len(recorded):
            outcome.wrong.append("a run is recorded twice")
        for run_id in state.acknowledged:
            if run_id not in documents:
                kind = outcome.wrong if run_id in waiting else outcome.lost
                kind.append(f"run {run_id} was acknowledged")
            elif documents[run_id] != self._manifests[run_id]:
                outcome.lost.append(f"run {run_id} was acknowledged otherwise")
        for run_id, document in documents.items():
            if document != self._manifests.get(run_id) and document["status"] != "aborted":
                outcome.wrong.append(f"run {run_id} is recorded otherwise")

    def _verify(self, store: Store, state: State, outcome: Outcome) -> None:
        for found in verify(store).reasons:
            what = f"{found.outcome} {found.kind} {found.subject}: {found.reason}"
            acknowledged = found.subject[:32] in state.acknowledged
            if found.outcome == "failed":
                outcome.wrong.append(what)
            elif acknowledged and found.subject not in self._unknown:
                outcome.lost.append(what)

    def _records(self, store: Store) -> bool:
        """Record a run that moves every ref of ours."""
        journal = store.journal.create(new_id())
        journal.payload("output.log").write_bytes(b"words\n")
        document = runs.manifest(
            journal.id,
            source={"commit": self._clone.git("rev-parse", "HEAD").strip()},
            byproducts=[{"name": "output.log", "kind": "file"}],
        )
        journal.begin({"manifest": document})
        journal.finish({"manifest": document})
        return journal.id in drain(store).recorded

    def _not_shared(self, store: Store) -> Iterator[str]:
        """Exchange with the remote, and yield what it does not have afterwards."""
        if not store.repository.config.remotes():
            return
        name = Path(self._clone.git("config", "remote.origin.url").strip())
        remote = (self._clone.path / name).resolve()
        shutil.rmtree(remote)
        shutil.copytree(self._recording / remote.relative_to(self._folder), remote)
        yield from pull(store, "origin", AREAS).refused.values()
        yield from push(store, "origin").refused.values()
        theirs = list_refs(Clone(remote).store().repository.git, "refs/prov")
        ours = list_refs(store.repository.git, "refs/prov")
        yield from (f"{ref} is not at the remote" for ref in ours if theirs.get(ref) != ours[ref])

    def _complaints_of_git(self) -> list[str]:
        done = self._clone.call("git", "fsck", "--strict", "--no-dangling", "--no-progress")
        lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
        found = [f"git fsck: {line}" for line in lines] + ["git fsck fails"] * bool(done.returncode)
        for hook in (self._clone.path / ".git" / "hooks").glob("[!.]*"):
            if self._clone.call("sh", "-n", str(hook)).returncode:
                found.append(f"the hook {hook.name} is cut short")
        return found


def _manifests(store: Store) -> Iterator[tuple[str, Any]]:
    """Yield all runs; their places in the chain aside, which depend on who comes first."""
    for found in runs.records(store):
        if found.schema == RUN_SCHEMA:
            document = canonical.decode(found.data)
            document.pop("writer", None)
            yield found.id, document


def _recorded(store: Store, outcome: Outcome) -> list[tuple[str, Any]]:
    """Return all runs. A ledger that cannot be read has lost them, whatever is left of it."""
    try:
        return list(_manifests(store))
    except GitprovError as error:
        outcome.lost.append(f"the ledger cannot be read: {error}")
        return []


def _begun(store: Store) -> set[str]:
    return {
        journal.id
        for journal in store.journal.runs()
        if journal.is_finished or journal.started is not None
    }


def _left_over(store: Store) -> Iterator[str]:
    yield from (f"run {run_id} is still in the journal" for run_id in _begun(store))
    common_dir = store.repository.common_dir
    for pattern in ("prov/rejected/*", "objects/pack/*.keep", "refs/**/*.lock"):
        for path in common_dir.glob(pattern):
            if path.suffix == ".keep" and b"gitprov" not in path.read_bytes():
                continue  # of git's own fetch, which writes its name there and does not sync it
            yield f"{path.relative_to(common_dir)} is left"


def _inode(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


@cache
def _boot() -> bytes:
    return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()


def _boot_time() -> float:
    lines = Path("/proc/stat").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime"))


def prepare(scenario: str, mixtures: int = _MIXTURES) -> list[State]:
    """Trace a scenario's command, and return all states of the disk."""
    folder = worker_folder() / f"{scenario.replace(' ', '-')}-traced"
    folder.mkdir()
    prepared = (SCENARIOS | _UNSYNCED)[scenario]
    prepared.prepare(folder)
    store = Clone(folder / "clone").store()
    try:
        before = set(runs.run_ids(store))
        before |= {journal.id for journal in store.journal.runs() if journal.is_finished}
    finally:
        store.close()
    record_changes(folder, prepared.command)
    return list(states(folder, mixtures=mixtures, acknowledged=frozenset(before)))


def sample(scenario: str, count: int) -> list[State]:
    """Return the states in which all is lost that was not synced, and so many others.

    Without kills: a sweep of its own does more of these.
    """
    found = [state for state in prepare(scenario, mixtures=3) if state.is_rebooted]
    strict = [state for state in found if "only" in state.way]
    others = [state for state in found if "only" not in state.way]
    return strict + random.Random(5).sample(others, min(count, len(others)))  # noqa: S311


def attempt(scenario: str, state: State) -> Outcome:
    """Judge one state."""
    return _bench(scenario, state.recording).judge(state)


@cache
def _bench(scenario: str, recording: Path) -> Bench:
    folder = worker_folder() / f"{scenario.replace(' ', '-')}-bench"
    folder.mkdir()
    return Bench(recording, folder)


PART = Part("disks that lose what was not synced", tuple(SCENARIOS), prepare, attempt)
