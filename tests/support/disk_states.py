"""Disks after a kill or a power loss, at every point of a command that was traced once."""

import hashlib
import pickle
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gitprov.model.ids import is_id
from tests.support.disk_model import Data, Disk, Names, Pending, Survival, Tree, on_disk
from tests.support.disk_trace import Marked, Step, record
from tests.support.repositories import clean_environment

KILLED = "killed"
_JOURNAL = "prov/journal/"
# Git writes its configuration without syncing it, whoever has it do so.
_AS_GIT_DOES = "config.lock"
_WAYS = (KILLED, "only what was synced", "names without content")


class State(NamedTuple):
    """What is on the disk after one of a command's changes, by one way of losing writes.

    `acknowledged` are the runs that somebody had been told of by then.
    """

    recording: Path
    number: int
    way: str
    acknowledged: frozenset[str]

    @property
    def is_rebooted(self) -> bool:
        """Whether the machine went down, not just the processes."""
        return self.way != KILLED

    def __str__(self) -> str:
        return f"change {self.number}, {self.way}"

    def tree(self) -> Tree:
        """Return what is on the disk."""
        disk, survival = self._replayed()
        return disk.tree(survival)

    def story(self) -> str:
        """Say how to get there: the last change and what was lost."""
        disk, survival = self._replayed()
        last = str(steps_of(self.recording)[self.number].change)[:160]
        lost: list[str] = []
        whole: list[str] = []
        for pending in disk.pending():
            (whole if survival(pending) == 1 else lost).append(pending.about)
        # Whichever takes fewer words.
        if len(whole) < len(lost):
            said = f"lost: all that was not synced, but not {', '.join(whole) or 'what was'}"
        else:
            said = f"lost: {', '.join(lost) or 'nothing'}"
        return f"{self}: after {last}; {said}"

    def _replayed(self) -> tuple[Disk, Survival]:
        disk = disk_before(self.recording)
        for step in steps_of(self.recording)[: self.number + 1]:
            disk.apply(step)
        return disk, _survival(self.way, disk.pending(), self.number)


def record_changes(folder: Path, command: Sequence[str]) -> None:
    """Trace a command in `folder/clone`, and keep in `folder` what its states are made from.

    Checks that what the trace amounts to is what is on the disk.
    """
    clone, before, marks = folder / "clone", folder / "before", folder / "marks"
    for sample in (clone / ".git" / "hooks").glob("*.sample"):
        sample.unlink()
    shutil.copytree(clone / ".git", before)
    marks.mkdir()
    env = clean_environment(MARKS=str(marks))
    steps = record(command, clone / ".git", cwd=clone, env=env, marks=marks)
    (folder / "steps").write_bytes(pickle.dumps(steps))
    disk = disk_before(folder)
    for step in steps:
        disk.apply(step)
    modelled = {path: node.data for path, node in disk.tree(lambda _: 1.0).items() if path}
    there = on_disk(clone / ".git")
    differing = [
        path
        for path in sorted({*there, *modelled})
        # sqlite's shared memory is written past all system calls, and made anew when it is lost.
        if there.get(path, b"no file") != modelled.get(path, b"no file") and path[-4:] != "-shm"
    ]
    assert not differing, f"the trace of {command} says otherwise of {differing}"


@cache
def steps_of(recording: Path) -> Sequence[Step]:
    """Return the changes that a command made."""
    steps: list[Step] = pickle.loads((recording / "steps").read_bytes())  # noqa: S301 -- ours
    return steps


def disk_before(recording: Path) -> Disk:
    """Return the disk before the command; all that is on it is durable."""
    return Disk(recording / "before")


def states(
    recording: Path, *, mixtures: int, acknowledged: frozenset[str] = frozenset()
) -> Iterator[State]:
    """Yield every state once: each plain way and so many mixtures, after each change.

    `acknowledged` are the runs that were so before the command. More are once their `finished` is
    durable (that is what the specification says), or the command makes a mark with their name; and
    at its end, all that it has finished.
    """
    disk, steps, seen = disk_before(recording), steps_of(recording), set[bytes]()
    finals = _finals(recording)
    for number, step in enumerate(steps):
        disk.apply(step)
        durable = disk.tree(lambda _: 0.0)
        acknowledged |= {
            path.split("/")[2]
            for path, data in finals.items()
            if path in durable and durable[path].data == data
        }
        if isinstance(step.change, Marked):
            acknowledged |= {step.change.name}
        if number == len(steps) - 1:
            acknowledged |= {path.split("/")[2] for path in finals}
        pending = disk.pending()
        for way in (*_WAYS, *(f"mixture {mixture}" for mixture in range(mixtures))):
            tree = disk.tree(_survival(way, pending, number))
            # The same files are another state where the processes of before may still live.
            digest = _digest(tree, acknowledged, way == KILLED)
            if digest not in seen:
                seen.add(digest)
                yield State(recording, number, way, acknowledged)


def _finals(recording: Path) -> dict[str, bytes]:
    """Return what each `finished` of the journal held at last."""
    disk, found = disk_before(recording), dict[str, bytes]()
    for step in steps_of(recording):
        disk.apply(step)
        for path, node in disk.tree(lambda _: 1.0).items():
            run_id, _, name = path.removeprefix(_JOURNAL).partition("/")
            if path.startswith(_JOURNAL) and is_id(run_id) and name == "finished" and node.data:
                found[path] = node.data
    return found


def _survival(way: str, pending: Sequence[Pending], number: int) -> Survival:
    """Return how much of each pending change survives: the same for the same state, always."""
    plain: dict[str, Callable[[Pending], float]] = {
        _WAYS[0]: lambda _: 1.0,
        _WAYS[1]: lambda item: float(_is_gits(item)),
        _WAYS[2]: lambda item: float(isinstance(item, Names) or _is_gits(item)),
    }
    if way in plain:
        return plain[way]
    rng = random.Random(f"{way} {number}")  # noqa: S311 -- the same each time
    match int(way.rpartition(" ")[2]) % 4:
        case 0 if pending:
            fate = dict.fromkeys(map(id, pending), 1.0) | {id(rng.choice(pending)): 0.0}
        case 1 if pending:
            fate = {id(rng.choice(pending)): 1.0}
        case _:
            chance = rng.choice((0.2, 0.5, 0.8))
            # One in four is torn: its first half is there.
            fate = {
                id(item): (rng.random() < chance) * rng.choice((1.0, 1.0, 1.0, 0.5))
                for item in pending
            }
    return lambda item: 1.0 if _is_gits(item) else fate.get(id(item), 0.0)


def _is_gits(item: Pending) -> bool:
    return isinstance(item, Data) and item.path == _AS_GIT_DOES


def _digest(tree: Tree, *more: object) -> bytes:
    digest = hashlib.blake2b(repr(more).encode(), digest_size=16)
    for path in sorted(tree):
        data, mode, _ = tree[path]
        size = -1 if data is None else len(data)
        digest.update(f"{path}\0{size} {mode}\0".encode(errors="surrogateescape"))
        digest.update(data or b"")
    return digest.digest()
