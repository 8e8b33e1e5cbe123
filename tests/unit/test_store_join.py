"""Joining chains: nothing is lost, and everybody makes the same commit."""

from pathlib import Path

import pytest

from gitprov.errors import MalformedRecord
from gitprov.store.join import join_chains, merge_commit
from gitprov.store.ledger import list_entries
from gitprov.store.objects import Commit, decode_commit, encode_commit
from gitprov.store.pack import PackBuilder
from gitprov.store.refs import Area
from gitprov.store.repository import EMPTY_TREE
from gitprov.store.store import Store
from tests.support.chains import write_pack
from tests.support.repositories import Clone


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path / "clone").store()


def chain(store: Store, *times: int, on: str | None = None, note: str = "") -> str:
    """Store a chain of commits made at these times and return its tip."""
    pack, tip = PackBuilder(), on
    pack.add("tree", b"")
    for time in times:
        person = f"Ada <ada@example.org> {time} +0000".encode()
        tip = pack.add_commit(
            Commit(EMPTY_TREE, (tip,) if tip else (), person, person, f"{note}{time}\n".encode())
        )
    write_pack(store, pack)
    assert tip is not None
    return tip


def join(
    store: Store, ours: str | None, theirs: str, *, area: Area = "ledger", published: bool = False
) -> str:
    pack = PackBuilder()
    known = [theirs, ours] if published and ours else [theirs]
    tip = join_chains(store.repository.git, store.objects, pack, ours, theirs, area, known)
    write_pack(store, pack)
    return tip


def messages(store: Store, tip: str) -> list[str]:
    return [
        decode_commit(store.objects.read(oid).data).message.decode().strip()
        for oid in list_entries(store.repository.git, [tip])
    ]


def test_nothing_of_ours(store: Store) -> None:
    theirs = chain(store, 1)
    assert join(store, None, theirs) == theirs


def test_one_side_is_ahead(store: Store) -> None:
    base = chain(store, 1)
    ahead = chain(store, 2, on=base)
    assert join(store, base, ahead) == ahead
    assert join(store, ahead, base) == ahead
    assert join(store, base, base) == base


def test_unpublished_entries_are_made_anew(store: Store) -> None:
    base = chain(store, 1)
    ours, theirs = chain(store, 2, 3, on=base), chain(store, 4, on=base)
    tip = join(store, ours, theirs)
    assert messages(store, tip) == ["1", "4", "2", "3"]
    old, new = (decode_commit(store.objects.read(oid).data) for oid in (ours, tip))
    assert new._replace(parents=()) == old._replace(parents=())


@pytest.mark.parametrize("area", ["ledger", "keep", "payload"])
def test_published_chains_are_merged_the_same_from_both_sides(store: Store, area: Area) -> None:
    base = chain(store, 1)
    ours, theirs = chain(store, 2, 9, on=base), chain(store, 4, on=base)
    tip = join(store, ours, theirs, area=area, published=True)
    assert join(store, theirs, ours, area=area, published=True) == tip
    merge = decode_commit(store.objects.read(tip).data)
    assert merge.parents == tuple(sorted([ours, theirs]))
    assert merge.tree == EMPTY_TREE
    assert merge.author == merge.committer == b"gitprov <unknown> 9 +0000"
    assert join(store, tip, theirs, area=area, published=True) == tip


@pytest.mark.parametrize("area", ["keep", "payload"])
def test_other_areas_are_never_made_anew(store: Store, area: Area) -> None:
    ours, theirs = chain(store, 2), chain(store, 4)
    tip = join(store, ours, theirs, area=area)
    assert set(decode_commit(store.objects.read(tip).data).parents) == {ours, theirs}


def test_unpublished_merges_are_merged_again(store: Store) -> None:
    one, two, three = chain(store, 2), chain(store, 4), chain(store, 6)
    first = join(store, one, two, published=True)
    tip = join(store, first, three)
    assert sorted(messages(store, tip)) == ["2", "4", "6", "Join two chains", "Join two chains"]


@pytest.mark.parametrize("area", ["ledger", "keep", "payload"])
def test_joins_that_hold_nothing_more_give_way(store: Store, area: Area) -> None:
    one, two, three = chain(store, 2), chain(store, 4), chain(store, 6)
    joined = join(store, one, two, area=area, published=True)
    others = join(store, one, three, published=True)
    theirs = chain(store, 8, on=join(store, two, others, published=True))
    assert join(store, joined, theirs, area=area, published=True) == theirs
    back = join(store, theirs, joined, area=area, published=True)
    assert decode_commit(store.objects.read(back).data).parents == tuple(sorted([joined, theirs]))


def test_of_two_joins_of_the_same_one_gives_way(store: Store) -> None:
    """On the other side they are joined once more: what was published must be reached."""
    one, two, three = chain(store, 2), chain(store, 4), chain(store, 6)
    here = join(store, join(store, one, two, published=True), three, published=True)
    there = join(store, join(store, three, two, published=True), one, published=True)
    lesser, greater = sorted([here, there])
    assert join(store, lesser, greater, published=True) == greater
    again = join(store, greater, lesser, published=True)
    assert decode_commit(store.objects.read(again).data).parents == (lesser, greater)
    assert join(store, greater, again, published=True) == again


def test_order_of_joining_three_does_not_lose_any(store: Store) -> None:
    tips = [chain(store, number) for number in (3, 5, 7)]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        first = join(store, tips[order[0]], tips[order[1]], published=True)
        tip = join(store, first, tips[order[2]], published=True)
        assert {"3", "5", "7"} <= set(messages(store, tip))


@pytest.mark.parametrize(
    "committer", [b"", b"x", b"Ada <a> yesterday +0000", b"Ada <a> 1", b"A <a> -5 +0000",
                  b"A <a> 99999999999999999999999999 +0000"]
)  # fmt: skip
def test_commit_without_a_date_is_refused(store: Store, committer: bytes) -> None:
    pack = PackBuilder()
    pack.add("tree", b"")
    odd = pack.add(
        "commit", encode_commit(Commit(EMPTY_TREE, (), b"A <a> 1 +0000", committer, b"x"))
    )
    write_pack(store, pack)
    with pytest.raises(MalformedRecord, match="no date"):
        merge_commit(store.objects, PackBuilder(), [chain(store, 1), odd])
