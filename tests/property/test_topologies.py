"""Clones and remotes in any arrangement, whatever is exchanged in whatever order.

Nothing is lost at any step; once all have exchanged with all that they know and nothing new comes,
everybody has the same runs, and the same commits at the ends of the same chains.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from gitprov.policy.verify import verify
from gitprov.store.acceptance import accept
from gitprov.store.fetching import fetch_chains
from gitprov.store.home import Home
from gitprov.store.refs import KEEP, list_refs
from gitprov.store.store import Store
from gitprov.store.sync import pull, push
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import ledger_tips, record, run_ids, use_shard
from tests.support.servers import bare_repository

MOST_ROUNDS = 10
AREAS = ("ledger", "keep")


class Topology(NamedTuple):
    """For each clone, the shard of its writer and the remotes that it knows, by number."""

    shards: list[str]
    known: list[list[int]]

    @property
    def remotes(self) -> int:
        return 1 + max(number for numbers in self.known for number in numbers)


class Step(NamedTuple):
    """What a clone does next, and which of its remotes is meant."""

    clone: int
    action: str
    remote: int


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Draw three to five clones and one to three remotes, all of them connected."""
    clones, remotes = draw(st.integers(3, 5)), draw(st.integers(1, 3))
    anyone = st.sets(st.integers(0, remotes - 1), min_size=1)
    known = [draw(anyone) for _ in range(clones)]
    for number in range(remotes):
        # Remotes meet in clones alone: each but the first has a clone in common with one before.
        known[number % clones] |= {number, max(0, number - 1)}
    shards = draw(st.lists(st.sampled_from(["05", "06"]), min_size=clones, max_size=clones))
    return Topology(shards, [sorted(numbers) for numbers in known])


ACTIONS = ("record", "record", "push", "push", "fetch", "accept", "pull", "collect")
STEPS = st.lists(
    st.builds(Step, st.integers(0, 4), st.sampled_from(ACTIONS), st.integers(0, 2)),
    min_size=8,
    max_size=30,
)


class World:
    """All repositories of a topology."""

    def __init__(self, folder: Path, topology: Topology) -> None:
        self.known = topology.known
        self.remotes = [bare_repository(folder / f"r{i}.git") for i in range(topology.remotes)]
        seed = Clone.make(folder / "seed")
        seed.git("config", "prov.fsync", "off")
        self.commit = seed.git("rev-parse", "HEAD").strip()
        for number, path in enumerate(self.remotes):
            seed.git("remote", "add", f"r{number}", str(path))
        self.stores = []
        for number, shard in enumerate(topology.shards):
            path = folder / f"clone{number}"
            shutil.copytree(seed.path, path, symlinks=True)
            store = Store.open(path)
            use_shard(store, shard)
            self.stores.append(store)
        self.runs: list[set[str]] = [set() for _ in self.stores]

    def take(self, step: Step) -> None:
        number = step.clone % len(self.stores)
        store, known = self.stores[number], self.known[number]
        remote = f"r{known[step.remote % len(known)]}"
        match step.action:
            case "record":
                record(store, source={"commit": self.commit})
            case "push":
                assert not push(store, remote, AREAS).refused
            case "fetch":
                fetch_chains(store, remote, Home(remote), AREAS)
            case "accept":
                assert not accept(store).refused
            case "pull":
                done = pull(store, remote, AREAS)
                assert (done.refused, done.lost) == ({}, [])
            case "collect":
                store.repository.git.run("gc", "--prune=now", "--quiet")
        self.nothing_is_lost()

    def nothing_is_lost(self) -> None:
        for number, store in enumerate(self.stores):
            found = run_ids(store)
            assert len(found) == len(set(found)), "a run is there once"
            assert self.runs[number] <= set(found)
            self.runs[number] = set(found)

    def grow_quiet(self) -> int:
        """Let all exchange with all that they know until nothing moves; return the rounds."""
        for rounds in range(MOST_ROUNDS):
            before = self.tips()
            for number, known in enumerate(self.known):
                for remote in known:
                    self.take(Step(number, "pull", known.index(remote)))
                    self.take(Step(number, "push", known.index(remote)))
            if self.tips() == before:
                return rounds
        raise AssertionError(f"still not quiet after {MOST_ROUNDS} rounds")

    def tips(self) -> list[dict[str, str]]:
        everyone = [*self.stores, *(Store.open(path) for path in self.remotes)]
        return [ledger_tips(store) | list_refs(store.repository.git, KEEP) for store in everyone]


@contextmanager
def world(topology: Topology) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clean_environment().items():
            patch.setenv(name, value)
        made = World(folder, topology)
        try:
            yield made
        finally:
            for store in made.stores:
                store.close()
            shutil.rmtree(folder)


# Four clones that meet at two remotes: a join of each other's joins in every round, for ever, if
# those that hold nothing new did not give way.
AT_TWO = Topology(["05"] * 4, [[0, 1]] * 4)
TWO_SIDES = [Step(n, action, n % 2) for n in range(4) for action in ("record", "push")]


@given(topologies(), STEPS)
@example(AT_TWO, TWO_SIDES)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # each step runs git: to shrink would take minutes
    suppress_health_check=list(HealthCheck),
)
def test_all_end_at_the_same(topology: Topology, steps: list[Step]) -> None:
    with world(topology) as made:
        for step in steps:
            made.take(step)
        event(f"quiet after {made.grow_quiet()} rounds")
        everything = set().union(*made.runs)
        assert all(found == everything for found in made.runs)
        first, *others = made.tips()
        assert all(tips == first for tips in others)
        assert verify(made.stores[0]).is_good
