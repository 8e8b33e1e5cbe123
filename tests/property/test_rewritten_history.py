"""Runs, and everything that is done to commits in whatever order, against a plain model.

Each commit adds files of its own, so what became of it is told by where its files are: a commit
that stands for another adds all that the other added. The model knows besides what took whose
place, and what was picked or squashed as a whole.
"""

import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gitprov.index.history import History
from gitprov.model.source_link import SourceLink
from gitprov.recorder.rewriting import record_rewrites
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store
from tests.support.repositories import Clone, clean_environment
from tests.support.runs import record

_HOOK = """#!/bin/sh
folder=.git/prov/rewrites
mkdir -p $folder
name=$folder/$(ls $folder | wc -l)-$$
{ echo "$1"; cat; } >$name.new && mv $name.new $name.pairs
"""

numbers = st.integers(0, 5)


class Links(RuleBasedStateMachine):
    """`topic` is checked out and rewritten; `main` gets picks, squash merges and commits."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        for name, value in clean_environment().items():
            self.patch.setenv(name, value)
        self.clone = Clone.make(self.folder / "clone")
        hook = self.clone.write(".git/hooks/post-rewrite", _HOOK)
        hook.chmod(0o755)
        self.files = 0
        # What took the place of a commit, as a rewrite; which are in main as a whole.
        self.rewritten: dict[str, set[str]] = {}
        self.landed: set[str] = set()
        self.squashed: list[str] = []
        # By run, its commit, and the commit that was made of its uncommitted changes.
        self.runs: dict[str, str] = {}
        self.committed: dict[str, str] = {}

    @initialize()
    def begin(self) -> None:
        self.git("checkout", "--quiet", "-b", "topic")

    # What people do.

    @rule(run=st.booleans())
    def commit(self, *, run: bool) -> None:
        self.add()
        self.git("commit", "--quiet", "-m", f"file {self.files}")
        if run:
            self.run(-1)

    @rule()
    def commit_to_main(self) -> None:
        self.git("checkout", "--quiet", "main")
        self.commit(run=False)
        self.git("checkout", "--quiet", "topic")

    @rule(number=numbers)
    def run(self, number: int) -> None:
        oid = self.some(number)
        if oid is not None:
            tree = self.git("rev-parse", f"{oid}^{{tree}}").strip()
            (run,) = self.record({"commit": oid, "tree": tree})
            self.runs[run] = oid

    @rule(amended=st.booleans())
    def run_and_commit(self, *, amended: bool) -> None:
        """Run uncommitted changes, which are committed as they are, or with the last commit."""
        if amended and not self.topic():
            return
        before = self.head()
        self.add()
        source = {"commit": before, "tree": self.git("write-tree").strip(), "dirty": True}
        (run,) = self.record(source)
        self.git("commit", "--quiet", "-m", "as it ran", *["--amend"] * amended)
        self.runs[run] = before
        self.committed[run] = self.head()
        if amended:
            self.rewritten.setdefault(before, set()).add(self.head())

    @precondition(lambda self: self.topic())
    @rule(more=st.booleans())
    def amend(self, *, more: bool) -> None:
        before = self.head()
        if more:
            self.add()
        self.git("commit", "--quiet", "--amend", "-m", f"amended {self.files} {more}")
        self.rewritten.setdefault(before, set()).add(self.head())

    @rule()
    def rebase(self) -> None:
        before = self.topic()
        self.git("rebase", "--quiet", "main")
        self.moved(before)

    @rule(data=st.data())
    def rebase_with_changes(self, data: st.DataObject) -> None:
        """Reorder commits, leave some out, and put some together."""
        has = self.added("main", EMPTY_TREE)
        before = [oid for oid in self.topic() if not self.added(oid) <= has]
        if not before:
            return
        order = data.draw(st.permutations(before), label="order")
        verbs = st.sampled_from(["pick", "pick", "fixup", "squash", "drop"])
        plan = ["pick " + order[0]]
        plan += [f"{data.draw(verbs, label='verb')} {oid}" for oid in order[1:]]
        (self.folder / "plan").write_text("".join(f"{line}\n" for line in plan))
        editors = {"GIT_SEQUENCE_EDITOR": f"cp '{self.folder}/plan'", "GIT_EDITOR": "true"}
        self.git("rebase", "--quiet", "-i", "main", **editors)
        self.moved([line.split()[1] for line in plan if not line.startswith("drop")])

    @rule()
    def merge_main(self) -> None:
        self.git("merge", "--quiet", "--no-edit", "main")

    @rule(number=numbers)
    def cherry_pick(self, number: int) -> None:
        oid = self.some(number)
        if oid is None or self.added(oid) <= self.added("main", EMPTY_TREE):
            return
        self.git("checkout", "--quiet", "main")
        self.git("cherry-pick", oid)
        self.git("checkout", "--quiet", "topic")
        if self.added(oid) == self.added("main"):
            self.landed.add(oid)

    @precondition(lambda self: self.topic())
    @rule()
    def squash(self) -> None:
        tip = self.head()
        bases = [self.git("merge-base", "main", "topic").strip()]
        bases += [end for end in self.squashed if self.reaches(tip, end)][-1:]
        series = [(base, self.added(tip, base)) for base in bases]
        beyond = {oid: self.added(oid) for oid in self.topic()}
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--squash", "topic")
        if self.git("status", "--porcelain"):
            self.git("commit", "--quiet", "-m", "all of topic")
            squashed = self.added("main")
            for _, files in series:
                if files == squashed:
                    self.landed |= {oid for oid in beyond if beyond[oid] <= squashed}
                    self.squashed.append(tip)
        self.git("checkout", "--quiet", "topic")

    @rule(keep=st.booleans())
    def another_topic(self, *, keep: bool) -> None:
        if keep:
            self.files += 1
            self.git("branch", f"kept-{self.files}")
        self.git("checkout", "--quiet", "-B", "topic", "main")

    # What must be so.

    @invariant()
    def links_are_true(self) -> None:
        with closing(Store.open(self.clone.path)) as store:
            record_rewrites(store)
            self.check_all(History(store))

    def check_all(self, history: History) -> None:
        shown = {run.record.id: run.record for run in history.runs(revisions=["main"])}
        for run, source in self.runs.items():
            links = history.links(history.find(run).record)
            for link in links:
                self.check(run, source, link)
            if run in self.committed and self.on_a_branch(self.committed[run]):
                kinds = {link.commit: link.kind for link in links}
                assert kinds[self.committed[run]] == "committed"
            inside = [link.commit for link in links if self.reaches("main", link.commit)]
            assert (run in shown) == (self.reaches("main", source) or bool(inside))
            places = self.places(source)
            if run not in self.committed and any(self.added(place) for place in places):
                wanted = any(oid in self.landed or self.reaches("main", oid) for oid in places)
                assert run in shown or not wanted, f"{source} is in main and not shown"

    def check(self, run: str, source: str, link: SourceLink) -> None:
        if link.kind == "committed":
            assert link.commit == self.committed.get(run) or self.tree(link.commit) == self.tree(
                self.committed[run]
            )
        elif link.kind == "rewritten":
            assert link.commit in self.places(source) - {source}
        elif link.kind == "same-tree":
            assert self.tree(link.commit) in {self.tree(oid) for oid in self.places(source)}
        else:
            held = self.added(link.commit)
            made = [self.beyond(oid, f"{link.commit}^") for oid in self.places(source)]
            assert any(files <= held for files in made), link

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The model's means.

    def record(self, source: dict[str, Any]) -> list[str]:
        with closing(Store.open(self.clone.path)) as store:
            return record(store, source=source)

    def git(self, *arguments: str, **env: str) -> str:
        return self.clone.git(*arguments, **env)

    def add(self) -> None:
        self.files += 1
        self.clone.write(f"file{self.files}", f"{self.files}\n")
        self.git("add", "--all")

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").strip()

    def topic(self) -> list[str]:
        """Return the commits of topic that main does not have, but for merges."""
        return self.git("rev-list", "--reverse", "--no-merges", "main..topic").split()

    def some(self, number: int) -> str | None:
        commits = self.topic()
        return commits[number % len(commits)] if commits else None

    def moved(self, before: list[str]) -> None:
        """Take a rebase down: what adds the files of a commit has taken its place."""
        made = [(oid, self.added(oid)) for oid in self.topic()]
        for old in before:
            files = self.added(old)
            for new, held in made:
                if files <= held and new != old:
                    self.rewritten.setdefault(old, set()).add(new)

    def places(self, source: str) -> set[str]:
        """Return a commit and all that took its place, one after the other."""
        found, waiting = {source}, [source]
        while waiting:
            fresh = self.rewritten.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += fresh
        return found

    def added(self, name: str, base: str | None = None) -> frozenset[str]:
        """Return the files that a commit adds, or a state of a branch beyond another."""
        names = [base, name] if base else [f"{name}^", name]
        return frozenset(self.git("diff-tree", "-r", "--name-only", *names).split())

    def beyond(self, oid: str, other: str) -> frozenset[str]:
        """Return the files that a commit adds; those that a merge has beyond another history."""
        merges = self.git("rev-list", "--merges", "--no-walk", oid)
        return self.added(oid, self.git("merge-base", other, oid).strip() if merges else None)

    def tree(self, oid: str) -> str:
        return self.git("rev-parse", f"{oid}^{{tree}}").strip()

    def reaches(self, name: str, oid: str) -> bool:
        return self.clone.call("git", "merge-base", "--is-ancestor", oid, name).returncode == 0

    def on_a_branch(self, oid: str) -> bool:
        return bool(self.git("branch", f"--contains={oid}"))


TestLinks = Links.TestCase
TestLinks.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # each step runs git: making a failure smaller would take minutes
    suppress_health_check=list(HealthCheck),
)
