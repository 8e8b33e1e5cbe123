"""Files of objects: whole, or known to be damaged."""

import os
import random
import tracemalloc
import zlib
from pathlib import Path

import pytest

from gitprov.errors import ObjectMissing, StoreDamaged
from gitprov.store.object_file import ObjectFile, WithObjectFile, read_objects, write_objects
from gitprov.store.objects import GitObjects, Object, object_id
from gitprov.store.repository import Repository
from tests.support.repositories import Clone

OBJECTS = [
    Object("blob", b""),
    Object("blob", b"a\0b\0c"),
    Object("tree", b""),
    Object("commit", b"c" * 1000),
    Object("blob", random.Random(1).randbytes(5000)),  # noqa: S311
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.mark.parametrize("fsync", [True, False])
def test_what_is_written_is_read(path: Path, *, fsync: bool) -> None:
    write_objects(path, OBJECTS, fsync=fsync)
    assert list(read_objects(path)) == OBJECTS
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 -- names alone are wanted


@pytest.mark.parametrize("size", [(1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 20])
@pytest.mark.parametrize("zeros", [True, False])
def test_objects_larger_than_a_piece(path: Path, size: int, *, zeros: bool) -> None:
    data = bytes(size) if zeros else random.Random(size).randbytes(size)  # noqa: S311
    objects = [Object("blob", b"before"), Object("blob", data), Object("tree", b"behind")]
    write_objects(path, objects, fsync=False)
    assert list(read_objects(path)) == objects


def test_objects_stand_once(path: Path) -> None:
    written = ObjectFile(path.with_name("new"))
    assert written.add("blob", b"a") == written.add("blob", b"a") == object_id("blob", b"a")
    assert written.add("tree", b"") != written.add("blob", b"")
    written.keep(path, fsync=True)
    assert list(read_objects(path)) == [
        Object("blob", b"a"),
        Object("tree", b""),
        Object("blob", b""),
    ]


def test_no_file_and_no_objects(path: Path) -> None:
    assert list(read_objects(path)) == []
    write_objects(path, [], fsync=True)
    assert path.stat().st_size
    assert list(read_objects(path)) == []


def test_there_is_no_name_before_the_end(path: Path) -> None:
    written = ObjectFile(path.with_name("new"))
    written.add("blob", b"a")
    assert not path.exists()
    written.discard()
    written.discard()
    assert not list(path.parent.iterdir())


def test_error_while_writing_leaves_nothing(path: Path) -> None:
    def objects() -> object:
        yield OBJECTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_objects(path, objects(), fsync=True)  # type: ignore[arg-type]
    assert not list(path.parent.iterdir())


def test_cut_anywhere(path: Path) -> None:
    write_objects(path, OBJECTS[:-1], fsync=False)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreDamaged, match="is damaged"):
            list(read_objects(path))


def test_any_byte_flipped(path: Path) -> None:
    """What is read may be wrong until the end is reached, which says so."""
    write_objects(path, OBJECTS, fsync=False)
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        read = []
        with pytest.raises(StoreDamaged, match="is damaged"):
            read.extend(read_objects(path))
        assert all(item.type in {"blob", "tree", "commit"} for item in read)


@pytest.mark.parametrize(
    "content",
    [
        b"blob 1",
        b"blob 2\0x",
        b"blob -1\0x",
        b"blob x\0x",
        b"blob\0",
        b"blub 1\0x",
        b"\0",
        b"x" * 100,
        b"blob 99999999999999999999\0",
        b"blob 1073741825\0",
        "blob ²\0".encode(),
        b"tree 0\0garbage",
    ],
)
def test_content_that_is_no_object(path: Path, content: bytes) -> None:
    path.write_bytes(zlib.compress(content))
    with pytest.raises(StoreDamaged, match="is damaged"):
        list(read_objects(path))


def test_no_zlib(path: Path) -> None:
    path.write_bytes(b"no zlib")
    with pytest.raises(StoreDamaged, match="is damaged"):
        list(read_objects(path))


def test_memory_is_that_of_one_object(path: Path) -> None:
    written = ObjectFile(path.with_name("new"))
    for number in range(64):
        written.add("blob", number.to_bytes(4, "big") + bytes(1 << 20))
    written.keep(path, fsync=False)
    tracemalloc.start()
    try:
        assert sum(len(item.data) for item in read_objects(path)) == 64 * (4 + (1 << 20))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_trees_of_a_file_beside_a_repository(path: Path, tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "clone")
    repository = Repository.discover(clone.path)
    blob = clone.git("rev-parse", "HEAD:train.py").strip()
    tree = Object("tree", b"100644 new\0" + bytes(20))
    write_objects(path, [tree, Object("blob", b"x")], fsync=False)
    reader = WithObjectFile(GitObjects(repository.git), path)
    try:
        assert reader.read(object_id(*tree)) == tree
        assert reader.read(blob).type == "blob"
        with pytest.raises(ObjectMissing):
            reader.read(object_id("blob", b"x"))
        oids = [blob, object_id(*tree), "0" * 40, object_id(*tree)]
        found = [item and item.type for item in reader.read_many(oids)]
        assert found == ["blob", "tree", None, "tree"]
    finally:
        reader.close()
