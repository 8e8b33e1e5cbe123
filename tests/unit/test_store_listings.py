"""Listings as git trees: made, read back, found wanting."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings

from gitprov.codec.listings import FILE, FOLDER, SHA256, Item, Node, decode_node, encode_node
from gitprov.errors import IntegrityError, MalformedRecord, ObjectMissing
from gitprov.store.listings import Folder, Listing, Place, add_folder, add_node, nodes
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    Object,
    TreeEntry,
    decode_tree,
    encode_tree,
)
from gitprov.store.pack import PackBuilder
from gitprov.store.repository import Repository
from tests.support.listings import (
    Content,
    Objects,
    contents,
    deep,
    file_item,
    flat,
    link_item,
    small_nodes,
)
from tests.support.repositories import Clone

SMALL: Content = {
    b"a": b"content of a",
    b"empty": {},
    b"link": "a",
    b"sub": {b"a": b"content of a", b"deep": {b"\xff\n": b"x"}, b".git": b"", b"node": b""},
}
LARGE: Content = {b"%d" % number: b"%d" % number for number in range(2500)}


@pytest.fixture
def objects() -> Objects:
    return Objects()


class TestMaking:
    def test_sums(self, objects: Objects) -> None:
        folder = objects.folder(SMALL)
        assert (folder.size, folder.files) == (25, 6)
        assert folder.item(b"x") == Item(b"x", FOLDER, 25, 6, {SHA256: folder.sha256})
        assert objects.folder(LARGE)[2:] == (sum(map(len, LARGE)), 2500)
        assert objects.folder({})[2:] == (0, 0)

    def test_trees_mirror_the_folders(self, objects: Objects) -> None:
        folder = objects.folder(SMALL)
        entries = {entry.name: entry for entry in decode_tree(objects.read(folder.tree).data)}
        assert {name: entry.mode for name, entry in entries.items()} == {
            b"node": MODE_FILE,
            b"=empty": MODE_TREE,
            b"=sub": MODE_TREE,
        }
        node = objects.read(entries[b"node"].oid).data
        assert hashlib.sha256(node).digest() == folder.sha256
        assert [item.name for item in decode_node(node).items] == sorted(SMALL)

    def test_equal_folders_are_one_object(self, objects: Objects) -> None:
        objects.folder({b"a": SMALL, b"b": SMALL})
        alone = Objects()
        alone.folder(SMALL)
        assert len(objects.found) == len(alone.found) + 2

    def test_one_file_more_costs_one_part(self, objects: Objects) -> None:
        objects.folder({b"deep": LARGE})
        before = len(objects.found)
        objects.folder({b"deep": {**LARGE, b"one more": b""}})
        # A part, the split folder, the one around it: a node and a tree each.
        assert len(objects.found) == before + 6

    def test_git_takes_whatever_names_there_are(self, tmp_path: Path) -> None:
        clone = Clone.make(tmp_path / "clone", commit=False)
        repository = Repository.discover(clone.path)
        odd: Content = {
            name: {b"file": name}
            for name in (
                b".git", b".GIT", b"git~1", b".gitmodules", b"node", b"=", b"a\nb", b"\xff", b" ",
                b"-", b"a\\b", b"con", b".git ", b"x" * 255, "é".encode(), b"\x01",
            )
        }  # fmt: skip
        pack = PackBuilder()
        objects = Objects()
        folder = objects.folder(odd)
        for item in objects.found.values():
            pack.add(item.type, item.data)
        tree = pack.add_tree({})
        assert tree
        pack.write(repository.git, repository.common_dir).release()
        clone.git("fsck", "--strict", "--no-dangling")
        reader = clone.store().objects
        listing = Listing(reader, folder.tree, folder.sha256)
        assert dict(listing.files()) == flat(odd)


class TestReading:
    @settings(deadline=None)
    @given(contents)
    def test_all_comes_back(self, content: Content) -> None:
        with small_nodes():
            objects = Objects()
            folder = objects.folder(content)
        listing = objects.open(folder)
        files = flat(content)
        assert dict(listing.files()) == files
        assert listing.check({}) == (folder.size, folder.files)
        assert (folder.size, folder.files) == (sum(i.size for i in files.values()), len(files))
        for path, item in listing.items():
            assert listing.find(path) == item
        assert listing.find(b"not/there") is None

    def test_folders_come_before_what_they_hold(self, objects: Objects) -> None:
        paths = [path for path, _ in objects.listing(SMALL).items()]
        assert paths == [
            b"a", b"empty", b"link", b"sub", b"sub/.git", b"sub/a", b"sub/deep",
            b"sub/deep/\xff\n", b"sub/node",
        ]  # fmt: skip

    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "split"])
    def test_top_folder_alone(self, objects: Objects, content: Content) -> None:
        listing = objects.listing(content)
        assert [item.name for item in listing.folder()] == sorted(content)

    @pytest.mark.parametrize(
        "path", [b"", b"/", b"a/", b"/a", b"sub/", b"sub//a", b"a/a", b"link/a", b"..", b"sub/."]
    )
    def test_paths_that_name_nothing(self, objects: Objects, path: bytes) -> None:
        assert objects.listing(SMALL).find(path) is None
        assert objects.listing(SMALL).open(path) is None

    def test_a_folder_is_a_listing(self, objects: Objects) -> None:
        found = objects.listing(SMALL).open(b"sub")
        assert found is not None
        item, listing = found
        assert listing is not None
        assert item.mode == FOLDER
        assert dict(listing.files()) == flat(SMALL[b"sub"])  # type: ignore[arg-type]
        assert objects.listing(SMALL).open(b"link") == (link_item(b"link", b"a"), None)

    def test_one_name_in_a_split_folder_costs_its_part(self, objects: Objects) -> None:
        listing = objects.listing({b"large": LARGE, b"other": SMALL})
        objects.asked.clear()
        assert listing.find(b"large/77") == file_item(b"77", b"77")
        assert len(objects.asked) == 6
        assert listing.find(b"large/no such") is None

    def test_parts_are_not_in_paths(self, objects: Objects) -> None:
        assert dict(objects.listing(LARGE).items()) == flat(LARGE)
        assert objects.listing({b"%dx" % n: b"" for n in range(2000)}).find(b"0") is None

    def test_fifteen_hundred_levels(self, objects: Objects) -> None:
        listing = objects.open(deep(objects, 1500, b"x"))
        path = b"d/" * 1500 + b"file"
        assert [path for path, _ in listing.files()] == [path]
        assert listing.find(path) == file_item(b"file", b"x")
        assert listing.check({}) == (1, 1)
        assert len(list(nodes(objects, [listing.top.tree], set()))) == 1501

    def test_what_was_checked_is_not_read_again(self, objects: Objects) -> None:
        good: dict[Place, tuple[int, int]] = {}
        objects.listing({b"a": LARGE}).check(good)
        other = objects.listing({b"b": LARGE, b"c": b""})
        objects.asked.clear()
        assert other.check(good) == (sum(map(len, LARGE)), 2501)
        assert len(objects.asked) == 2

    def test_each_node_once(self, objects: Objects) -> None:
        seen: set[str] = set()
        first = objects.folder({b"a": SMALL, b"b": SMALL})
        found = list(nodes(objects, [first.tree, first.tree], seen))
        assert len(found) == 5
        assert list(nodes(objects, [objects.folder({b"c": SMALL}).tree], seen)) == [
            Node((objects.folder(SMALL).item(b"c"),))
        ]


def all_of(listing: Listing) -> object:
    return list(listing.items())


def checked(listing: Listing) -> object:
    return listing.check({})


WAYS = pytest.mark.parametrize("read", [all_of, checked])


class TestDamage:
    @WAYS
    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "split"])
    def test_each_missing_object(self, content: Content, read: Callable[[Listing], object]) -> None:
        objects = Objects()
        listing = objects.listing(content)
        for oid in list(objects.found):
            found = objects.found.pop(oid)
            with pytest.raises(ObjectMissing):
                read(listing)
            objects.found[oid] = found
        read(listing)

    @WAYS
    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "split"])
    def test_each_changed_object(self, content: Content, read: Callable[[Listing], object]) -> None:
        objects = Objects()
        listing = objects.listing(content)
        for oid, found in list(objects.found.items()):
            for position in range(0, len(found.data), max(1, len(found.data) // 7)):
                data = bytearray(found.data)
                data[position] ^= 1
                objects.found[oid] = Object(found.type, bytes(data))
                with pytest.raises((MalformedRecord, IntegrityError, ObjectMissing)):
                    read(listing)
            objects.found[oid] = found

    @WAYS
    def test_objects_of_another_kind(self, read: Callable[[Listing], object]) -> None:
        objects = Objects()
        listing = objects.listing(SMALL)
        for oid, found in list(objects.found.items()):
            kind = "blob" if found.type == "tree" else "tree"
            objects.found[oid] = Object(kind, found.data)
            with pytest.raises(MalformedRecord):
                read(listing)
            objects.found[oid] = found

    def test_other_root(self, objects: Objects) -> None:
        folder = objects.folder(SMALL)
        listing = Listing(objects, folder.tree, bytes(32))
        with pytest.raises(IntegrityError):
            listing.find(b"a")

    @WAYS
    @pytest.mark.parametrize("sums", [(2, 1), (1, 2), (0, 0), (1 << 62, 1 << 62)])
    def test_wrong_sums(
        self, objects: Objects, sums: tuple[int, int], read: Callable[[Listing], object]
    ) -> None:
        below = objects.folder({b"a": b"x"})
        lying = Folder(below.sha256, below.tree, *sums)
        top = add_folder(objects.add, [lying.item(b"sub")], {b"sub": below.tree})
        if read is checked:
            with pytest.raises(IntegrityError, match="wrong sums"):
                read(objects.open(top))
        good = objects.folder({b"sub": {b"a": b"x"}})
        assert objects.open(good).check({}) == (1, 1)

    def test_wrong_sums_of_what_is_good_elsewhere(self, objects: Objects) -> None:
        good: dict[Place, tuple[int, int]] = {}
        objects.listing({b"sub": {b"a": b"x"}}).check(good)
        below = objects.folder({b"a": b"x"})
        lying = Folder(below.sha256, below.tree, 7, 7)
        top = add_folder(objects.add, [lying.item(b"sub")], {b"sub": below.tree})
        before = dict(good)
        with pytest.raises(IntegrityError):
            objects.open(top).check(good)
        assert good == before

    @WAYS
    @pytest.mark.parametrize("change", ["without", "more", "renamed", "no node"])
    def test_trees_that_do_not_mirror_the_node(
        self, objects: Objects, change: str, read: Callable[[Listing], object]
    ) -> None:
        folder = objects.folder(SMALL)
        entries = {entry.name: entry for entry in decode_tree(objects.read(folder.tree).data)}
        if change in {"without", "renamed"}:
            below = entries.pop(b"=sub")
        if change == "renamed":
            entries[b"sub"] = below._replace(name=b"sub")
        if change == "more":
            entries[b"=a"] = TreeEntry(MODE_TREE, b"=a", folder.tree)
        if change == "no node":
            del entries[b"node"]
        tree = objects.add("tree", encode_tree(entries.values()))
        with pytest.raises(MalformedRecord):
            read(Listing(objects, tree, folder.sha256))


class TestParts:
    """Parts that no writer makes."""

    def part(self, objects: Objects, name: bytes, digit: bytes) -> Folder:
        """Return a split folder that has one name in one part."""
        below = objects.folder({name: b""})
        return add_node(objects.add, Node((below.item(digit),), is_split=True), {digit: below.tree})

    @WAYS
    def test_name_in_a_part_where_it_belongs(
        self, objects: Objects, read: Callable[[Listing], object]
    ) -> None:
        digit = hashlib.sha256(b"a").hexdigest()[0].encode()
        read(objects.open(self.part(objects, b"a", digit)))

    @WAYS
    def test_name_in_a_part_where_it_does_not(
        self, objects: Objects, read: Callable[[Listing], object]
    ) -> None:
        digit = b"0" if hashlib.sha256(b"a").hexdigest()[0] != "0" else b"1"
        with pytest.raises(MalformedRecord, match="no such part"):
            read(objects.open(self.part(objects, b"a", digit)))

    def test_part_that_is_good_as_a_folder(self, objects: Objects) -> None:
        """What was checked in one place is not good in every other."""
        good: dict[Place, tuple[int, int]] = {}
        objects.listing({b"sub": {b"a": b""}}).check(good)
        digit = b"0" if hashlib.sha256(b"a").hexdigest()[0] != "0" else b"1"
        with pytest.raises(MalformedRecord):
            objects.open(self.part(objects, b"a", digit)).check(good)

    @WAYS
    @pytest.mark.parametrize(("depth", "good"), [(16, True), (17, False), (2000, False)])
    def test_split_as_deep_as_the_hash_goes(
        self,
        objects: Objects,
        read: Callable[[Listing], object],
        *,
        depth: int,
        good: bool,
    ) -> None:
        digits = (hashlib.sha256(b"a").hexdigest() * 40)[:depth]
        folder = objects.folder({b"a": b""})
        for digit in reversed(digits):
            name = digit.encode()
            node = Node((folder.item(name),), is_split=True)
            folder = add_node(objects.add, node, {name: folder.tree})
        listing = objects.open(folder)
        if good:
            read(listing)
            assert listing.find(b"a") == file_item(b"a")
            return
        with pytest.raises(MalformedRecord, match="no such part"):
            read(listing)
        with pytest.raises(MalformedRecord, match="no such part"):
            listing.find(b"a")

    def test_empty_part(self, objects: Objects) -> None:
        empty = objects.folder({})
        top = add_node(objects.add, Node((empty.item(b"0"),), is_split=True), {b"0": empty.tree})
        with pytest.raises(MalformedRecord, match="no such part"):
            list(objects.open(top).items())


class TestCount:
    def test_what_is_shared_counts_as_often_as_it_stands_somewhere(self, objects: Objects) -> None:
        folder = objects.folder({})
        for _ in range(20):  # 20 nodes that stand for two million folders
            items = [folder.item(b"a"), folder.item(b"b")]
            folder = add_folder(objects.add, items, dict.fromkeys((b"a", b"b"), folder.tree))
        assert objects.open(folder).count() == 2**21 - 2


def test_modes_of_files_that_are_none() -> None:
    data = encode_node(Node((Item(b"a", FILE | 0o20, 0, 1, {SHA256: bytes(32)}),)))
    with pytest.raises(MalformedRecord):
        decode_node(data)


def test_large_listing_is_small_in_git(tmp_path: Path) -> None:
    """Nodes are columns, which compress: a file costs little more than its digest."""
    clone = Clone.make(tmp_path / "clone", commit=False)
    repository = Repository.discover(clone.path)
    pack = PackBuilder()
    items = [file_item(b"part-%08d.csv" % number, b"%d" % number) for number in range(20_000)]
    add_folder(pack.add, items, {})
    pack.write(repository.git, repository.common_dir, strict=False).release()
    count = subprocess.run(
        ["git", "count-objects", "-v"], cwd=clone.path, capture_output=True, text=True, check=True
    ).stdout
    size = next(int(line.split()[1]) for line in count.splitlines() if "size-pack" in line)
    assert size << 10 < 20_000 * 64
