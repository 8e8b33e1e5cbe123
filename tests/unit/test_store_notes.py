"""Notes: ours and git's, each readable by the other."""

import time
from pathlib import Path

import pytest

from gitprov.store.notes import Lines, stage_notes, written_by_others
from gitprov.store.pack import PackBuilder
from gitprov.store.refs import NOTES, list_refs
from gitprov.store.store import Store
from tests.support.chains import write_pack
from tests.support.repositories import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


@pytest.fixture
def store(clone: Clone) -> Store:
    return clone.store()


def tip(store: Store) -> str:
    return list_refs(store.repository.git, NOTES)[NOTES]


def add(store: Store, lines: Lines, **more: Lines) -> str | None:
    """Add lines as the drain does, and return the notes commit."""
    pack = PackBuilder()
    before = list_refs(store.repository.git, NOTES).get(NOTES)
    note = stage_notes(pack, store.objects, before, lines, time.time_ns(), **more)
    write_pack(store, pack)
    if note:
        store.repository.git.run("update-ref", NOTES, note)
    return note


def many_commits(clone: Clone, count: int) -> list[str]:
    """Make commits quickly; they need no work tree."""
    stream = "".join(
        f"commit refs/heads/many\ncommitter A <a> {number} +0000\ndata 1\nx\n"
        for number in range(count)
    )
    (clone.path / "stream").write_text(stream)
    done = clone.call("sh", "-c", "git fast-import --quiet < stream", check=True)
    assert done.stderr == ""
    return clone.git("rev-list", "many").split()


def listed(clone: Clone) -> set[str]:
    return {line.split()[1] for line in clone.git("notes", "--ref=prov", "list").splitlines()}


def shown(clone: Clone, commit: str) -> list[str]:
    return clone.git("notes", "--ref=prov", "show", commit).splitlines()


def test_six_hundred_notes_are_read_by_git(clone: Clone, store: Store) -> None:
    commits = many_commits(clone, 600)
    add(store, {commit: [f"run {commit[:4]}"] for commit in commits[:300]})
    for start in range(300, 600, 100):
        add(store, {commit: [f"run {commit[:4]}"] for commit in commits[start : start + 100]})
    assert listed(clone) == set(commits)
    for commit in commits[::97]:
        assert shown(clone, commit) == [f"run {commit[:4]}"]
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize("count", [3, 600], ids=["flat", "fan-out"])
def test_notes_of_git_s_own_stay_and_are_added_to(clone: Clone, store: Store, count: int) -> None:
    commits = many_commits(clone, count + 3)
    theirs = commits[:count]
    stream = "".join(
        ["commit refs/notes/prov\ncommitter A <a> 1 +0000\ndata 1\nx\n"]
        + [f"N inline {commit}\ndata 9\nby a hand\n" for commit in theirs]
    )
    (clone.path / "stream").write_text(stream)
    clone.call("sh", "-c", "git fast-import --quiet < stream", check=True)
    folders = clone.git("ls-tree", "-d", NOTES).splitlines()
    assert bool(folders) == (count > 500)
    add(store, {commit: ["run"] for commit in (*theirs[:2], *commits[count:])})
    assert listed(clone) == set(commits)
    assert shown(clone, theirs[0]) == ["by a hand", "run"]
    assert shown(clone, theirs[2]) == ["by a hand"]
    assert shown(clone, commits[-1]) == ["run"]


def test_git_goes_on_from_ours(clone: Clone, store: Store) -> None:
    commits = many_commits(clone, 20)
    add(store, {commit: ["run"] for commit in commits})
    clone.git("notes", "--ref=prov", "append", "-m", "checked by hand", commits[3])
    clone.git("notes", "--ref=prov", "remove", commits[4])
    add(store, {commits[3]: ["run two"], commits[4]: ["run three"]})
    assert shown(clone, commits[3]) == ["run", "", "checked by hand", "run two"]
    assert shown(clone, commits[4]) == ["run three"]
    assert listed(clone) == set(commits)


def test_line_that_is_there_is_not_added_again(clone: Clone, store: Store) -> None:
    (commit,) = many_commits(clone, 1)
    assert add(store, {commit: ["one", "two"]})
    assert add(store, {commit: ["two", "one"]}) is None
    assert add(store, {commit: ["two", "three"]})
    assert shown(clone, commit) == ["one", "two", "three"]


def test_note_without_a_last_newline(clone: Clone, store: Store) -> None:
    (commit,) = many_commits(clone, 1)
    blob = clone.call("sh", "-c", "printf 'no end' | git hash-object -w --stdin").stdout.strip()
    clone.git("notes", "--ref=prov", "add", "-C", blob, commit)
    add(store, {commit: ["run"]})
    assert shown(clone, commit) == ["no end", "run"]


def test_one_note_costs_the_same_among_many(clone: Clone, store: Store) -> None:
    commits = many_commits(clone, 400)
    add(store, {commit: ["run"] for commit in commits[:-1]})
    pack = PackBuilder()
    stage_notes(pack, store.objects, tip(store), {commits[-1]: ["run"]}, 0)
    assert len(pack) == 4  # the note, its folder, the top, the commit


def test_notes_show_in_the_log(clone: Clone, store: Store) -> None:
    head = clone.git("rev-parse", "HEAD").strip()
    add(store, {head: ["run kzmwtqpx ok"]})
    assert "    run kzmwtqpx ok" in clone.git("log", "--notes=prov")


def test_a_run_has_one_line(clone: Clone, store: Store) -> None:
    (commit,) = many_commits(clone, 1)
    add(store, {commit: ["run kkkkkkkk ok (amended)", "run llllllll ok", "by a hand"]})
    assert add(store, {commit: ["run kkkkkkkk ok"]})
    assert shown(clone, commit) == ["by a hand", "run kkkkkkkk ok", "run llllllll ok"]


def test_lines_are_taken_out(clone: Clone, store: Store) -> None:
    one, two, three = many_commits(clone, 3)
    wrong = ["run kkkkkkkk ok"]
    add(store, {one: wrong, two: [*wrong, "by a hand"], three: wrong})
    add(store, {one: ["run llllllll ok"]})  # from somebody who was quicker
    assert add(store, {three: wrong}, without=dict.fromkeys([one, two, three, "0" * 40], wrong))
    assert shown(clone, one) == ["run llllllll ok"]
    assert shown(clone, two) == ["by a hand"]
    assert shown(clone, three) == wrong
    both = (*wrong, "run llllllll ok")
    add(store, {}, without=dict.fromkeys([one, two, three], both))
    assert listed(clone) == {two}
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


class TestWrittenByOthers:
    @pytest.mark.parametrize("count", [3, 600], ids=["flat", "fan-out"])
    def test_copies(self, clone: Clone, store: Store, count: int) -> None:
        """Git moves all notes to other folders on the way; those are what they were."""
        old, new, *others = many_commits(clone, count)
        add(store, {commit: ["run kkkkkkkk ok"] for commit in (old, *others)})
        before = tip(store)
        clone.git("notes", "--ref=prov", "append", "-m", "by a hand", others[0])
        clone.git("notes", "--ref=prov", "copy", old, new)
        add(store, {others[0]: ["run llllllll ok"]})
        found = written_by_others(store.repository.git, store.objects, tip(store), before)
        assert found == {others[0]: ["run kkkkkkkk ok"], new: ["run kkkkkkkk ok"]}

    def test_nothing_since(self, clone: Clone, store: Store) -> None:
        commits = many_commits(clone, 2)
        clone.git("notes", "--ref=prov", "add", "-m", "run kkkkkkkk ok", commits[0])
        before = tip(store)
        add(store, {commits[1]: ["run llllllll ok"]})
        git = store.repository.git
        assert written_by_others(git, store.objects, tip(store), before) == {}
        everything = {commits[0]: ["run kkkkkkkk ok"]}
        for unknown in (None, "1" * 40):
            assert written_by_others(git, store.objects, tip(store), unknown) == everything

    def test_merged_from_elsewhere(self, clone: Clone, store: Store) -> None:
        one, two = many_commits(clone, 2)
        add(store, {one: ["run kkkkkkkk ok"]})
        before = tip(store)
        clone.git("notes", "--ref=theirs", "add", "-m", "run llllllll ok", two)
        clone.git("notes", "--ref=prov", "merge", "--quiet", "theirs")
        found = written_by_others(store.repository.git, store.objects, tip(store), before)
        assert found[two] == ["run llllllll ok"]
