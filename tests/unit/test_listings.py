"""Nodes of listings as bytes; each rule of the format has its vector in `tests/vectors/`."""

import hashlib
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitprov.codec import canonical
from gitprov.codec.listings import (
    FILE,
    FOLDER,
    LINK,
    MAX_ITEMS,
    MAX_SPLITS,
    MAX_TEXT_BYTES,
    PROGRAM,
    SHA256,
    Item,
    Node,
    decode_node,
    encode_node,
    is_in_part,
    part_of,
    split,
)
from gitprov.errors import MalformedRecord
from gitprov.store.listings import add_folder
from tests.support.listings import (
    Content,
    Objects,
    contents,
    file_item,
    link_item,
    names,
    small_nodes,
)

DIGEST = bytes(range(32))
digests = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, (1 << 63) - 1)
files = st.builds(
    lambda name, mode, size, sha256, others: Item(name, mode, size, 1, {**others, SHA256: sha256}),
    names,
    st.sampled_from([FILE, PROGRAM]),
    numbers,
    digests,
    st.dictionaries(st.sampled_from(["blake3", "md5"]), st.binary(min_size=1, max_size=40)),
)
without_sha256 = st.builds(
    lambda name, digest: Item(name, FILE, 1, 1, {"blake3": digest}), names, digests
)
targets = st.binary(max_size=9).filter(lambda target: b"\0" not in target)
links = st.builds(link_item, names, targets)
folders = st.builds(
    lambda name, size, count, digest: Item(name, FOLDER, size, count, {SHA256: digest}),
    names,
    numbers,
    numbers,
    digests,
)
items = files | without_sha256 | links | folders


@settings(deadline=None)
@given(st.lists(items, max_size=20, unique_by=lambda item: item.name))
def test_what_is_encoded_is_decoded(found: list[Item]) -> None:
    node = Node(tuple(sorted(found, key=lambda item: item.name)))
    data = encode_node(node)
    assert decode_node(data) == node
    assert encode_node(decode_node(data)) == data


@settings(deadline=None)
@given(st.lists(items, min_size=1, max_size=9, unique_by=lambda item: item.name), st.data())
def test_any_other_byte_is_refused_or_another_node(found: list[Item], data: st.DataObject) -> None:
    """Bytes are an identity: no two say the same."""
    node = Node(tuple(sorted(found, key=lambda item: item.name)))
    encoded = bytearray(encode_node(node))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_node(bytes(encoded))
    except MalformedRecord:
        return
    assert other != node
    assert encode_node(other) == encoded


documents = st.recursive(
    st.booleans() | st.integers(-5, 1 << 40) | st.text(max_size=3) | st.binary(max_size=33),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3)
    ),
    max_leaves=5,
)
COLUMNS = ("digests", "files", "modes", "names", "sizes", "split", "targets")


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(COLUMNS, documents)))
def test_whatever_stands_in_the_columns_nothing_else_is_raised(document: dict[str, Any]) -> None:
    whole = {
        "digests": {SHA256: [DIGEST]},
        "files": [1],
        "modes": [FILE],
        "names": ["a"],
        "sizes": [0],
    }
    data = canonical.encode({**whole, **document})
    try:
        node = decode_node(data)
    except MalformedRecord:
        return
    assert encode_node(node) == data


def shuffled(content: Content, chance: random.Random) -> Content:
    """Return a folder whose dictionaries are filled in another order."""
    found = list(content.items())
    chance.shuffle(found)
    return {
        name: value if isinstance(value, bytes | str) else shuffled(value, chance)
        for name, value in found
    }


@settings(deadline=None)
@given(contents, st.randoms(use_true_random=False))
def test_root_depends_on_nothing_but_what_is_listed(
    content: Content, chance: random.Random
) -> None:
    with small_nodes():
        first, second = Objects(), Objects()
        second.folder({b"something": b"else", b"before": content})
        assert first.folder(content) == second.folder(shuffled(content, chance))


@settings(deadline=None)
@given(contents, contents)
def test_other_content_has_another_root(one: Content, other: Content) -> None:
    with small_nodes():
        objects = Objects()
        assert (objects.folder(one) == objects.folder(other)) == (one == other)


def test_any_change_is_another_root() -> None:
    objects = Objects()
    digest = {SHA256: DIGEST}
    found = {
        add_folder(objects.add, [item], {b"a": objects.add("tree", b"")}).sha256
        for item in (
            Item(b"a", FILE, 1, 1, digest),
            Item(b"b", FILE, 1, 1, digest),
            Item(b"a", PROGRAM, 1, 1, digest),
            Item(b"a", FILE, 2, 1, digest),
            Item(b"a", FILE, 1, 1, {SHA256: DIGEST[::-1]}),
            Item(b"a", FILE, 1, 1, {"blake3": DIGEST}),
            Item(b"a", FILE, 1, 1, {"blake3": DIGEST, **digest}),
            Item(b"a", FOLDER, 1, 1, digest),
            link_item(b"a", b"x"),
            link_item(b"a", b"y"),
        )
    }
    assert len(found) == 10


def test_names_are_text_where_they_can_be() -> None:
    data = encode_node(Node((file_item("é".encode()), file_item(b"\xff"))))
    assert canonical.decode(data)["names"] == ["é", b"\xff"]


def test_empty_folder() -> None:
    data = encode_node(Node(()))
    assert decode_node(data) == Node(())
    assert (Node(()).size, Node(()).files) == (0, 0)


class TestSplitting:
    def test_as_many_as_fit_stay_together(self) -> None:
        assert split([file_item(b"%d" % number) for number in range(MAX_ITEMS)], 0) is None

    def test_one_more_is_split_by_the_digits_of_the_hash(self) -> None:
        found = [file_item(b"%d" % number) for number in range(MAX_ITEMS + 1)]
        parts = split(found, 0)
        assert parts is not None
        assert list(parts) == [b"%x" % digit for digit in range(16)]
        assert sorted(item for part in parts.values() for item in part) == sorted(found)
        for digit, part in parts.items():
            for item in part:
                assert hashlib.sha256(item.name).hexdigest()[0].encode() == digit
                assert part_of(item.name, 0) == digit
                assert is_in_part(item.name, digit)
                assert is_in_part(item.name, digit + part_of(item.name, 1))
                assert not is_in_part(item.name, b"%x" % ((int(digit, 16) + 1) % 16))

    @pytest.mark.parametrize("longer", [0, 1])
    def test_names_and_targets_count(self, longer: int) -> None:
        count = 512
        half = MAX_TEXT_BYTES // count // 2
        found = [link_item(b"%0*d" % (half, number), b"x" * half) for number in range(count - 1)]
        found.append(file_item(b"y" * (2 * half + longer)))
        assert (split(found, 0) is None) == (not longer)
        data = encode_node(Node(tuple(found)))
        if not longer:
            assert decode_node(data).items == tuple(found)
            return
        with pytest.raises(MalformedRecord):
            decode_node(data)

    def test_parts_are_split_again(self) -> None:
        with small_nodes(1):
            found = [file_item(b"%d" % number) for number in range(300)]
            objects = Objects()
            objects.folder({item.name: b"" for item in found})
            nodes = [
                decode_node(item.data) for item in objects.found.values() if item.type == "blob"
            ]
            assert max(len(node.items) for node in nodes) <= 16
            assert sum(len(node.items) for node in nodes if not node.is_split) == 300

    def test_ends_where_the_hash_does(self) -> None:
        with small_nodes(1):
            found = [file_item(b"a"), file_item(b"b")]
            assert split(found, MAX_SPLITS - 1) is not None
            assert split(found, MAX_SPLITS) is None

    def test_one_split_off_leaves_the_other_parts_as_they_are(self) -> None:
        objects = Objects()
        before = objects.listing({b"%d" % number: b"" for number in range(2000)})
        after = objects.listing({b"%d" % number: b"" for number in range(2001)})
        (old, _), (new, _) = before.read(before.top), after.read(after.top)
        assert sum(one != two for one, two in zip(old.items, new.items, strict=True)) == 1


def test_order_is_that_of_bytes_not_of_git() -> None:
    found = [b"a", b"a-", b"a.b", b"a/".rstrip(b"/") + b"0", b"ab", b"\xff"]
    assert all(one < two for one, two in pairwise(found))
    node = Node(tuple(file_item(name) for name in found))
    assert decode_node(encode_node(node)) == node


def test_modes_are_gits() -> None:
    assert (FILE, PROGRAM, LINK, FOLDER) == (0o100644, 0o100755, 0o120000, 0o40000)
