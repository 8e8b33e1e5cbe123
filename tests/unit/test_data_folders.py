"""Folders as inputs: what their listings hold, and what is left out."""

import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Collection
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gitprov.capture.data.folders import FolderCapture
from gitprov.capture.data.options import DataOptions
from gitprov.capture.data.stat_cache import StatCache
from gitprov.capture.hashing import STAT_BYTES
from gitprov.capture.hashing.pool import Pool
from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.commitments import commitment
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Scanner
from gitprov.codec.listings import FOLDER, PROGRAM, SHA256
from gitprov.store.store import Store
from tests.support.captured_folders import Capture, expected, in_a_process, write
from tests.support.listings import Content, Objects, file_item, flat, link_item
from tests.support.repositories import Clone
from tests.support.secrets import github_token

FOLLOWED = DataOptions(follow_links=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path.resolve() / "top", commit=False).store()


@pytest.fixture
def data(store: Store) -> Path:
    folder = store.repository.require_work_tree() / "data"
    folder.mkdir()
    return folder


ODD: Content = {
    b"a": b"a",
    b"deep": {b"er": {b"b": b"bb", b"empty": {}}},
    b"caf\xe9": b"ccc",
    b"new\nline": {b" ": b"", b"\x1b[31m": b""},
    b"link": "a",
    b"up": "..",
    b"absolute": "/etc",
    b"dangling": "nowhere",
    b"odd": os.fsdecode(b"\xff"),
    b"loop": ".",
    b"empty": {},
    b"a.b": b"",
    b"x" * 255: b"",
}


class TestWhatIsListed:
    def test_everything_below(self, store: Store, data: Path) -> None:
        write(data, ODD)
        found = Capture(store)
        assert found.missing == {}
        content = {**ODD, b"odd": "", b"link": "a"}
        del content[b"odd"]
        assert found.files == {**flat(content), b"odd": link_item(b"odd", b"\xff")}
        folders = [path for path, item in found.listing.items() if item.mode == FOLDER]
        assert folders == [b"deep", b"deep/er", b"deep/er/empty", b"empty", b"new\nline"]
        assert found.listing.check({}) == (found.artifact.size, found.artifact.file_count)

    @pytest.mark.parametrize("count", [0, 1, 1024, 1025, 3000])
    def test_root_is_that_of_the_content(self, store: Store, data: Path, count: int) -> None:
        content: Content = {b"sub": {b"%d" % number: b"%d" % number for number in range(count)}}
        write(data, content)
        assert Capture(store).artifact == expected(content)

    def test_an_empty_folder(self, store: Store, data: Path) -> None:
        assert Capture(store).artifact == expected({})
        assert data.is_dir()

    def test_programs(self, store: Store, data: Path) -> None:
        for number, mode in enumerate((0o644, 0o755, 0o700, 0o655, 0o600, 0o4755)):
            (data / f"{number}").write_bytes(b"x")
            (data / f"{number}").chmod(mode)
        modes = [item.mode == PROGRAM for item in Capture(store).files.values()]
        assert modes == [False, True, True, False, False, True]

    def test_folders_of_git_are_left_out(self, store: Store, data: Path) -> None:
        git: Content = {b"config": b"not data"}
        write(data, {b".git": git, b"sub": {b".git": git, b"a": b"", b"x.git": git}})
        found = Capture(store)
        assert found.artifact == expected({b"sub": {b"a": b"", b"x.git": git}})
        assert found.missing == {}

    def test_files_and_links_named_so_are_left_out(self, store: Store, data: Path) -> None:
        """As other work trees and submodules have them: they name a place of this machine."""
        write(data, {b".git": b"gitdir: x", b"sub": {b".git": "elsewhere", b"a": b"a"}})
        assert Capture(store).artifact == expected({b"sub": {b"a": b"a"}})

    def test_the_work_tree_itself(self, store: Store, data: Path) -> None:
        write(data, {b"a": b"a"})
        found = Capture(store, name=".")
        assert found.files == flat({b"data": {b"a": b"a"}})
        assert found.artifact.path == "."

    def test_equal_content_is_an_equal_digest(self, store: Store, data: Path) -> None:
        for name, order in (("one", "abc"), ("two", "cba")):
            (data / name).mkdir()
            for letter in order:
                (data / name / letter).write_text(letter)
        os.utime(data / "two/a", (1, 1))
        found = Capture(store).listing
        assert found.folder()[0].digests == found.folder()[1].digests

    def test_any_change_is_another_digest(self, store: Store, data: Path) -> None:
        file = data / "file"
        file.write_text("x")
        digests = {Capture(store).artifact.digest["sha256"]}
        for change in (
            lambda: file.write_text("y"),
            lambda: file.chmod(0o755),
            lambda: file.rename(data / "other"),
            lambda: (data / "link").symlink_to("a"),
            (data / "empty").mkdir,
            (data / "link").unlink,
        ):
            change()
            digests.add(Capture(store).artifact.digest["sha256"])
        assert len(digests) == 7

    def test_other_digests_of_files(self, store: Store, data: Path) -> None:
        write(data, {b"a": b"a", b"link": "a", b"sub": {b"b": b"b"}})
        found = Capture(store, DataOptions(algorithms=("md5",)))
        md5 = hashlib.md5(b"b", usedforsecurity=False).digest()
        assert found.listing.find(b"sub/b") == file_item(b"b", b"b")._replace(digests={"md5": md5})
        assert found.listing.find(b"link") == link_item(b"link", b"a")
        assert found.artifact.digest.keys() == {SHA256}
        both = Capture(store, DataOptions(algorithms=("md5", "sha256"))).listing.find(b"sub/b")
        assert both is not None
        assert both.digests == {"md5": md5, "sha256": hashlib.sha256(b"b").digest()}


class TestLinks:
    def test_files_and_folders_that_they_lead_to(self, store: Store, data: Path) -> None:
        outside = data.parent / "outside"
        outside.mkdir()
        write(outside, {b"a": b"a", b"sub": {b"b": b"b"}, b".git": {b"c": b""}})
        write(data, {b"file": "../outside/a", b"folder": "../outside", b"git": "../outside/.git"})
        found = Capture(store, FOLLOWED)
        content: Content = {
            b"file": b"a",
            b"folder": {b"a": b"a", b"sub": {b"b": b"b"}},
            b"git": {b"c": b""},
        }
        assert found.artifact == replace(expected(content), links="followed")
        assert found.missing == {}

    def test_what_leads_nowhere_or_around_stays_a_link(self, store: Store, data: Path) -> None:
        content: Content = {
            b"dangling": "nowhere",
            b"circle": "circle",
            b"self": ".",
            b"sub": {b"up": "..", b"top": str(data), b"deep": {b"up": "../.."}},
        }
        write(data, content)
        found = Capture(store, FOLLOWED)
        assert found.artifact == replace(expected(content), links="followed")

    def test_a_link_to_the_folder_itself(self, store: Store, data: Path) -> None:
        write(data, {b"a": b"a"})
        (data.parent / "link").symlink_to("data")
        found = Capture(store, name="link")
        assert found.artifact == replace(expected({b"a": b"a"}), path="link")

    def test_target_that_changes(self, store: Store, data: Path) -> None:
        outside = data.parent / "outside"
        outside.mkdir()
        write(data, {b"link": "../outside"})
        recorded = Capture(store).artifact
        first = Capture(store, FOLLOWED).artifact
        (outside / "a").write_bytes(b"a")
        assert Capture(store).artifact == recorded
        second = Capture(store, FOLLOWED).artifact
        assert second.digest != first.digest
        (outside / "a").write_bytes(b"b")
        assert Capture(store, FOLLOWED).artifact.digest not in (first.digest, second.digest)

    def test_folders_that_link_to_each_other(self, store: Store, data: Path) -> None:
        """Each is followed to once: else there would be a million paths."""
        for one in range(8):
            (data / f"d{one}").mkdir()
            (data / f"d{one}/file").write_text(str(one))
            for other in range(8):
                (data / f"d{one}/to{other}").symlink_to(f"../d{other}")
        count = Capture(store, FOLLOWED).artifact.file_count
        assert count is not None
        assert count < 200


class TestWhatIsLeftOut:
    def test_what_is_neither_file_nor_folder(self, store: Store, data: Path) -> None:
        write(data, {b"a": b"a", b"sub": {}})
        os.mkfifo(data / "sub/pipe")
        with socket.socket(socket.AF_UNIX) as server:
            here = os.open(data, os.O_RDONLY)
            try:  # by a short path
                server.bind(f"/proc/self/fd/{here}/socket")
            finally:
                os.close(here)
            found = Capture(store)
        why = "neither a file, a link nor a folder"
        assert found.missing == {"inputs.data/sub/pipe": why, "inputs.data/socket": why}
        assert found.artifact == expected({b"a": b"a", b"sub": {}})

    def test_many_are_counted(self, store: Store, data: Path) -> None:
        for number in range(50):
            os.mkfifo(data / f"{number:02}")
        missing = Capture(store).missing
        assert len(missing) == 21
        assert missing["inputs.data.rest"] == "30 others could not be read either"

    def test_what_may_not_be_read(self, store: Store, data: Path) -> None:
        """As a user without rights, whoever runs this."""
        write(data, {b"a": b"a", b"file": b"x", b"caf\xe9": b"x", b"closed": {b"b": b""}})
        closed = [data / "file", data / os.fsdecode(b"caf\xe9"), data / "closed"]
        for path in closed:
            path.chmod(0)
        try:
            found = in_a_process(store)
        finally:
            for path in closed:
                path.chmod(0o700)
        why = "Permission denied"
        assert found["missing"] == {
            "inputs.data/file": why,
            "inputs.data/caf\udce9": why,
            "inputs.data/closed": why,
        }
        left = expected({b"a": b"a", b"closed": {}})
        assert found["sha256"] == left.digest["sha256"].hex()
        # What can be read by now is.
        everything: Content = {
            b"a": b"a", b"file": b"x", b"caf\xe9": b"x", b"closed": {b"b": b""},
        }  # fmt: skip
        for path in closed[:2]:
            path.chmod(0o600)
        assert Capture(store).artifact == expected(everything)

    def test_folder_that_may_not_be_read(self, store: Store, data: Path) -> None:
        data.chmod(0)
        try:
            found = in_a_process(store)
        finally:
            data.chmod(0o700)
        assert found["missing"] == {"inputs.data": "Permission denied"}
        assert found["sha256"] is None


def test_deep_folders(store: Store, data: Path) -> None:
    """As deep as the system lets a path be."""
    here = os.open(data, os.O_RDONLY)
    room = os.pathconf("/", "PC_PATH_MAX") - len(os.fsencode(data)) - 10
    try:
        for _ in range(room // 2):
            os.mkdir("d", dir_fd=here)
            inner = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    finally:
        os.close(here)
    found = Capture(store)
    assert found.missing == {}
    assert found.artifact.file_count == 1
    ((path, item),) = found.listing.files()
    assert path == b"d/" * (room // 2) + b"f"
    assert found.listing.find(path) == item
    shutil.rmtree(data) if room < 900 else subprocess.run(["rm", "-r", str(data)], check=True)


class TestSecrets:
    @pytest.fixture
    def redactor(self) -> Redactor:
        return Redactor(Scanner(Allowed()), lambda: bytes(32))

    def test_none_in_names_and_links(self, store: Store, data: Path, redactor: Redactor) -> None:
        token = github_token()
        write(
            data,
            {
                token.encode(): {b"part.csv": b"1"},
                b"fine.csv": b"1",
                b"link": f"https://ada:{token}@hub.internal/",
                b"sub": {f"x-{token}".encode(): b"2"},
            },
        )
        found = Capture(store, redactor=redactor)
        stands = commitment(bytes(32), token).encode()
        assert found.missing == {}
        assert redactor.found == {"inputs.listing": "GitHub Token"}
        (kept,) = found.journal.listings()
        whole = b"".join(item.data for item in kept.objects())
        assert token.encode() not in whole
        assert {stands + b"/part.csv", b"fine.csv", b"sub/x-" + stands} <= found.files.keys()
        link = found.listing.find(b"link")
        assert link is not None
        assert stands in (link.target or b"")
        assert link == link_item(b"link", link.target or b"")
        assert found.listing.check({}) == (3, 4)
        # Again, from the cache.
        assert Capture(store, redactor=redactor).artifact == found.artifact

    def test_none_in_a_split_folder(self, store: Store, data: Path, redactor: Redactor) -> None:
        """What the listing says of a name decides about its part."""
        tokens = [github_token() for _ in range(5)]
        write(data, {f"{number}".encode(): b"" for number in range(1100)})
        write(data, {f"x-{token}".encode(): b"secret" for token in tokens})
        listing = Capture(store, redactor=redactor).listing
        assert listing.check({}) == (30, 1105)
        for token in tokens:
            name = f"x-{commitment(bytes(32), token)}".encode()
            assert listing.find(name) == file_item(name, b"secret")
            assert listing.find(f"x-{token}".encode()) is None

    def test_none_is_as_if_nobody_looked(
        self, store: Store, data: Path, redactor: Redactor
    ) -> None:
        write(data, ODD)
        assert Capture(store).artifact == Capture(store, redactor=redactor).artifact

    def test_none_in_what_is_missing(self, data: Path) -> None:
        """A run keeps it out where it says what is missing."""
        token = github_token()
        os.mkfifo(data / token)
        clone = Clone(data.parent)
        clone.prov("run", "-i", "data", "--", "true")
        shown = clone.prov("show", "--json")
        assert token not in shown
        assert "neither a file, a link nor a folder" in shown


def test_another_process_looks_at_the_folder_meanwhile(store: Store, data: Path) -> None:
    """What it has seen is not mixed with what we have."""
    (data / "link").symlink_to("x")  # which is not too new to be remembered, as a file would be
    path = store.repository.prov_dir / "stat-cache.sqlite"
    store.repository.require_writable()
    objects = Objects()
    meddled = []

    def absent(trees: Collection[str]) -> Collection[str]:
        """Say that nothing is there any more, after the other process has been."""
        if meddled or not trees:
            return ()
        with closing(StatCache(path, ["sha256"])) as other:
            found = other.get(os.fsencode(data))
            assert found is not None
            meddled.append(found)
            seen = {"names": b"other\0", "stats": bytes(STAT_BYTES), "digests": bytes(32)}
            other.put(os.fsencode(data), found._replace(**seen))
        return trees

    with closing(StatCache(path, ["sha256"])) as cache, closing(Pool()) as pool:
        capture = FolderCapture(cache, pool, objects.add, absent)
        first = capture.capture(os.fsencode(data))
        assert capture.capture(os.fsencode(data)) == first
    assert meddled
