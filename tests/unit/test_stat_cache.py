"""The stat cache: it knows what it was told, or forgets; it never errs and never fails."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.capture.data import cache_file
from gitprov.capture.data.stat_cache import CachedFolder, StatCache
from gitprov.capture.hashing import STAT_BYTES
from tests.support.repositories import clean_environment

FOLDER = CachedFolder(
    b"a\0b\nc\0", b"s" * 2 * STAT_BYTES, b"d" * 64, b"below", bytes(32), "0" * 40, 1 << 62, 7
)
SHA256 = ("sha256",)
PROGRAM = """
import sys
from pathlib import Path
from gitprov.capture.data.stat_cache import CachedFolder, StatCache
from gitprov.capture.hashing import STAT_BYTES
cache = StatCache(Path(sys.argv[1]), ("sha256",))
for number in range(300):
    name = b"%d\\0" % number
    cache.put(f"/{sys.argv[2]}/{number}".encode(), CachedFolder(name, bytes(STAT_BYTES), bytes(32)))
cache.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prov" / "stat-cache.sqlite"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_file, "_BUSY_SECONDS", 0.05)


def stored(path: Path, folder: CachedFolder = FOLDER, name: bytes = b"/data") -> None:
    """Write one folder."""
    cache = StatCache(path, SHA256)
    cache.put(name, folder)
    cache.close()


def read(path: Path, name: bytes = b"/data") -> CachedFolder | None:
    """Read one folder."""
    cache = StatCache(path, SHA256)
    try:
        return cache.get(name)
    finally:
        cache.close()


@pytest.fixture
def locked(path: Path, impatient: None) -> Iterator[sqlite3.Connection]:
    """Hold the file as who writes to it does, with one folder in it."""
    stored(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


@pytest.mark.parametrize("name", [b"/data", b"/\xff\n", b"/", b"/x" * 2000])
def test_what_was_put_is_found(path: Path, name: bytes) -> None:
    stored(path, name=name)
    assert read(path, name) == FOLDER
    assert read(path, name + b"x") is None


def test_at_once_and_after_it_was_written(path: Path) -> None:
    cache = StatCache(path, SHA256)
    cache.put(b"/data", FOLDER)
    assert cache.get(b"/data") == FOLDER
    cache.save()
    assert cache.get(b"/data") == FOLDER
    cache.put(b"/data", FOLDER._replace(files=8))
    assert cache.get(b"/data") == FOLDER._replace(files=8)
    cache.close()
    assert read(path) == FOLDER._replace(files=8)


def test_files_by_name() -> None:
    stats = [bytes([number]) * STAT_BYTES for number in range(2)]
    folder = FOLDER._replace(stats=b"".join(stats), digests=b"x" * 32 + b"y" * 32)
    assert folder.known(32) == {b"a": (stats[0], b"x" * 32), b"b\nc": (stats[1], b"y" * 32)}
    assert CachedFolder().known(32) == {}


def test_interruption_keeps_most(path: Path) -> None:
    """Whoever is killed has written what came before, but for the last."""
    cache = StatCache(path, SHA256)
    for number in range(1050):
        cache.put(b"/%d" % number, FOLDER)
    assert all(read(path, b"/%d" % number) for number in range(0, 800, 50))
    assert read(path, b"/1049") is None


def test_large_folders_are_written_sooner(path: Path) -> None:
    cache = StatCache(path, SHA256)
    count = (8 << 20) // STAT_BYTES
    large = CachedFolder(b"x\0" * count, bytes(STAT_BYTES * count), bytes(32 * count))
    cache.put(b"/large", large)
    assert read(path, b"/large") == large


def test_each_way_to_hash_has_its_own(path: Path) -> None:
    ways = [
        StatCache(path, algorithms, follow_links=follow)
        for algorithms in (SHA256, ("blake3",), ("sha256", "blake3"), ("blake3", "sha256"))
        for follow in (False, True)
    ]
    for number, cache in enumerate(ways):
        digests = bytes([number]) * 2 * cache.width
        cache.put(b"/data", FOLDER._replace(digests=digests))
        cache.save()
    for number, cache in enumerate(ways):
        found = cache.get(b"/data")
        assert found is not None
        assert found.digests == bytes([number]) * 2 * cache.width
        cache.close()


def test_afresh_knows_what_it_has_learnt_itself(path: Path) -> None:
    stored(path)
    cache = StatCache(path, SHA256, afresh=True)
    assert cache.get(b"/data") is None
    cache.put(b"/data", FOLDER._replace(files=8))
    assert cache.get(b"/data") == FOLDER._replace(files=8)
    cache.save()
    assert cache.get(b"/data") == FOLDER._replace(files=8)
    cache.close()
    assert read(path) == FOLDER._replace(files=8)


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 200])
    def test_what_is_no_cache(self, path: Path, content: bytes) -> None:
        path.parent.mkdir()
        path.write_bytes(content)
        assert read(path) is None
        stored(path)
        assert read(path) == FOLDER

    def test_damage_in_the_middle(self, path: Path) -> None:
        cache = StatCache(path, SHA256)
        for number in range(600):
            cache.put(b"/%d" % number, FOLDER)
        cache.close()
        whole, newer = path.read_bytes(), FOLDER._replace(files=9)
        for damaged in (
            whole[: len(whole) // 2],
            whole[:5000] + random.Random(1).randbytes(len(whole) - 5000),  # noqa: S311
            whole[: len(whole) // 2] + bytes(len(whole) // 2),
        ):
            path.write_bytes(damaged)
            for _ in range(2):
                cache = StatCache(path, SHA256)
                found = [cache.get(b"/%d" % number) for number in range(600)]
                assert {*found} <= {None, FOLDER, newer}
                for number in range(600):
                    cache.put(b"/%d" % number, newer)
                assert cache.get(b"/599") == newer
                cache.close()
            # By then it is whole again.
            stored(path)
            assert read(path) == FOLDER

    @pytest.mark.parametrize(
        "wrong",
        [
            {"stats": b"s" * STAT_BYTES},
            {"stats": b"s" * (2 * STAT_BYTES + 1)},
            {"digests": b"d" * 63},
            {"names": b"a\0"},
            {"names": b""},
        ],
    )
    def test_rows_of_wrong_lengths(self, path: Path, wrong: dict[str, bytes]) -> None:
        stored(path, FOLDER._replace(**wrong))
        assert read(path) is None

    def test_another_version(self, path: Path) -> None:
        stored(path)
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 7")
            connection.execute("DROP TABLE folders")
            connection.execute("CREATE TABLE folders (path TEXT)")
        connection.close()
        assert read(path) is None
        stored(path)
        assert read(path) == FOLDER

    def test_deleted_meanwhile(self, path: Path) -> None:
        cache = StatCache(path, SHA256)
        cache.put(b"/data", FOLDER)
        cache.save()
        path.unlink()
        assert cache.get(b"/data") == FOLDER
        cache.put(b"/other", FOLDER)
        cache.close()
        assert read(path) is None

    def test_no_place_for_it(self, tmp_path: Path) -> None:
        (tmp_path / "prov").write_bytes(b"a file")
        cache = StatCache(tmp_path / "prov" / "stat-cache.sqlite", SHA256)
        cache.put(b"/data", FOLDER)
        assert cache.get(b"/data") == FOLDER
        cache.close()

    def test_a_folder_in_its_place(self, path: Path) -> None:
        path.mkdir(parents=True)
        cache = StatCache(path, SHA256)
        cache.put(b"/data", FOLDER)
        assert cache.get(b"/data") == FOLDER
        cache.close()


class TestLocked:
    def test_nothing_is_known(self, path: Path, locked: sqlite3.Connection) -> None:
        assert read(path) is None
        locked.execute("ROLLBACK")
        assert read(path) == FOLDER

    @pytest.mark.usefixtures("impatient")
    def test_nothing_is_lost_to_who_has_it_open(self, path: Path) -> None:
        stored(path)
        cache = StatCache(path, SHA256)
        assert cache.get(b"/data") == FOLDER
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        for number in range(500):
            cache.put(b"/%d" % number, FOLDER)
        assert all(cache.get(b"/%d" % number) == FOLDER for number in range(500))
        other.execute("ROLLBACK")
        other.close()
        cache.close()
        assert read(path, b"/0") == read(path, b"/499") == FOLDER


def test_parallel_processes(path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(path)]
    processes = [
        subprocess.Popen([*command, f"process{number}"], env=clean_environment())
        for number in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0] * 4
    for number in range(4):
        for place in (0, 150, 299):
            found = read(path, f"/process{number}/{place}".encode())
            assert found is not None
            assert found.names == b"%d\0" % place
