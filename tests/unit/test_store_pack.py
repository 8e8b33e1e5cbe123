"""Packs of our own making, read back by git."""

import random
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from gitprov.errors import GitFailed
from gitprov.store import pack as pack_module
from gitprov.store.consolidation import listed_packs
from gitprov.store.objects import MODE_TREE, Commit, object_id
from gitprov.store.pack import Existing, PackBuilder, release_leftovers
from gitprov.store.repository import EMPTY_TREE, Repository
from tests.support.repositories import Clone

AUTHOR = b"Ada <ada@example.org> 1700000000 +0000"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone", commit=False)


@pytest.fixture
def repository(clone: Clone) -> Repository:
    return Repository.discover(clone.path)


def cat_file(repository: Repository, kind: str, oid: str) -> bytes:
    return repository.git.run("cat-file", kind, oid)


def keep_files(repository: Repository) -> list[Path]:
    return list((repository.common_dir / "objects" / "pack").glob("*.keep"))


@pytest.mark.parametrize("bits", [0, 4, 11, 18, 21])
def test_sizes_around_the_bounds_of_the_header(repository: Repository, bits: int) -> None:
    noise = random.Random(bits)  # noqa: S311 -- the same noise each time
    contents = [
        noise.randbytes(size) for size in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1) if size >= 0
    ]
    pack = PackBuilder()
    oids = [pack.add("blob", data) for data in contents]
    pack.write(repository.git, repository.common_dir).release()
    for oid, data in zip(oids, contents, strict=True):
        assert cat_file(repository, "blob", oid) == data


def test_folders_and_commits(clone: Clone, repository: Repository) -> None:
    pack = PackBuilder()
    inner = pack.add_tree({"file": b"inner\n"})
    tree = pack.add_tree(
        {
            "a.txt": b"one\n",
            "a": {"deep": {"er": b"two\n"}, "empty": b""},
            "again": Existing(MODE_TREE, inner),
        }
    )
    commit = pack.add_commit(Commit(tree, (), AUTHOR, AUTHOR, b"packed\n"))
    pack.write(repository.git, repository.common_dir).release()
    listing = clone.git("ls-tree", "-r", "--name-only", commit).split()
    assert listing == ["a.txt", "a/deep/er", "a/empty", "again/file"]
    assert clone.git("show", f"{commit}:a/deep/er") == "two\n"
    clone.git("update-ref", "refs/heads/packed", commit)
    assert clone.git("fsck", "--strict", "--no-dangling") == ""


def test_adding_twice_is_adding_once(repository: Repository) -> None:
    pack = PackBuilder()
    assert pack.add("blob", b"same") == pack.add("blob", b"same") == object_id("blob", b"same")
    assert len(pack) == 1
    pack.write(repository.git, repository.common_dir).release()
    assert repository.git.run("count-objects", "-v").decode().count("in-pack: 1\n") == 1


def test_thousands_of_objects(repository: Repository) -> None:
    pack = PackBuilder()
    oids = [pack.add("blob", b"%d" % number) for number in range(5000)]
    pack.write(repository.git, repository.common_dir).release()
    known = repository.git.run(
        "cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in oids).encode()
    )
    assert known.count(b" blob ") == len(oids)


@pytest.mark.parametrize("held", [0, 1, 100, 10_000])
def test_large_packs_go_through_a_file(
    clone: Clone, repository: Repository, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    noise = random.Random(held)  # noqa: S311 -- the same noise each time
    contents = [noise.randbytes(number) for number in range(300)] + [bytes(1 << 20), b"again"]

    def build() -> tuple[PackBuilder, list[str]]:
        pack = PackBuilder()
        oids = [pack.add("blob", data) for data in [*contents, b"again"]]
        tree = pack.add_tree({"sub": {"file": b"content"}})
        return pack, [*oids, pack.add_commit(Commit(tree, (), AUTHOR, AUTHOR, b"packed\n"))]

    in_memory, oids = build()
    expected = in_memory.write(repository.git, repository.common_dir)
    expected.release()
    other = Clone.make(clone.path.parent / "other", commit=False)
    theirs = Repository.discover(other.path)
    monkeypatch.setattr(pack_module, "_HELD_BYTES", held)
    spilt, again = build()
    assert again == oids
    assert (len(spilt), oids[0] in spilt) == (len(in_memory), True)
    written = spilt.write(theirs.git, theirs.common_dir)
    # The name is the checksum of the whole: every byte is the same.
    assert written.name == expected.name
    written.release()
    other.git("update-ref", "refs/heads/packed", oids[-1])
    assert other.git("fsck", "--strict", "--no-dangling") == ""
    assert [cat_file(theirs, "blob", oid) for oid in oids[: len(contents)]] == contents


def test_large_pack_that_is_refused_is_read_anew_each_time(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "_HELD_BYTES", 100)
    pack = PackBuilder()
    for number in range(100):
        pack.add("blob", b"%d" % number)
    pack.add_commit(Commit("12" * 20, (), AUTHOR, AUTHOR, b"of no tree\n"))
    with pytest.raises(GitFailed):
        pack.write(repository.git, repository.common_dir)
    assert not list((repository.common_dir / "objects" / "pack").glob("*.pack"))
    assert keep_files(repository) == []


def test_memory_stays_below_what_is_packed(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "_HELD_BYTES", 1 << 20)
    noise = random.Random(1)  # noqa: S311
    tracemalloc.start()
    try:
        pack = PackBuilder()
        for _ in range(32):
            pack.add("blob", noise.randbytes(1 << 20))
        pack.write(repository.git, repository.common_dir, strict=False).release()
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


def test_nothing_to_write(repository: Repository) -> None:
    PackBuilder().write(repository.git, repository.common_dir).release()
    assert not list((repository.common_dir / "objects" / "pack").iterdir())


def test_gc_leaves_a_pack_alone_until_it_is_released(repository: Repository) -> None:
    pack = PackBuilder()
    oid = pack.add("blob", b"not yet referred to")
    written = pack.write(repository.git, repository.common_dir)
    repository.git.run("gc", "--prune=now", "--quiet")
    assert cat_file(repository, "blob", oid) == b"not yet referred to"
    written.release()
    assert keep_files(repository) == []
    repository.git.run("gc", "--prune=now", "--quiet")
    assert repository.git.call("cat-file", "-e", oid).returncode != 0


def test_released_pack_is_listed_for_consolidation(repository: Repository) -> None:
    repository.require_writable()
    pack = PackBuilder()
    pack.add("blob", b"content")
    written = pack.write(repository.git, repository.common_dir)
    assert not any(listed_packs(repository.common_dir).values())
    written.release()
    assert listed_packs(repository.common_dir) == {0: [written.name]}


def test_pack_that_cannot_be_listed_is_not_written(repository: Repository) -> None:
    (repository.prov_dir / "packs").mkdir(parents=True)
    pack = PackBuilder()
    pack.add("blob", b"content")
    with pytest.raises(IsADirectoryError):
        pack.write(repository.git, repository.common_dir)
    assert not list((repository.common_dir / "objects" / "pack").iterdir())


def test_pack_that_refers_to_nothing_is_refused(repository: Repository) -> None:
    pack = PackBuilder()
    pack.add_commit(Commit("12" * 20, (), AUTHOR, AUTHOR, b"of no tree\n"))
    with pytest.raises(GitFailed):
        pack.write(repository.git, repository.common_dir)
    assert keep_files(repository) == []
    assert not list((repository.common_dir / "objects" / "pack").glob("*.pack"))


def test_malformed_object_is_refused_unless_told_otherwise(repository: Repository) -> None:
    pack = PackBuilder()
    pack.add("tree", b"")
    oid = pack.add("commit", f"tree {EMPTY_TREE}\nauthor nobody\n\nwords".encode())
    with pytest.raises(GitFailed):
        pack.write(repository.git, repository.common_dir)
    pack.write(repository.git, repository.common_dir, strict=False).release()
    assert cat_file(repository, "commit", oid).endswith(b"words")


def test_leftovers_of_a_dead_writer_are_released(repository: Repository) -> None:
    pack = PackBuilder()
    pack.add("blob", b"its writer was killed")
    pack.write(repository.git, repository.common_dir)
    theirs = repository.common_dir / "objects" / "pack" / "pack-theirs.keep"
    theirs.write_text("somebody else's\n")
    assert len(keep_files(repository)) == 2
    release_leftovers(repository.common_dir)
    assert keep_files(repository) == [theirs]


@pytest.mark.parametrize("fsync", [True, False])
def test_pack_is_readable_by_a_git_that_starts_anew(clone: Clone, *, fsync: bool) -> None:
    repository = Repository.discover(clone.path)
    pack = PackBuilder()
    oid = pack.add("blob", b"content")
    pack.write(repository.git, repository.common_dir, fsync=fsync).release()
    shown = subprocess.run(
        ["git", "cat-file", "blob", oid], cwd=clone.path, capture_output=True, check=True
    )
    assert shown.stdout == b"content"
