"""Git objects as values, and both readers of them under one contract."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.errors import GitprovError, IntegrityError, MalformedRecord, ObjectMissing
from gitprov.store import objects
from gitprov.store.libgit2 import LibgitObjects
from gitprov.store.objects import (
    MODE_FILE,
    MODE_TREE,
    Commit,
    GitObjects,
    Object,
    ObjectReader,
    TreeEntry,
    decode_commit,
    decode_tree,
    encode_commit,
    encode_tree,
    object_id,
)
from gitprov.store.repository import EMPTY_TREE
from tests.support.repositories import Clone
from tests.support.runs import loose_object

ABSENT = "1234567890" * 4
PERSON = b"Ada <ada@example.org> 1700000000 +0000"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "clone")


def hash_object(clone: Clone, kind: str, data: bytes) -> str:
    result = subprocess.run(
        ["git", "hash-object", "-t", kind, "-w", "--stdin"],
        cwd=clone.path,
        input=data,
        capture_output=True,
        check=True,
    )
    return result.stdout.decode().strip()


class ReaderContract:
    """What every ObjectReader guarantees."""

    def open(self, clone: Clone) -> ObjectReader:
        raise NotImplementedError

    @pytest.fixture
    def reader(self, clone: Clone) -> Iterator[ObjectReader]:
        made = self.open(clone)
        yield made
        made.close()

    def test_reads_every_type(self, clone: Clone, reader: ObjectReader) -> None:
        clone.git("tag", "-a", "-m", "annotated", "v1")
        for kind, name in {
            "commit": "HEAD",
            "tree": "HEAD^{tree}",
            "blob": "HEAD:train.py",
            "tag": "v1",
        }.items():
            oid = clone.git("rev-parse", name).strip()
            found = reader.read(oid)
            assert found.type == kind
            assert object_id(kind, found.data) == oid

    @pytest.mark.parametrize(
        "data", [b"", b"\0", b"no newline", b"a\nb\n\n", bytes(range(256)) * 300]
    )
    def test_reads_content_byte_for_byte(
        self, clone: Clone, reader: ObjectReader, data: bytes
    ) -> None:
        assert reader.read(hash_object(clone, "blob", data)) == Object("blob", data)

    def test_missing_object(self, reader: ObjectReader) -> None:
        with pytest.raises(ObjectMissing, match=ABSENT):
            reader.read(ABSENT)
        assert list(reader.read_many([ABSENT])) == [None]

    @pytest.mark.parametrize("name", ["", "no such name", ABSENT[:-1] + "g"])
    def test_what_is_no_name_is_missing(self, reader: ObjectReader, name: str) -> None:
        with pytest.raises(ObjectMissing):
            reader.read(name)

    def test_many_in_the_order_asked_for(self, clone: Clone, reader: ObjectReader) -> None:
        contents = [f"content {number}".encode() for number in range(30)]
        oids = [hash_object(clone, "blob", data) for data in contents]
        asked, expected = [], []
        for number in range(500):
            index = number * 7 % 31
            asked.append(ABSENT if index == 30 else oids[index])
            expected.append(None if index == 30 else Object("blob", contents[index]))
        assert list(reader.read_many(asked)) == expected

    def test_stopping_early_leaves_the_reader_usable(
        self, clone: Clone, reader: ObjectReader
    ) -> None:
        one, other = (hash_object(clone, "blob", data) for data in (b"one", b"other"))
        assert next(iter(reader.read_many([one] * 200))) == Object("blob", b"one")
        assert reader.read(other) == Object("blob", b"other")

    def test_nothing_asked_for(self, reader: ObjectReader) -> None:
        assert list(reader.read_many([])) == []

    def test_big_object(self, clone: Clone, reader: ObjectReader) -> None:
        data = bytes(range(256)) * (20 << 12)
        oid = hash_object(clone, "blob", data)
        assert reader.read(oid).data == data
        assert [found and len(found.data) for found in reader.read_many([oid, oid])] == [
            len(data),
            len(data),
        ]

    def test_object_that_arrives_later(self, clone: Clone, reader: ObjectReader) -> None:
        oid = object_id("blob", b"later")
        assert next(reader.read_many([oid])) is None
        assert hash_object(clone, "blob", b"later") == oid
        assert reader.read(oid) == Object("blob", b"later")

    def test_packed_object_that_arrives_later(self, clone: Clone, reader: ObjectReader) -> None:
        reader.read(clone.git("rev-parse", "HEAD").strip())
        oid = hash_object(clone, "blob", b"packed later")
        clone.git("update-ref", "refs/tags/kept", oid)
        clone.git("repack", "-a", "-d", "--quiet")
        assert not (clone.path / ".git" / "objects" / oid[:2] / oid[2:]).exists()
        assert reader.read(oid) == Object("blob", b"packed later")

    def test_replace_refs_are_not_followed(self, clone: Clone, reader: ObjectReader) -> None:
        one, other = (hash_object(clone, "blob", data) for data in (b"one", b"other"))
        clone.git("replace", one, other)
        assert reader.read(one) == Object("blob", b"one")

    def test_damaged_loose_object_is_an_error_of_ours(
        self, clone: Clone, reader: ObjectReader
    ) -> None:
        oid = hash_object(clone, "blob", b"some content " * 100)
        path = loose_object(clone.store(), oid)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(GitprovError):
            reader.read(oid)


class TestGitObjects(ReaderContract):
    def open(self, clone: Clone) -> ObjectReader:
        return GitObjects(clone.store().repository.git)

    def test_no_more_than_a_few_bytes_are_held(
        self, clone: Clone, reader: ObjectReader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contents = [b"%d" % number * (number % 7) for number in range(100)]
        oids = [hash_object(clone, "blob", data) for data in contents]
        asked = [*oids[:50], ABSENT, *oids[50:]]
        for held in (1, 30, 1000):
            monkeypatch.setattr(objects, "_HELD_BYTES", held)
            found = [item and item.data for item in reader.read_many(asked)]
            assert found == [*contents[:50], None, *contents[50:]]

    def test_object_beyond_the_limit(
        self, clone: Clone, reader: ObjectReader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(objects, "MAX_OBJECT_BYTES", 1000)
        big, small = (hash_object(clone, "blob", b"x" * size) for size in (200_000, 1000))
        with pytest.raises(MalformedRecord, match="over the limit"):
            reader.read(big)
        assert len(reader.read(small).data) == 1000


class TestLibgitObjects(ReaderContract):
    def open(self, clone: Clone) -> ObjectReader:
        repository = clone.store().repository
        return LibgitObjects(repository.git_dir, repository.common_dir)

    def test_content_that_is_not_its_name(self, clone: Clone, reader: ObjectReader) -> None:
        store = clone.store()
        one, other = (hash_object(clone, "blob", data) for data in (b"one", b"other"))
        path = loose_object(store, one)
        path.chmod(0o644)
        path.write_bytes(loose_object(store, other).read_bytes())
        with pytest.raises(IntegrityError, match=one):
            reader.read(one)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b"],
        ["a/", "a.b", "a-b", "a0"],
        ["foo/", "foo.py", "foo-bar", "foo0"],
        ["b", "a/", "ab", "a b", "á", "A/"],
        ["\x7f", "~", "zz/", "zz.", "zz0", "zz"[:1]],
    ],
)
def test_trees_are_in_git_s_order(clone: Clone, names: list[str]) -> None:
    blob = clone.git("rev-parse", "HEAD:train.py").strip()
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    entries = [
        TreeEntry(MODE_TREE, name[:-1].encode(), tree)
        if name.endswith("/")
        else TreeEntry(MODE_FILE, name.encode(), blob)
        for name in names
    ]
    lines = "".join(
        f"{entry.mode:06o} {'tree' if entry.mode == MODE_TREE else 'blob'} {entry.oid}\t"
        f"{entry.name.decode()}\0"
        for entry in entries
    )
    made = subprocess.run(
        ["git", "mktree", "-z"],
        cwd=clone.path,
        input=lines.encode(),
        capture_output=True,
        check=True,
    )
    data = encode_tree(entries)
    assert object_id("tree", data) == made.stdout.decode().strip()
    assert sorted(decode_tree(data)) == sorted(entries)
    assert encode_tree(decode_tree(data)) == data


def test_empty_tree() -> None:
    assert object_id("tree", encode_tree([])) == EMPTY_TREE
    assert decode_tree(b"") == []


@pytest.mark.parametrize(
    "data",
    [
        b"100644",
        b"100644 a",
        b"100644 a\0" + b"x" * 19,
        b"10x644 a\0" + b"x" * 20,
        b"100644 a\0" + b"x" * 20 + b"100644 b\0",
        b" a\0" + b"x" * 20,
    ],
)
def test_what_is_no_tree_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_tree(data)


def test_trees_cut_anywhere_are_refused_or_shorter() -> None:
    whole = [TreeEntry(MODE_FILE, name, ABSENT) for name in (b"a", b"bb", b"ccc")]
    data = encode_tree(whole)
    for length in range(len(data)):
        try:
            entries = decode_tree(data[:length])
        except MalformedRecord:
            continue
        assert entries == whole[: len(entries)]
        assert len(entries) < len(whole)


@pytest.mark.parametrize("parents", [0, 1, 3])
@pytest.mark.parametrize("message", [b"", b"subject\n", "größer\n\nbody\n\n".encode()])
def test_commits_are_git_s_own(clone: Clone, parents: int, message: bytes) -> None:
    commit = Commit(
        clone.git("rev-parse", "HEAD^{tree}").strip(),
        tuple(clone.commit(f"parent {number}") for number in range(parents)),
        PERSON,
        b"Grace <> 1700000001 -0130",
        message,
    )
    data = encode_commit(commit)
    oid = hash_object(clone, "commit", data)
    assert oid == object_id("commit", data)
    assert decode_commit(data) == commit
    shown = clone.git("log", "-1", "--format=%T%n%P%n%an <%ae> %at%n%cn <%ce> %ct", oid)
    assert shown.splitlines() == [
        commit.tree,
        " ".join(commit.parents),
        "Ada <ada@example.org> 1700000000",
        "Grace <> 1700000001",
    ]


def test_commit_with_other_headers_is_read(clone: Clone) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    data = (
        f"tree {tree}\nparent {ABSENT}\nauthor ".encode()
        + PERSON
        + b"\ncommitter "
        + PERSON
        + b"\nencoding latin-1\ngpgsig -----BEGIN\n parent 1\n author x\n -----END\n\nwords\n"
    )
    assert decode_commit(data) == Commit(tree, (ABSENT,), PERSON, PERSON, b"words\n")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"tree " + EMPTY_TREE.encode(),
        b"tree HEAD\n\nwords",
        b"tree " + EMPTY_TREE.encode() + b"\nparent HEAD~1\n\nwords",
        b"tree " + EMPTY_TREE.encode() + b"\nparent a b\n\nwords",
        b"parent " + ABSENT.encode() + b"\n\nwords",
    ],
)
def test_what_is_no_commit_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_commit(data)


@pytest.mark.parametrize(
    ("author", "message"),
    [
        (b"Ada\nparent 1 <> 0 +0000", b""),
        (b"Ada\0 <> 0 +0000", b""),
        (PERSON, b"cut\0off"),
    ],
)
def test_control_characters_never_enter_a_commit(author: bytes, message: bytes) -> None:
    with pytest.raises(MalformedRecord):
        encode_commit(Commit(EMPTY_TREE, (), author, PERSON, message))
