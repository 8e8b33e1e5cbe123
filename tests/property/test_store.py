"""Two clones and a remote, whatever happens in whatever order, against a plain model of ids."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gitprov.policy.verify import verify
from gitprov.store import drain as drain_module
from gitprov.store.acceptance import accept
from gitprov.store.drain import drain
from gitprov.store.journal import JournalRun
from gitprov.store.staging import Staging
from gitprov.store.store import Store
from gitprov.store.sync import pull, push
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import finish, run_ids, use_shard
from tests.support.servers import bare_repository

NAMES = ("here", "there")
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
        self.stores: dict[str, Store] = {}
        self.waiting: dict[str, set[str]] = {name: set() for name in NAMES}
        self.ledger: dict[str, set[str]] = {name: set() for name in NAMES}
        self.remote: set[str] = set()

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
                patch.setattr(drain_module, "move_refs", killed)
            else:
                patch.setattr(JournalRun, "remove", killed)
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
        for cache in ("chain", "accepted"):
            (self.stores[name].repository.prov_dir / cache).unlink(missing_ok=True)

    def recorded(self, name: str) -> None:
        self.ledger[name] |= self.waiting[name]
        self.waiting[name] = set()

    @invariant()
    def every_run_is_there_once(self) -> None:
        for name, store in self.stores.items():
            assert run_ids(store) == sorted(self.ledger[name])
            present = {run.id for run in store.journal.runs() if run.is_finished}
            assert present == self.waiting[name]

    def teardown(self) -> None:
        try:
            for name, store in self.stores.items():
                drain(store)
                self.recorded(name)
                push(store, "origin")
                findings = verify(store)
                assert findings.is_good, findings.reasons
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
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # each step runs git: making a failure smaller would take minutes
    suppress_health_check=list(HealthCheck),
)
