"""Trees with some paths changed: git's own index is the oracle."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.errors import ObjectMissing
from gitprov.store.changed_tree import ChangedTree, changed_tree
from gitprov.store.folders import files_among
from gitprov.store.objects import GitObjects, TreeEntry
from gitprov.store.repository import EMPTY_TREE, Repository
from tests.support.repositories import Clone

FILES = {
    "a": "a",
    "a.b": "sorts between a and a/",
    "sub/one": "1",
    "sub/two": "2",
    "sub/deep/three": "3",
    "other/four": "4",
}
DEEP = "/".join("d" * 1500)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    clone = Clone.make(tmp_path / "repo", commit=False)
    clone.commit("files", FILES)
    return clone


@pytest.fixture
def reader(clone: Clone) -> Iterator[GitObjects]:
    reader = GitObjects(Repository.discover(clone.path).git)
    yield reader
    reader.close()


def listing(clone: Clone, tree: str) -> dict[str, TreeEntry]:
    found = {}
    for line in clone.git("ls-tree", "-r", "-z", tree).split("\0")[:-1]:
        about, _, path = line.partition("\t")
        mode, _, oid = about.split()
        found[path] = TreeEntry(int(mode, 8), os.fsencode(path).rpartition(b"/")[2], oid)
    return found


def tree_of(clone: Clone) -> str:
    return clone.git("rev-parse", "HEAD^{tree}").strip()


@pytest.mark.parametrize(
    ("removed", "written"),
    [
        ([], {}),
        (["a"], {}),
        (["sub/one"], {"sub/one": "changed", "new": "", "new.d/x": "", "sub/deep/er/y": ""}),
        (["sub/deep/three"], {}),
        (["sub/one", "sub/two", "sub/deep/three"], {}),
        (["a"], {"a/inside": "a folder now"}),
        (["sub/one", "sub/two", "sub/deep/three"], {"sub": "a file now"}),
        (list(FILES), {}),
        (list(FILES), {DEEP: "deep"}),
        (["no/such/file", "nor-this", "a/b"], {"sub/deep": "x"}),
    ],
)
def test_as_git_makes_it(
    clone: Clone, reader: GitObjects, removed: list[str], written: dict[str, str]
) -> None:
    base = tree_of(clone)
    before = listing(clone, base)
    clone.git("update-index", "--force-remove", "--", *removed) if removed else None
    for name, content in written.items():
        Path(clone.path / "content").write_text(content)
        oid = clone.git("hash-object", "-w", "content").strip()
        clone.git("update-index", "--add", "--replace", "--cacheinfo", f"100644,{oid},{name}")
    expected = clone.git("write-tree").strip()
    after = listing(clone, expected)
    files = {os.fsencode(name): after[name] for name in written}
    found = changed_tree(reader, base, files, [os.fsencode(name) for name in removed])
    assert found.oid == expected
    new = {os.fsencode(name): entry for name, entry in after.items() if before.get(name) != entry}
    assert found.files == new
    assert found.trees.keys() <= {
        expected,
        *clone.git("ls-tree", "-r", "-d", "--format=%(objectname)", expected).split(),
    }
    if expected != base:
        assert expected in found.trees
    for oid, data in found.trees.items():
        read = reader.read(oid)
        assert (read.type, read.data) == ("tree", data)


def test_from_nothing(reader: GitObjects) -> None:
    assert changed_tree(reader, EMPTY_TREE, {}, []) == ChangedTree(EMPTY_TREE, {}, {})
    entry = TreeEntry(0o100644, b"any", "1" * 40)
    found = changed_tree(reader, EMPTY_TREE, {b"a/b": entry}, [])
    assert found.files == {b"a/b": entry._replace(name=b"b")}
    assert len(found.trees) == 2


def test_modes_of_old_trees_become_those_of_today(clone: Clone, reader: GitObjects) -> None:
    blob = clone.git("rev-parse", "HEAD:a").strip()
    old = b"100664 a\0" + bytes.fromhex(blob) + b"100644 b\0" + bytes.fromhex(blob)
    (clone.path / "old").write_bytes(old)
    base = clone.git("hash-object", "-w", "-t", "tree", "--literally", "old").strip()
    clone.git("read-tree", base)
    clone.git("update-index", "--force-remove", "b")
    found = changed_tree(reader, base, {}, [b"b"])
    assert found.oid == clone.git("write-tree").strip()


def test_a_tree_that_is_not_there(clone: Clone, reader: GitObjects) -> None:
    base = tree_of(clone)
    shutil.rmtree(clone.path / ".git/objects" / clone.git("rev-parse", "HEAD:sub")[:2])
    with pytest.raises(ObjectMissing):
        changed_tree(reader, base, {}, [b"sub/one"])
    assert changed_tree(reader, base, {}, [b"other/four"]).oid != base


def test_which_files_a_tree_has(clone: Clone, reader: GitObjects) -> None:
    asked = [
        b"a",
        b"a.b",
        b"sub",
        b"sub/one",
        b"sub/deep/three",
        b"sub/deep/no",
        b"no/such",
        b"a/b",
    ]
    there = {b"a", b"a.b", b"sub/one", b"sub/deep/three"}
    assert files_among(reader, tree_of(clone), asked) == there
    assert files_among(reader, tree_of(clone), []) == set()
    assert files_among(reader, EMPTY_TREE, asked) == set()
