"""What branches have changed, step by step; comparing each state with its base is the oracle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitprov.index.changed_paths import Commit, signature, signatures
from gitprov.store.patch_ids import FileChange

PATHS = [b"a", b"b", b"c"]
# The content of each file, None where there is none.
Tree = dict[bytes, int | None]


def change(path: bytes, before: int | None, after: int | None) -> FileChange:
    def entry(content: int | None) -> tuple[str, str]:
        return ("000000", "0" * 40) if content is None else ("100644", f"{content:040x}")

    return FileChange(path, entry(before), entry(after))


def changes(old: Tree, new: Tree) -> list[FileChange]:
    return [
        change(path, old.get(path), new.get(path))
        for path in PATHS
        if old.get(path) != new.get(path)
    ]


@pytest.mark.parametrize("paths", [[], [b"a"], [b"a", b"b"]])
def test_signature(paths: list[bytes]) -> None:
    assert signature(paths) == signature(reversed(paths))
    assert 0 <= signature(paths) < 1 << 63
    assert (signature(paths) == 0) == (not paths)
    assert signature([*paths, b"c"]) != signature(paths)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, Tree]]:
    """Return the trees of commits, each with the number of the commit that it stands on."""
    contents = st.one_of(st.none(), st.integers(0, 2))
    trees = st.fixed_dictionaries(dict.fromkeys(PATHS, contents))
    count = draw(st.integers(1, 12))
    return [(draw(st.integers(0, number)), draw(trees)) for number in range(count)]


@given(histories(), st.sets(st.integers(0, 12)))
def test_of_trees_of_commits(history: list[tuple[int, Tree]], roots: set[int]) -> None:
    trees: list[Tree] = [{}, *(tree for _, tree in history)]
    commits = [Commit(f"{n}", (f"{parent}",)) for n, (parent, _) in enumerate(history, 1)]
    steps = {f"{n}": changes(trees[parent], tree) for n, (parent, tree) in enumerate(history, 1)}
    found = signatures(commits, steps, {f"{root}" for root in roots})
    for number, (parent, _) in enumerate(history, 1):
        root = parent
        while root and root not in roots:
            root = history[root - 1][0]
        differing = [step.path for step in changes(trees[root], trees[number])]
        assert found.pop((f"{root}", f"{number}")) == signature(differing)
    assert not found


def test_beyond_a_merge_nothing_is_told() -> None:
    commits = [
        Commit("1", ("0",)),
        Commit("2", ("0",)),
        Commit("3", ("1", "2")),
        Commit("4", ("3",)),
    ]
    steps = {name: [change(name.encode(), None, 1)] for name in "1234"}
    assert set(signatures(commits, steps, ())) == {("0", "1"), ("0", "2")}
    assert set(signatures(commits, steps, {"3"})) == {("0", "1"), ("0", "2"), ("3", "4")}


def test_of_commits_that_are_not_known() -> None:
    commits = [Commit("1", ("0",)), Commit("2", ("1",)), Commit("3", ())]
    assert signatures(commits, {}, ()) == {}
    steps = {"2": [change(b"a", None, 1)], "3": [change(b"a", None, 1)]}
    assert signatures(commits, steps, ()) == {}
