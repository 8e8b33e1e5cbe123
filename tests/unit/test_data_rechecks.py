"""A folder captured again: nothing that has not changed is read, and nothing changed is missed."""

import os
import random
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from gitprov.capture.data.folders import FolderCapture
from gitprov.capture.data.stat_cache import StatCache
from gitprov.capture.hashing.worker import Answer, Request, answer
from gitprov.store.listings import Folder
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store
from tests.support.captured_folders import Capture, expected, in_a_process, write
from tests.support.listings import Content, Objects, flat, settle
from tests.support.repositories import Clone
from tests.support.runs import record_data


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Clone.make(tmp_path.resolve() / "top", commit=False).store()


@pytest.fixture
def data(store: Store) -> Path:
    folder = store.repository.require_work_tree() / "data"
    folder.mkdir()
    return folder


class TestSecondCapture:
    CONTENT: ClassVar[Content] = {
        b"a": b"a",
        b"sub": {b"b": b"b", b"c": b"c", b"link": "b", b"empty": {}},
        b"other": {b"d": b"d"},
    }

    @pytest.fixture(autouse=True)
    def captured(self, store: Store, data: Path) -> None:
        write(data, self.CONTENT)
        settle(data)
        assert Capture(store).artifact == expected(self.CONTENT)

    def test_reads_nothing_again(self, store: Store) -> None:
        found = in_a_process(store)
        assert found["opened"] == []
        assert found["sha256"] == expected(self.CONTENT).digest["sha256"].hex()

    def test_reads_what_has_changed(self, store: Store, data: Path) -> None:
        (data / "sub/b").write_bytes(b"B")
        found = in_a_process(store)
        assert found["opened"] == ["sub/b"]
        content = {**self.CONTENT, b"sub": {**self.CONTENT[b"sub"], b"b": b"B"}}  # type: ignore[dict-item]
        assert found["sha256"] == expected(content).digest["sha256"].hex()

    @pytest.mark.parametrize(
        "change",
        [
            lambda data: os.utime(data / "sub/b", (5, 5)),
            lambda data: (data / "sub/b").chmod(0o600),
            lambda data: (
                shutil.copy2(data / "sub/b", data / "new") and (data / "new").rename(data / "sub/b")
            ),
        ],
        ids=["time", "mode", "inode"],
    )
    def test_what_may_have_changed_is_read(
        self, store: Store, data: Path, change: Callable[[Path], object]
    ) -> None:
        change(data)
        found = in_a_process(store)
        assert found["opened"] == ["sub/b"]
        assert found["sha256"] == expected(self.CONTENT).digest["sha256"].hex()

    def test_flipped_byte_with_its_times_put_back(self, store: Store, data: Path) -> None:
        """What cannot be put back is the time of the inode's own change."""
        path = data / "sub/b"
        before = path.stat()
        path.write_bytes(b"!")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert in_a_process(store)["opened"] == ["sub/b"]

    def test_verify_reads_all(self, store: Store) -> None:
        found = in_a_process(store, verify=True)
        assert found["opened"] == ["a", "other/d", "sub/b", "sub/c"]
        assert found["sha256"] == expected(self.CONTENT).digest["sha256"].hex()

    def test_other_digests_read_all(self, store: Store) -> None:
        assert len(in_a_process(store, algorithms=["md5"])["opened"]) == 4  # type: ignore[arg-type]
        assert in_a_process(store, algorithms=["md5"])["opened"] == []

    def test_lost_cache_reads_all(self, store: Store) -> None:
        (store.repository.prov_dir / "stat-cache.sqlite").unlink()
        assert len(in_a_process(store)["opened"]) == 4  # type: ignore[arg-type]
        assert in_a_process(store)["opened"] == []

    def test_written_a_moment_ago_is_read_again(self, store: Store, data: Path) -> None:
        path = data / "a"
        for number in range(20):
            path.write_bytes(b"%d" % (number % 10))
            found = Capture(store).artifact
            assert found == expected({**self.CONTENT, b"a": b"%d" % (number % 10)})

    def test_objects_are_made_until_the_repository_has_them(self, store: Store) -> None:
        whole = Objects()
        whole.folder(self.CONTENT)
        for _ in range(2):
            assert Capture(store).objects == len(whole.found)
        record_data(store, "data")
        assert Capture(store).objects == 0

    def test_one_change_makes_the_folders_around_it(self, store: Store, data: Path) -> None:
        record_data(store, "data")
        (data / "sub/b").write_bytes(b"B")
        # Two nodes, two trees.
        assert Capture(store).objects == 4

    def test_dropped_payload_is_made_again(self, store: Store, data: Path) -> None:
        record_data(store, "data")
        clone = Clone(data.parent)
        for ref in list_refs(store.repository.git, PAYLOAD):
            clone.git("update-ref", "-d", ref)
        clone.git("reflog", "expire", "--expire=now", "--all")
        clone.git("gc", "--quiet", "--prune=now")
        assert in_a_process(store)["opened"] == []
        again = Capture(store)
        assert again.files == flat(self.CONTENT)
        assert again.artifact == expected(self.CONTENT)


class Engine:
    """Hashes here, counts files, and is interrupted after so many requests."""

    def __init__(self, after: int = -1) -> None:
        self.files = 0
        self._after = after

    def hash(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Yield the answers to requests."""
        for number, request in enumerate(requests):
            if number == self._after:
                raise KeyboardInterrupt
            self.files += len(request.names)
            yield answer(request)


class TestInterruption:
    @pytest.mark.parametrize("after", [0, 1, 30, 49])
    def test_what_is_hashed_is_kept(self, tmp_path: Path, data: Path, after: int) -> None:
        content: Content = {
            b"%d" % folder: {b"%d" % file: b"%d" % folder for file in range(3)}
            for folder in range(50)
        }
        write(data, content)
        settle(data)
        cache = StatCache(tmp_path / "cache", ("sha256",))
        objects = Objects()
        with pytest.raises(KeyboardInterrupt):
            self.capture(cache, Engine(after), objects, data)
        engine = Engine()
        later = StatCache(tmp_path / "cache", ("sha256",))
        found = self.capture(later, engine, objects, data)
        assert engine.files == 3 * (50 - after)
        assert found == objects.folder(content)
        cache.close()
        later.close()

    def test_ten_changed_files_cost_ten_hashes(self, tmp_path: Path, data: Path) -> None:
        content: Content = {b"%d" % file: b"%d" % file for file in range(2000)}
        write(data, content)
        settle(data)
        cache = StatCache(tmp_path / "cache", ("sha256",))
        objects = Objects()
        self.capture(cache, Engine(), objects, data)
        for number in range(10):
            (data / f"{number * 100}").write_bytes(b"changed")
        engine = Engine()
        found = self.capture(cache, engine, objects, data)
        assert engine.files == 10
        changed = {b"%d" % (number * 100): b"changed" for number in range(10)}
        assert found == objects.folder({**content, **changed})
        cache.close()

    def capture(self, cache: StatCache, engine: Engine, objects: Objects, data: Path) -> Folder:
        """Capture a folder; all objects that were made are there."""

        def absent(trees: Collection[str]) -> Collection[str]:
            return set(trees) - objects.found.keys()

        return FolderCapture(cache, engine, objects.add, absent).capture(os.fsencode(data)).folder


def test_history_makes_no_difference(store: Store, data: Path) -> None:
    """After any edits, the capture with a cache is that of somebody who sees it all anew."""
    chance = random.Random(6)  # noqa: S311 -- the same each time
    names = [b"a", b"b", b"caf\xe9", b"new\nline", b"c.d"]
    for _ in range(60):
        folder = data
        while chance.random() < 0.5:
            inner = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
            if not inner:
                break
            folder = chance.choice(inner)
        path = folder / os.fsdecode(chance.choice(names))
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir() and chance.random() < 0.5:
            shutil.rmtree(path)
        if not path.exists():
            match chance.randrange(4):
                case 0:
                    path.mkdir()
                case 1:
                    path.symlink_to(chance.choice(["a", "b"]))
                case _:
                    path.write_bytes(chance.choice([b"1", b"2", b"33"]))
        if chance.random() < 0.3:
            record_data(store, "data")
        assert Capture(store).artifact == expected(content_of(data))


def content_of(folder: Path) -> Content:
    """Return what a folder holds."""
    found: dict[bytes, bytes | str | Content] = {}
    for path in folder.iterdir():
        name = os.fsencode(path.name)
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_dir():
            found[name] = content_of(path)
        else:
            found[name] = path.read_bytes()
    return found
