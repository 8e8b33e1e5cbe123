"""The difference of two listings: right, in order, and at the cost of what differs."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitprov.codec.listings import FILE, SHA256, Item
from gitprov.errors import ObjectMissing
from gitprov.store.listing_diff import Difference, differences
from gitprov.store.listings import add_folder
from tests.support.listings import (
    Content,
    Objects,
    contents,
    deep,
    file_item,
    flat,
    names,
    small_nodes,
)

LARGE: Content = {b"%d" % number: b"%d" % number for number in range(2500)}


def naive(before: Content, after: Content) -> list[Difference]:
    """Return what two folders differ in, by comparing all that is in them."""
    old, new = flat(before), flat(after)
    return [
        Difference(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys(), key=lambda path: path.split(b"/"))
        if old.get(path) != new.get(path)
    ]


def found(before: Content, after: Content) -> list[Difference]:
    """Return what the listings of two folders differ in; they may be of two clones."""
    return list(differences(Objects().listing(before), Objects().listing(after)))


def changed(content: Content, draw: st.DrawFn) -> Content:
    """Return a folder with some of what is in it changed, anywhere."""
    other: dict[bytes, bytes | str | Content] = {}
    for name, value in content.items():
        match draw(st.sampled_from(["same", "same", "same", "gone", "other", "below"])):
            case "same":
                other[name] = value
            case "other":
                other[name] = draw(st.binary(max_size=1) | contents)
            case "below" if isinstance(value, Mapping):
                other[name] = changed(value, draw)
    return {**other, **draw(st.dictionaries(names, st.binary(max_size=1), max_size=2))}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Content, Content]:
    """Draw two folders that have much in common."""
    before = draw(contents)
    return before, changed(before, draw)


@settings(deadline=None)
@given(pairs() | st.tuples(contents, contents), st.sampled_from([1, 2, 3, 1024]))
def test_is_that_of_two_plain_lists(pair: tuple[Content, Content], most: int) -> None:
    with small_nodes(most):
        assert found(*pair) == naive(*pair)
        assert found(*reversed(pair)) == naive(*reversed(pair))
        assert found(pair[0], pair[0]) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {b"a": b""}),
        ({b"a": b""}, {b"a": "target"}),
        ({b"a": b"x"}, {b"a": {b"a": b"x"}}),
        ({b"a": {b"b": b"", b"c": b""}}, {b"a": "b"}),
        ({b"a": {}}, {}),
        ({b"a": {}, b"b": {b"c": {}}}, {b"a": b"x"}),
        ({b"a": {b"x": b""}, b"a.b": b"", b"a-": b""}, {b"a": {b"x": b"1"}, b"a.b": b"1"}),
        (LARGE, {}),
        (LARGE, {**LARGE, b"7": b"other", b"new": b""}),
        (LARGE, dict(list(LARGE.items())[:1000])),
        ({b"x": LARGE}, {b"x": dict(list(LARGE.items())[:1025])}),
        (LARGE, {**LARGE, b"7": LARGE}),
    ],
)
def test_cases(before: Content, after: Content) -> None:
    assert found(before, after) == naive(before, after)
    assert found(after, before) == naive(after, before)


def test_mode_and_other_digests_are_differences() -> None:
    objects = Objects()
    sides = [
        objects.open(add_folder(objects.add, [item], {}))
        for item in (
            file_item(b"a"),
            file_item(b"a", mode=FILE | 0o111),
            Item(b"a", FILE, 0, 1, {SHA256: file_item(b"a").sha256, "blake3": b"x"}),
        )
    ]
    for one in sides:
        for other in sides:
            assert bool(list(differences(one, other))) == (one is not other)


def test_what_is_equal_is_not_read() -> None:
    objects = Objects()
    same: Content = {b"%d" % number: {b"file": b"%d" % number} for number in range(100)}
    before = objects.listing({b"same": same, b"a": {b"b": {b"c": b"1", b"large": LARGE}}})
    after = objects.listing({b"same": same, b"a": {b"b": {b"c": b"2", b"large": LARGE}}})
    objects.asked.clear()
    (only,) = differences(before, after)
    assert only.path == b"a/b/c"
    # Three folders, twice, a tree and a node each.
    assert len(objects.asked) == 12


def test_nothing_is_read_of_what_is_the_same() -> None:
    objects = Objects()
    before, after = objects.listing(LARGE), objects.listing(LARGE)
    objects.asked.clear()
    assert list(differences(before, after)) == []
    assert objects.asked == []


def test_one_part_of_a_split_folder() -> None:
    objects = Objects()
    before, after = objects.listing(LARGE), objects.listing({**LARGE, b"7": b"other"})
    objects.asked.clear()
    assert [item.path for item in differences(before, after)] == [b"7"]
    assert len(objects.asked) == 8


def test_no_object_is_read_twice() -> None:
    objects = Objects()
    before = objects.listing({b"a": LARGE, b"b": {b"c": b""}})
    after = objects.listing({b"b": LARGE, b"a": {b"c": b"1"}, b"c": {b"d": {b"e": b""}}})
    objects.asked.clear()
    assert len(list(differences(before, after))) == 5003
    # But for what is on both sides, at other places.
    assert all(objects.asked.count(oid) <= 2 for oid in objects.asked)


@pytest.mark.parametrize("levels", [1500])
def test_deep_folders(levels: int) -> None:
    objects = Objects()
    before = objects.open(deep(objects, levels, b"1"))
    after = objects.open(deep(objects, levels, b"2"))
    path = b"d/" * levels + b"file"
    assert [item.path for item in differences(before, after)] == [path]
    assert [item.path for item in differences(before, objects.listing({}))] == [path]


def test_missing_parts_are_said() -> None:
    objects = Objects()
    before, after = objects.listing({b"a": {b"b": b"1"}}), objects.listing({b"a": {b"b": b"2"}})
    del objects.found[before.read(before.top)[1][b"a"].tree]
    with pytest.raises(ObjectMissing):
        list(differences(before, after))
