"""Digests of files, here and in processes of their own; files that change meanwhile."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitprov.capture.hashing import STAT_BYTES, Hashed, hash_file, pack_stat, pool, size_and_mode
from gitprov.capture.hashing.algorithms import SIZES, hashes, split, width
from gitprov.capture.hashing.pool import Pool
from gitprov.capture.hashing.worker import Answer, Request, answer
from gitprov.errors import InputError, MissingDependency
from tests.support.repositories import clean_environment

SHA256 = hashes(["sha256"])
LATER_NS = 60_000_000_000
EDGES = [0, 1, 2, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def settled(path: Path, algorithms: tuple[str, ...] = ("sha256",)) -> Hashed:
    """Hash a file as if some time had passed since it was written."""
    return hash_file(os.fsencode(path), time.time_ns() + LATER_NS, hashes(algorithms))


class TestOneFile:
    @pytest.mark.parametrize("size", EDGES)
    def test_sizes(self, path: Path, size: int) -> None:
        data = os.urandom(size)
        path.write_bytes(data)
        found = settled(path)
        assert found == Hashed(pack_stat(path.stat()), hashlib.sha256(data).digest())
        assert size_and_mode(found.stat) == (size, path.stat().st_mode)
        assert len(found.stat) == STAT_BYTES

    @pytest.mark.parametrize("size", EDGES)
    def test_several_digests_in_one_read(self, path: Path, size: int) -> None:
        data = os.urandom(size)
        path.write_bytes(data)
        digests = settled(path, ("md5", "sha256")).digests
        assert split(("md5", "sha256"), digests) == {
            "md5": hashlib.md5(data, usedforsecurity=False).digest(),
            "sha256": hashlib.sha256(data).digest(),
        }
        assert len(digests) == width(("md5", "sha256"))

    @pytest.mark.parametrize("size", EDGES)
    def test_blake3(self, path: Path, size: int) -> None:
        blake3 = pytest.importorskip("blake3")
        data = os.urandom(size)
        path.write_bytes(data)
        found = split(("blake3", "sha256"), settled(path, ("blake3", "sha256")).digests)
        assert found["blake3"] == blake3.blake3(data).digest()
        assert found["sha256"] == hashlib.sha256(data).digest()

    @pytest.mark.parametrize("name", [b"a\nb", b"caf\xe9", b"-", b" ", b"x" * 255])
    def test_odd_names(self, tmp_path: Path, name: bytes) -> None:
        place = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118 -- bytes
        Path(os.fsdecode(place)).write_bytes(b"x")
        assert hash_file(place, 0, SHA256).digests == hashlib.sha256(b"x").digest()

    def test_what_was_read_is_heard_of(self, path: Path) -> None:
        path.write_bytes(bytes((3 << 20) + 7))
        heard: list[int] = []
        hash_file(os.fsencode(path), 0, SHA256, heard.append)
        assert sum(heard) == (3 << 20) + 7
        assert max(heard) <= 1 << 20

    def test_absent(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            settled(path)

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is no file any more"):
            settled(tmp_path)

    def test_pipe_is_not_waited_for(self, path: Path) -> None:
        os.mkfifo(path)
        with pytest.raises(InputError, match="is no file any more"):
            settled(path)

    def test_nothing_stays_open(self, path: Path) -> None:
        path.write_bytes(b"x")
        before = os.listdir("/proc/self/fd")  # noqa: PTH208 -- names alone are wanted
        settled(path)
        with pytest.raises(InputError):
            settled(path.parent)
        assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208

    def test_sizes_are_those_of_the_digests(self) -> None:
        for name, size in SIZES.items():
            if name != "blake3":
                assert len(hashes([name])[0]().digest()) == size

    def test_no_such_digest(self) -> None:
        with pytest.raises(InputError, match=r"prov\.data\.digest takes sha256, blake3"):
            hashes(["sha256", "crc32"])

    def test_digest_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "blake3", None)
        with pytest.raises(MissingDependency, match=r"pip install 'gitprov\[blake3\]'"):
            hashes(["blake3"])


class Changing:
    """A digest in the middle of which somebody changes the file, so many times."""

    def __init__(self, change: Callable[[], object], times: int) -> None:
        self._change = change
        self._left = times

    def __call__(self) -> "Changing":
        """Begin."""
        self._hash = hashlib.sha256()
        return self

    def update(self, data: "bytes | memoryview", /) -> None:
        """Take bytes, and change the file."""
        self._hash.update(data)
        if self._left:
            self._left -= 1
            self._change()

    def digest(self) -> bytes:
        """Return the digest."""
        return self._hash.digest()


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Change a byte by another program, and put size and time of change back."""
    before = path.stat()
    program = "import sys; f = open(sys.argv[1], 'r+b'); f.write(b'!')"
    subprocess.run([sys.executable, "-c", program, path], check=True)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class TestChangingFiles:
    @pytest.mark.parametrize("size", [10, 5 << 20])
    @pytest.mark.parametrize("change", [grow, shrink, flip])
    def test_file_that_changes_is_read_again(
        self, path: Path, size: int, change: Callable[[Path], None]
    ) -> None:
        path.write_bytes(os.urandom(size))
        found = hash_file(
            os.fsencode(path), time.time_ns() + LATER_NS, [Changing(lambda: change(path), 1)]
        )
        assert found.digests == hashlib.sha256(path.read_bytes()).digest()
        assert found.stat == pack_stat(path.stat())

    @pytest.mark.parametrize("size", [10, 5 << 20])
    @pytest.mark.parametrize("change", [grow, flip])
    def test_file_that_keeps_changing_is_said_to(
        self, path: Path, size: int, change: Callable[[Path], None]
    ) -> None:
        path.write_bytes(os.urandom(size))
        with pytest.raises(InputError, match=f"{path} keeps changing while it is read"):
            hash_file(os.fsencode(path), 0, [Changing(lambda: change(path), 1000)])

    def test_file_that_another_takes_the_place_of(self, path: Path) -> None:
        """What was opened was whole: it is what is hashed."""
        path.write_bytes(b"old")
        (path.parent / "new").write_bytes(b"new")
        path.chmod(0o600)
        change = Changing(lambda: (path.parent / "new").rename(path), 1)
        found = hash_file(os.fsencode(path), time.time_ns() + LATER_NS, [change])
        assert found.stat == pack_stat(path.stat())
        assert found.digests == hashlib.sha256(b"new").digest()


class TestRacyRule:
    def test_written_within_a_tick_is_hashed_again(self, path: Path) -> None:
        path.write_bytes(b"x")
        now_ns = path.stat().st_ctime_ns
        for later in (-1_000_000_000, 0, 10_000_000):
            found = hash_file(os.fsencode(path), now_ns + later, SHA256)
            assert found.stat != pack_stat(path.stat())
            assert size_and_mode(found.stat) == (1, path.stat().st_mode)
            assert found.digests == hashlib.sha256(b"x").digest()

    def test_written_before_is_not(self, path: Path) -> None:
        path.write_bytes(b"x")
        now_ns = path.stat().st_ctime_ns + 1_000_000_000
        assert hash_file(os.fsencode(path), now_ns, SHA256).stat == pack_stat(path.stat())

    def test_times_that_were_set_do_not_hide_it(self, path: Path) -> None:
        path.write_bytes(b"x")
        os.utime(path, (1, 1))
        now_ns = path.stat().st_ctime_ns
        assert hash_file(os.fsencode(path), now_ns, SHA256).stat != pack_stat(path.stat())

    def test_time_in_the_future(self, path: Path) -> None:
        path.write_bytes(b"x")
        future = time.time() + 1000
        os.utime(path, (future, future))
        assert hash_file(os.fsencode(path), time.time_ns(), SHA256).stat != pack_stat(path.stat())


def test_stat_tells_what_changes(path: Path) -> None:
    path.write_bytes(b"x")
    seen = {pack_stat(path.stat())}
    for change in (
        lambda: path.write_bytes(b"xy"),
        lambda: os.utime(path, (5, 5)),
        lambda: path.chmod(0o700),
        lambda: path.rename(path.with_name("other")) and path.write_bytes(b"xy"),
    ):
        change()
        seen.add(pack_stat(path.stat()))
    assert len(seen) == 5


@pytest.fixture
def many(tmp_path: Path) -> list[Request]:
    """Return requests for three thousand files with odd names in folders, some unreadable."""
    requests = []
    for number in range(30):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        names = [b"%d\n\xff" % file for file in range(100)]
        for name in names:
            (folder / os.fsdecode(name)).write_bytes(b"%d %s" % (number, name))
        names += [b"gone", b"folder"]
        (folder / "folder").mkdir()
        algorithms = ("sha256", "md5") if number % 2 else ("sha256",)
        requests.append(Request(os.fsencode(folder), names, 0, algorithms))
    return requests


def digests(answers: "list[Answer] | Iterator[Answer]") -> list[tuple[bytes, dict[bytes, str]]]:
    """Return answers without stats, which say whether a file was just written."""
    return [(found.digests, found.failed) for found in answers]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Return a pool that starts its workers at once."""
    monkeypatch.setattr(pool, "_WORTH_FILES", 0)
    found = Pool(2)
    yield found
    found.close()


def children() -> set[int]:
    """Return the processes that this one has started."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(map(int, path.read_text().split()))


class TestPool:
    def test_answer_names_what_could_not_be_read(self, many: list[Request]) -> None:
        found = answer(many[1])
        place = os.fsdecode(many[1].folder)
        assert found.failed == {
            b"gone": "No such file or directory",
            b"folder": f"{place}/folder is no file any more",
        }
        assert len(found.stats) == 100 * STAT_BYTES
        expected = b"1 0\n\xff"
        assert found.digests[:48] == (
            hashlib.sha256(expected).digest()
            + hashlib.md5(expected, usedforsecurity=False).digest()
        )

    def test_same_answers_as_here(self, many: list[Request], started: Pool) -> None:
        assert digests(started.hash(many)) == digests(map(answer, many))
        assert digests(started.hash(reversed(many))) == digests(map(answer, reversed(many)))

    def test_few_files_start_nothing(self, many: list[Request]) -> None:
        before = children()
        few = Pool(2)
        assert digests(few.hash(many[:10])) == digests(map(answer, many[:10]))
        assert children() == before
        few.close()

    def test_workers_end_with_the_pool(self, many: list[Request], started: Pool) -> None:
        before = children()
        list(started.hash(many))
        assert len(children() - before) == 2
        started.close()
        assert children() == before

    def test_one_processor_needs_no_workers(
        self, many: list[Request], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "_WORTH_FILES", 0)
        before, alone = children(), Pool(1)
        assert digests(alone.hash(many)) == digests(map(answer, many))
        assert children() == before

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    @pytest.mark.parametrize("after", [0, 5, 29])
    def test_dead_worker(
        self, many: list[Request], started: Pool, number: signal.Signals, after: int
    ) -> None:
        before = children()
        found = []
        for position, item in enumerate(started.hash(many)):
            found.append(item)
            if position == after:
                for pid in children() - before:
                    os.kill(pid, number)
        assert digests(found) == digests(map(answer, many))
        assert digests(started.hash(many)) == digests(map(answer, many))

    def test_interrupt_is_for_the_program_alone(self, many: list[Request], started: Pool) -> None:
        before = children()
        list(started.hash(many))
        for pid in children() - before:
            os.kill(pid, signal.SIGINT)
        assert digests(started.hash(many)) == digests(map(answer, many))
        assert len(children() - before) == 2

    def test_answers_that_nobody_took_are_not_taken_for_others(
        self, many: list[Request], started: Pool
    ) -> None:
        answers = started.hash(many)
        next(answers)
        answers.close()
        assert digests(started.hash(many[5:])) == digests(map(answer, many[5:]))

    def test_requests_that_fail(self, many: list[Request], started: Pool) -> None:
        def requests() -> Iterator[Request]:
            yield from many[:20]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(started.hash(requests()))
        assert digests(started.hash(many[5:])) == digests(map(answer, many[5:]))

    def test_digest_that_there_is_not(self, started: Pool, many: list[Request]) -> None:
        wrong = [item._replace(algorithms=("crc32",)) for item in many]
        with pytest.raises(InputError, match="no digest 'crc32'"):
            list(started.hash(wrong))

    def test_messages_larger_than_any_pipe(self, tmp_path: Path) -> None:
        """Neither side may wait for the other while that waits for it."""
        program = f"""
import os
from gitprov.capture.hashing import pool
from gitprov.capture.hashing.pool import Pool
from gitprov.capture.hashing.worker import Request
pool._WORTH_FILES = 0
folder = os.fsencode({str(tmp_path)!r})
requests = [
    Request(folder, [b"%d-%d" % (number, file) + b"x" * 240 for file in range(256)])
    for number in range(40)
]
found = list(Pool(2).hash(requests))
assert [len(item.failed) for item in found] == [256] * 40
print("through")
"""
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert (done.stdout, done.stderr) == ("through\n", "")
