"""Listings in the payload of strangers: their form is checked before a chain is joined."""

from pathlib import Path

import pytest

from gitprov.codec.listings import Node, encode_node
from gitprov.errors import MalformedRecord, ObjectMissing
from gitprov.model.ids import new_id
from gitprov.store.chain_checks import check_payload
from gitprov.store.objects import MODE_FILE, MODE_TREE, TreeEntry, encode_tree
from gitprov.store.pack import Existing, PackBuilder
from gitprov.store.store import Store
from tests.support.chains import entry, write_pack
from tests.support.repositories import Clone


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path / "clone").store()


def check(store: Store, commit: str) -> None:
    """Check one payload commit, as it is before a chain is joined."""
    check_payload(store.repository.git, store.objects, [commit])


def refusal(store: Store, commit: str) -> str:
    """Return why a payload commit is refused."""
    with pytest.raises((MalformedRecord, ObjectMissing)) as refused:
        check(store, commit)
    return str(refused.value)


def with_listing(store: Store, top: str, name: str = "listing-" + "0a" * 32) -> str:
    """Return a payload commit with this tree as a listing."""
    return entry(store, {new_id(): {name: Existing(MODE_TREE, top)}}, message=b"payload\n")


def stored(store: Store, *entries: TreeEntry) -> str:
    """Store a tree with these entries, in any order and number."""
    pack = PackBuilder()
    data = b"".join(encode_tree([item]) for item in entries)
    tree = pack.add("tree", data)
    write_pack(store, pack)
    return tree


class TestListingsOfStrangers:
    @pytest.fixture
    def node(self, store: Store) -> TreeEntry:
        pack = PackBuilder()
        blob = pack.add("blob", encode_node(Node(())))
        write_pack(store, pack)
        return TreeEntry(MODE_FILE, b"node", blob)

    def test_good(self, store: Store, node: TreeEntry) -> None:
        sub = stored(store, node)
        odd = [TreeEntry(MODE_TREE, name, sub) for name in (b"=", b"=.git", b"=..", b"=\xff\n")]
        check(store, with_listing(store, stored(store, *odd, node)))

    def test_what_is_in_nodes_is_not_looked_at(self, store: Store) -> None:
        """It is compared with its hash whenever it is used."""
        pack = PackBuilder()
        tree = pack.add_tree({"node": b"no node at all"})
        write_pack(store, pack)
        check(store, with_listing(store, tree))

    @pytest.mark.parametrize(
        ("mode", "name"),
        [
            (MODE_FILE, b"other"),
            (MODE_FILE, b"=sub"),
            (MODE_TREE, b"sub"),
            (MODE_TREE, b".git"),
            (MODE_TREE, b"..=x"),
            (0o120000, b"=sub"),
            (0o160000, b"=sub"),
            (0o100755, b"=sub"),
        ],
    )
    def test_what_has_no_place(self, store: Store, node: TreeEntry, mode: int, name: bytes) -> None:
        oid = stored(store, node) if mode == MODE_TREE else node.oid
        inner = stored(store, TreeEntry(mode, name, oid), node)
        for tree in (inner, stored(store, TreeEntry(MODE_TREE, b"=a", inner), node)):
            reason = refusal(store, with_listing(store, tree))
            assert "has no place in a listing" in reason

    @pytest.mark.parametrize("mode", [MODE_TREE, 0o120000, 0o160000, 0o100755])
    def test_node_that_is_no_plain_file(self, store: Store, node: TreeEntry, mode: int) -> None:
        oid = stored(store, node) if mode == MODE_TREE else node.oid
        tree = stored(store, TreeEntry(mode, b"node", oid))
        reason = refusal(store, with_listing(store, tree))
        assert "b'node' has no place in a listing" in reason

    @pytest.mark.parametrize("count", [0, 2])
    def test_folder_without_one_node(self, store: Store, node: TreeEntry, count: int) -> None:
        tree = stored(store, *[node] * count)
        reason = refusal(store, with_listing(store, tree))
        assert "stands for no folder of a listing" in reason

    def test_node_that_is_a_tree_by_content(self, store: Store, node: TreeEntry) -> None:
        lie = TreeEntry(MODE_FILE, b"node", stored(store, node))
        reason = refusal(store, with_listing(store, stored(store, lie)))
        assert "a payload holds a tree" in reason

    def test_folder_that_is_a_blob(self, store: Store, node: TreeEntry) -> None:
        tree = stored(store, TreeEntry(MODE_TREE, b"=a", node.oid), node)
        reason = refusal(store, with_listing(store, tree))
        assert "is a blob where a payload has a folder" in reason

    def test_node_that_is_not_there(self, store: Store) -> None:
        tree = stored(store, TreeEntry(MODE_FILE, b"node", "12" * 20))
        reason = refusal(store, with_listing(store, tree))
        assert "is not in this clone" in reason

    def test_folder_that_is_not_there(self, store: Store, node: TreeEntry) -> None:
        tree = stored(store, TreeEntry(MODE_TREE, b"=a", "12" * 20), node)
        reason = refusal(store, with_listing(store, tree))
        assert "is not in this clone" in reason

    def test_node_larger_than_a_document(self, store: Store) -> None:
        pack = PackBuilder()
        tree = pack.add_tree({"node": bytes((4 << 20) + 1)})
        write_pack(store, pack)
        reason = refusal(store, with_listing(store, tree))
        assert "a payload holds a blob of 4194305 bytes" in reason

    @pytest.mark.parametrize(
        "name", ["listing-", "listing-0a", "listing-" + "0A" * 32, "output.log", "sub"]
    )
    def test_folder_of_another_name(self, store: Store, node: TreeEntry, name: str) -> None:
        reason = refusal(store, with_listing(store, stored(store, node), name))
        assert "is not a plain file" in reason

    def test_many_names_of_few_trees(self, store: Store, node: TreeEntry) -> None:
        """Forty levels of ten names each: each tree is looked at once."""
        tree = stored(store, node)
        for _ in range(40):
            names = (b"=%d" % number for number in range(10))
            tree = stored(store, *(TreeEntry(MODE_TREE, name, tree) for name in names), node)
        check(store, with_listing(store, tree))

    def test_deep_folders(self, store: Store, node: TreeEntry) -> None:
        pack = PackBuilder()
        tree = stored(store, node)
        for _ in range(1500):
            tree = pack.add("tree", encode_tree([TreeEntry(MODE_TREE, b"=d", tree), node]))
        write_pack(store, pack)
        check(store, with_listing(store, tree))
