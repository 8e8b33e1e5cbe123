"""Which commits stand for the sources of runs, below the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gitprov.index import commits as index_commits
from gitprov.index.database import open_index
from gitprov.index.history import History
from gitprov.index.links import Links
from gitprov.index.origins import find_origins
from gitprov.model.rewrite import Replacement
from gitprov.model.source_link import SourceLink
from gitprov.recorder.rewriting import record_map
from gitprov.store.patch_ids import patch_ids
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store
from tests.support.repositories import Clone
from tests.support.runs import record

DAY = 86400


class Place:
    """A repository whose commits and runs are made at the times that a test says."""

    def __init__(self, clone: Clone) -> None:
        self.clone = clone
        self.store = clone.store()
        self.now = 1_760_000_000

    def commit(self, files: dict[str, str], *, after: int = 60) -> str:
        """Commit so many seconds after the last one."""
        for name, content in files.items():
            self.clone.write(name, content)
        self.clone.git("add", "--all")
        return self.made("commit", "--quiet", "--allow-empty", "-m", "a commit", after=after)

    def merge(self, name: str) -> str:
        """Merge a branch, as it is."""
        return self.made("merge", "--quiet", "--no-ff", "--no-edit", name, after=60)

    def made(self, *command: str, after: int) -> str:
        """Run what makes a commit, so many seconds after the last one."""
        self.now += after
        date = f"@{self.now} +0000"
        self.clone.git(*command, GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
        return self.oid("HEAD")

    def run(self, commit: str | None, uncommitted: str | None = None, **source: Any) -> str:
        """Record a run of a commit, or of another tree on it."""
        if uncommitted is not None:
            source |= {"tree": uncommitted, "dirty": True}
        elif "tree" not in source:
            source["tree"] = self.oid(f"{commit}^{{tree}}")
        if commit is not None:
            source["commit"] = commit
        started = self.now * 1_000_000_000
        times = {"started_ns": started, "ended_ns": started + 1}
        return record(self.store, source=source, **times)[0]

    def oid(self, name: str) -> str:
        return self.clone.git("rev-parse", name).strip()

    def branch(self, name: str, start: str = "main") -> None:
        self.clone.git("checkout", "--quiet", "-B", name, start)

    def rewrite(self, *pairs: tuple[str, str | None]) -> int:
        return record_map(self.store, [Replacement(old=old, new=new) for old, new in pairs])

    def links(self, run: str) -> list[SourceLink]:
        history = History(Store.open(self.clone.path))
        return history.links(history.find(run).record)

    def kinds(self, run: str) -> dict[str, str]:
        return {link.commit: link.kind for link in self.links(run)}

    def listed(self, *revisions: str) -> dict[str, str | None]:
        """Return what a listing of revisions has, and by which commit."""
        history = History(Store.open(self.clone.path))
        found = {}
        for run in history.runs(revisions=revisions):
            link = history.link_of(run.record)
            found[run.record.id] = link.commit if link else None
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(Clone.make(tmp_path / "repo", commit=False))
    place.commit({"train.py": "print('trained')\n"})
    return place


def squashed(place: Place, branch: str) -> str:
    place.clone.git("checkout", "--quiet", "main")
    place.clone.git("merge", "--quiet", "--squash", branch)
    return place.commit({})


class TestRecorded:
    def test_steps_lead_on(self, place: Place) -> None:
        """In one map, in whatever order: what stands in the middle need not be known before."""
        place.branch("topic")
        old = place.commit({"a.py": "1\n"})
        run = place.run(old)
        new = []
        for name in ("middle", "end"):
            place.branch(name)
            new.append(place.commit({"b.py": f"{name}\n"}))
        assert place.rewrite((new[0], new[1]), (old, new[0]), ("1" * 40, "2" * 40)) == 2
        place.clone.git("branch", "--quiet", "-D", "middle")
        (link,) = place.links(run)
        assert (link.commit, link.kind, link.via) == (new[1], "rewritten", new[1])
        assert [step.new for step in link.steps] == new

    def test_circles_and_forks(self, place: Place) -> None:
        first = place.oid("main")
        apart = []
        for name in ("one", "two"):
            place.branch(name)
            apart.append(place.commit({"train.py": f"print('{name}')\n"}))
        place.branch("topic")
        old = place.commit({"train.py": "print('old')\n"})
        run = place.run(old)
        place.rewrite((old, apart[0]), (old, apart[1]), (apart[1], old), (apart[0], first))
        assert place.kinds(run) == dict.fromkeys([*apart, first], "rewritten")

    def test_dropped_leads_nowhere(self, place: Place) -> None:
        place.branch("topic")
        old = place.commit({"a.py": "1\n"})
        run = place.run(old)
        assert place.rewrite((old, None)) == 1
        assert place.kinds(run) == {}

    def test_what_is_not_here_is_not_shown(self, place: Place) -> None:
        place.branch("topic")
        old = place.commit({"a.py": "1\n"})
        run = place.run(old)
        place.rewrite((old, "1" * 40))
        assert place.kinds(run) == {}

    def test_a_commit_is_named_once_for_what_is_surest(self, place: Place) -> None:
        place.branch("topic")
        old = place.commit({"a.py": "1\n"})
        run = place.run(old)
        place.clone.git("checkout", "--quiet", "main")
        new = place.commit({"a.py": "1\n"})
        assert place.kinds(run) == {new: "same-tree"}
        place.rewrite((old, new))
        (link,) = place.links(run)
        assert (link.kind, link.same_tree) == ("rewritten", True)

    def test_older_than_its_source(self, place: Place) -> None:
        """Clocks differ, and dates can be set: what is recorded counts whatever they say."""
        place.branch("topic")
        old = place.commit({"a.py": "1\n"})
        run = place.run(old)
        place.clone.git("checkout", "--quiet", "main")
        new = place.commit({"b.py": "1\n"}, after=-200 * DAY)
        place.commit({"c.py": "1\n"}, after=300 * DAY)
        place.rewrite((old, new))
        assert place.kinds(run) == {new: "rewritten"}
        assert place.listed("main") == {run: new}


class TestInferred:
    def test_listing_and_links_agree_on_each_branch(self, place: Place) -> None:
        base = place.oid("main")
        place.branch("topic")
        runs = [place.run(place.commit({f"{n}.py": "1\n"})) for n in range(3)]
        place.clone.git("checkout", "--quiet", "main")
        place.commit({"meanwhile.py": "1\n"})
        squashed(place, "topic")
        place.branch("release", base)
        place.commit({"release.py": "1\n"})
        place.clone.git("cherry-pick", "topic~1")
        for run in runs:
            told = place.kinds(run)
            for branch in ("main", "release"):
                shown = place.listed(branch).get(run)
                inside = place.clone.git("rev-list", branch).split()
                assert shown == next((oid for oid in told if oid in inside), None)

    def test_other_runs_do_not_change_what_is_found(self, place: Place) -> None:
        """A tree that was on main long before the branch is not what became of the branch."""
        place.commit({"train.py": "print('as before')\n"})
        place.commit({"train.py": "print('changed')\n"}, after=100 * DAY)
        place.branch("topic")
        back = place.commit({"train.py": "print('as before')\n"}, after=100 * DAY)
        run = place.run(back)
        assert place.kinds(run) == {}
        place.branch("older", "main~1")
        place.run(place.commit({"older.py": "1\n"}, after=-150 * DAY))
        assert place.kinds(run) == {}
        assert run not in place.listed("main")

    def test_ranges(self, place: Place) -> None:
        place.branch("topic")
        run = place.run(place.commit({"a.py": "1\n"}))
        place.clone.git("checkout", "--quiet", "main")
        place.commit({"b.py": "1\n"})
        merge = squashed(place, "topic")
        place.commit({"c.py": "1\n"})
        place.clone.git("tag", "-a", "-m", "a tag", "v1", "main~1")
        assert place.listed("main~1..main") == {}
        assert place.listed("main~2..main") == {run: merge}
        assert place.listed("v1") == {run: merge}
        assert place.listed("v1", "^main~2") == {run: merge}
        assert place.listed("topic...main") == {run: None}
        assert place.listed(f"{merge}^!") == {run: merge}

    def test_source_in_the_history_is_not_looked_for(self, place: Place) -> None:
        commit = place.commit({"a.py": "1\n"})
        run = place.run(commit)
        place.commit({"a.py": "2\n"})
        place.commit({"a.py": "1\n"})
        assert place.kinds(run) == {}
        assert place.listed("main") == {run: None}
        assert place.listed("main~1..main") == {}

    def test_a_merge_of_what_is_there(self, place: Place) -> None:
        """It changes nothing that the history does not have: no single commit stands for it."""
        place.branch("topic")
        one = place.commit({"one.py": "1\n"})
        place.branch("other")
        other = place.commit({"other.py": "1\n"}, after=0)
        run = place.run(place.merge(one))
        place.clone.git("checkout", "--quiet", "main")
        place.clone.git("branch", "--quiet", "-f", "other", other)
        place.merge("topic")
        place.commit({"more.py": "1\n"})
        place.merge("other")
        assert place.kinds(run) == {}

    def test_source_that_is_gone(self, place: Place) -> None:
        """The record alone says what to look for."""
        wanted = place.commit({"a.py": "1\n"})
        patch_id = patch_ids(place.store.repository.git, [wanted])[wanted]
        gone = {"patch_id": patch_id, "tree": "3" * 40}
        place.now += 10 * DAY
        runs = [
            place.run("1" * 40, **{**gone, "tree": place.oid(f"{wanted}^{{tree}}")}),
            place.run("1" * 40, **gone),
            place.run("2" * 40, tree="3" * 40),
            place.run("5" * 40, "3" * 40),
            place.run("2" * 40, tree="3" * 40, series={"base": "4" * 40, "patch_id": patch_id}),
        ]
        assert [place.kinds(run) for run in runs] == [
            {wanted: "same-tree"}, {wanted: "same-patch"}, {}, {}, {wanted: "squash"},
        ]  # fmt: skip

    def test_what_would_take_too_long_is_left_out(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place.branch("topic")
        run = place.run(place.commit({"a.txt": "long\n" * 1000}))
        place.clone.git("checkout", "--quiet", "main")
        place.commit({"b.py": "1\n"})
        place.clone.git("cherry-pick", "topic")
        picked = place.oid("HEAD")
        monkeypatch.setattr(index_commits, "MAX_BYTES", 1000)
        assert place.kinds(run) == {}
        monkeypatch.undo()
        (place.clone.path / ".git/prov/index.sqlite").unlink()
        assert place.kinds(run) == {picked: "same-patch"}


class TestUncommitted:
    def snapshot(self, place: Place, files: dict[str, str]) -> str:
        """Return the tree with these changes, and leave the work tree as it was."""
        for name, content in files.items():
            place.clone.write(name, content)
        place.clone.git("add", "--all")
        tree = place.clone.git("write-tree").strip()
        place.clone.git("reset", "--quiet", "--hard")
        return tree

    def test_near(self, place: Place) -> None:
        head = place.oid("main")
        tree = self.snapshot(place, {"train.py": "print(1)\n", "notes.txt": "a thought\n"})
        near = place.run(head, tree, reads=["train.py"])
        made = place.commit({"train.py": "print(1)\n", "notes.txt": "another\n"})
        (link,) = place.links(near)
        assert (link.commit, link.kind, link.files) == (made, "near", ("notes.txt",))
        assert not link.inferred
        assert place.listed("main~1..main") == {near: made}

    @pytest.mark.parametrize("reads", [[["notes.txt", "train.py"]], [["train.py"], []]])
    def test_read_by_any_run(self, place: Place, reads: Sequence[list[str]]) -> None:
        """What one run has read, or may have, counts for all runs from the same tree."""
        head = place.oid("main")
        tree = self.snapshot(place, {"train.py": "print(1)\n", "notes.txt": "a thought\n"})
        runs = [place.run(head, tree, **({"reads": some} if some else {})) for some in reads]
        place.commit({"train.py": "print(1)\n", "notes.txt": "another\n"})
        assert [place.kinds(run) for run in runs] == [{}] * len(runs)

    def test_names_that_are_not_utf8(self, place: Place) -> None:
        head = place.oid("main")
        tree = self.snapshot(place, {"caf\udce9.txt": "a\n", "train.py": "print(1)\n"})
        near = place.run(head, tree, reads=["train.py"])
        read = place.run(place.commit({"x.py": "1\n"}), tree, reads=[b"caf\xe9.txt"])
        place.branch("other", head)
        made = place.commit({"train.py": "print(1)\n"})
        assert place.kinds(near) == {made: "near"}
        assert place.kinds(read) == {}

    def test_not_captured_whole(self, place: Place) -> None:
        head = place.oid("main")
        tree = self.snapshot(place, {"train.py": "print(1)\n"})
        omitted = [{"path": b"mod\xe9l.bin", "reason": "size"}]
        run = place.run(head, tree, omitted=omitted, reads=["train.py"])
        made = place.commit({"train.py": "print(1)\n"})
        place.commit({"train.py": "print(2)\n"})
        (link,) = place.links(run)
        assert (link.commit, link.kind, link.files) == (made, "same-tree", ("mod\udce9l.bin",))
        assert link.inferred

    def test_same_tree_on_a_later_commit_only(self, place: Place) -> None:
        first = place.commit({"train.py": "print(1)\n"})
        place.commit({"train.py": "print(2)\n"})
        tree = place.oid(f"{first}^{{tree}}")
        run = place.run(place.oid("main"), tree)
        assert place.kinds(run) == {}
        again = place.commit({"train.py": "print(1)\n"})
        assert place.kinds(run) == {again: "committed"}


class TestBeforeTheFirstCommit:
    """A tree ran, and there was no commit that it could have been made from."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Place(Clone.make(tmp_path / "repo", commit=False))

    def tree(self, place: Place, files: dict[str, str]) -> str:
        for name, content in files.items():
            place.clone.write(name, content)
        place.clone.git("add", "--all")
        return place.oid(place.clone.git("write-tree").strip())

    def test_committed(self, place: Place) -> None:
        run = place.run(None, self.tree(place, {"train.py": "1\n"}))
        assert place.links(run) == []
        first = place.commit({}, after=0)
        (link,) = place.links(run)
        assert (link.commit, link.kind, link.via) == (first, "committed", first)
        assert place.listed("main") == {run: first}
        place.commit({"train.py": "2\n"})
        assert place.kinds(run) == {first: "committed"}
        assert place.listed("main~1..main") == {}
        history = History(Store.open(place.clone.path))
        assert history.find(first).record.id == run
        assert [(found.record.id, link.kind) for found, link in history.linked_runs()] == [
            (run, "committed")
        ]

    def test_committed_behind_an_empty_commit(self, place: Place) -> None:
        run = place.run(None, self.tree(place, {"train.py": "1\n"}))
        place.clone.git("rm", "--quiet", "--cached", "train.py")
        place.made("commit", "--quiet", "--allow-empty", "-m", "nothing", after=1)
        assert place.kinds(run) == {}
        assert place.kinds(run) == {}
        made = place.commit({})
        assert place.kinds(run) == {made: "committed"}

    def test_near(self, place: Place) -> None:
        tree = self.tree(place, {"train.py": "1\n", "notes.txt": "a thought\n"})
        unknown = place.run(None, tree)
        place.clone.git("rm", "--quiet", "--cached", "notes.txt")
        first = place.made("commit", "--quiet", "-m", "without the notes", after=60)
        assert place.kinds(unknown) == {}
        other = self.tree(place, {"train.py": "1\n", "notes.txt": "another\n"})
        near = place.run(None, other, reads=["train.py"])
        assert place.kinds(near) == {first: "near"}

    def test_older_commits_were_not_made_of_it(self, place: Place) -> None:
        """A branch of its own may begin with what another one has."""
        place.commit({"train.py": "1\n"})
        place.now += 60
        run = place.run(None, place.oid("main^{tree}"), reads=["train.py"])
        assert place.kinds(run) == {}
        place.clone.git("checkout", "--quiet", "--orphan", "other")
        made = place.commit({})
        assert place.kinds(run) == {made: "committed"}

    def test_nothing_captured(self, place: Place) -> None:
        omitted = [{"path": "model.bin", "reason": "size"}]
        run = place.run(None, EMPTY_TREE, omitted=omitted)
        place.commit({})
        assert place.kinds(run) == {}


def test_a_run_without_a_tree_has_no_links(place: Place) -> None:
    runs = [record(place.store)[0], record(place.store, source={"tree": "1" * 40})[0]]
    assert [place.links(run) for run in runs] == [[], []]


def test_sources_that_nothing_took_the_place_of_are_left_out(place: Place) -> None:
    """Whoever asks reads the runs of what is named, and most have no links."""
    place.run(place.commit({"a": "1"}))
    index = open_index(place.store)
    origins = find_origins(index, "TRUE")
    assert len(origins) == 1
    assert Links(place.store, index).rewritten(origins) == {}
    index.close()
