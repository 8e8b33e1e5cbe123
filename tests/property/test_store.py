"""Two clones and a remote, whatever happens in whatever order, against a plain model of ids."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gitprov.model.ids import new_id
from gitprov.policy.verify import verify
from gitprov.store import appending, consolidation
from gitprov.store.acceptance import accept
from gitprov.store.drain import drain
from gitprov.store.journal import JournalRun
from gitprov.store.pins import PINS, pin
from gitprov.store.refs import list_refs
from gitprov.store.staging import Staging
from gitprov.store.store import Store
from gitprov.store.sync import pull, push
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, manifest, run_ids, use_shard
from tests.support.servers import bare_repository

NAMES = ("here", "there")
COLLECTIONS = (
    ("gc", "--prune=now", "--quiet"),
    ("repack", "-ad", "--quiet"),
    ("repack", "-d", "--geometric=2", "--write-midx", "--quiet"),
    ("pack-refs", "--all", "--prune"),
    ("prune", "--expire=now"),
)
CRASHES = ("before objects", "before refs", "before journal")


class Killed(BaseException):
    """The process is gone at this point."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed


class Exchange(RuleBasedStateMachine):
    """`waiting` and `ledger` say, for each clone, which runs must be in its journal and ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        for name, value in clean_environment().items():
            self.patch.setenv(name, value)
        self.patch.setattr(consolidation, "_WIDTH", 3)
        self.stores: dict[str, Store] = {}
        self.waiting: dict[str, set[str]] = {name: set() for name in NAMES}
        self.ledger: dict[str, set[str]] = {name: set() for name in NAMES}
        self.remote: set[str] = set()
        self.under_way: dict[str, list[tuple[JournalRun, str]]] = {name: [] for name in NAMES}

    @initialize(same_shard=st.booleans())
    def begin(self, *, same_shard: bool) -> None:
        self.bare = Clone(bare_repository(self.folder / "remote.git"))
        for number, name in enumerate(NAMES):
            clone = Clone.make(self.folder / name)
            clone.git("remote", "add", "origin", str(self.bare.path))
            clone.git("config", "prov.fsync", "off")
            self.stores[name] = Store.open(clone.path)
            use_shard(self.stores[name], "05" if same_shard else f"0{number}")

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 3))
    def finish_runs(self, name: str, count: int) -> None:
        for _ in range(count):
            self.waiting[name].add(finish(self.stores[name]).id)

    @rule(name=st.sampled_from(NAMES))
    def start_from_a_branch_that_goes(self, name: str) -> None:
        store = self.stores[name]
        store.repository.require_writable()
        git = store.repository.git
        journal = store.journal.create(new_id())
        commit = git.run("commit-tree", "-m", journal.id, "HEAD^{tree}").decode().strip()
        pin(store.repository, journal.path, journal.id, commit, fsync=False)
        journal.begin({"manifest": manifest(journal.id)})
        self.under_way[name].append((journal, commit))

    @rule(name=st.sampled_from(NAMES))
    def finish_what_was_started(self, name: str) -> None:
        for journal, commit in self.under_way[name]:
            journal.finish({"manifest": manifest(journal.id, source={"commit": commit})})
            self.waiting[name].add(journal.id)
        self.under_way[name] = []

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(COLLECTIONS))
    def collect(self, name: str, how: tuple[str, ...]) -> None:
        self.stores[name].repository.git.run(*how)

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(COLLECTIONS))
    def collect_within_a_drain(self, name: str, how: tuple[str, ...]) -> None:
        """Nothing reaches what was just stored."""
        original = Staging.write

        def write(staging: Staging) -> None:
            original(staging)
            self.collect(name, how)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Staging, "write", write)
            self.drain_journal(name)

    @rule(name=st.sampled_from(NAMES))
    def drain_journal(self, name: str) -> None:
        done = drain(self.stores[name])
        assert set(done.recorded) <= self.waiting[name]
        self.recorded(name)

    @rule(name=st.sampled_from(NAMES), point=st.sampled_from(CRASHES))
    def crash(self, name: str, point: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if point == "before objects":
                patch.setattr(Staging, "write", killed)
            elif point == "before refs":
                patch.setattr(appending, "move_refs", killed)
            else:
                patch.setattr(JournalRun, "retire", killed)
            try:
                drain(self.stores[name])
            except Killed:
                if point == "before journal":
                    self.ledger[name] |= self.waiting[name]
            else:
                # Nothing was left to be written: an earlier crash came after the refs had moved.
                self.recorded(name)

    @rule(name=st.sampled_from(NAMES))
    def send(self, name: str) -> None:
        done = push(self.stores[name], "origin")
        assert not done.refused
        if done.attempts > 1:
            self.ledger[name] |= self.remote
        self.remote |= self.ledger[name]

    @rule(name=st.sampled_from(NAMES))
    def fetch(self, name: str) -> None:
        fresh = self.remote - self.ledger[name]
        done = pull(self.stores[name], "origin")
        assert not done.refused
        assert done.runs == len(fresh)
        self.ledger[name] |= self.remote

    @rule(name=st.sampled_from(NAMES))
    def accept_again(self, name: str) -> None:
        assert accept(self.stores[name]).runs == 0

    @rule(name=st.sampled_from(NAMES))
    def lose_caches(self, name: str) -> None:
        for cache in ("chain", "accepted", "packs"):
            (self.stores[name].repository.prov_dir / cache).unlink(missing_ok=True)

    @rule(name=st.sampled_from(NAMES), content=st.sampled_from([b"", b"\xff\0 \n0", b"0 1\n2"]))
    def find_damaged_files(self, name: str, content: bytes) -> None:
        """As a power loss leaves them."""
        folder = self.stores[name].repository.prov_dir
        (folder / "moving").mkdir(parents=True, exist_ok=True)
        for damaged in ("chain", "packs", "moving/1-ab"):
            (folder / damaged).write_bytes(content)

    def recorded(self, name: str) -> None:
        self.ledger[name] |= self.waiting[name]
        self.waiting[name] = set()

    @invariant()
    def every_run_is_there_once(self) -> None:
        for name, store in self.stores.items():
            assert run_ids(store) == sorted(self.ledger[name])
            present = {run.id for run in store.journal.runs() if run.is_finished}
            assert present == self.waiting[name]
            for _, commit in self.under_way[name]:
                assert store.repository.git.run("cat-file", "-t", commit) == b"commit\n"

    def teardown(self) -> None:
        try:
            for name, store in self.stores.items():
                self.finish_what_was_started(name)
                drain(store)
                self.recorded(name)
                assert not list_refs(store.repository.git, PINS)
                self.collect(name, COLLECTIONS[0])
                push(store, "origin")
                findings = verify(store)
                assert findings.is_good, findings.reasons
                assert not findings.counts["sources"]["unknown"]
            for store in self.stores.values():
                pull(store, "origin")
                assert run_ids(store) == sorted(self.ledger["here"] | self.ledger["there"])
        finally:
            for store in self.stores.values():
                store.close()
            self.patch.undo()
            shutil.rmtree(self.folder)


TestExchange = Exchange.TestCase
TestExchange.settings = settings(
    max_examples=30,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # each step runs git: making a failure smaller would take minutes
    suppress_health_check=list(HealthCheck),
)
