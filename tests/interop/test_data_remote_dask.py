"""A real Dask cluster of two worker processes gives what the local engine gives."""

import os
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.folders import FolderCapture
from gitprov.capture.data.remote import on_cluster
from gitprov.capture.data.stat_cache import StatCache
from gitprov.capture.hashing.dask_engine import DaskEngine, dask_engine
from gitprov.capture.hashing.pool import Pool
from gitprov.capture.hashing.worker import Request
from gitprov.errors import InputError, MissingDependency
from tests.support.data_servers import moto_server
from tests.support.remote_data import FILES, Captures, write

pytest.importorskip("distributed")
pytestmark = pytest.mark.data

MANY = FILES | {f"many/{number:04}": b"%d" % number for number in range(100)}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with moto_server() as client:
        client.create_bucket(Bucket="lab")
        for name, data in MANY.items():
            client.put_object(Bucket="lab", Key=f"data/{name}", Body=data)
        yield client


@pytest.fixture(scope="module")
def cluster(s3: Any) -> Iterator[str]:
    """Return the address of a cluster, whose workers reach S3 as this process does."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as started:
        yield started.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cluster, "_OBJECTS_A_TASK", 16)


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    return Captures(tmp_path)


def requests(folder: Path) -> list[Request]:
    return [
        Request(os.fsencode(path.parent), [os.fsencode(path.name)], path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def test_a_local_folder(cluster: str, captures: Captures, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    here = captures.local_root(folder, MANY)
    cache = StatCache(tmp_path / "other-cache.sqlite", ["sha256"])
    with closing(dask_engine(cluster)) as engine, closing(cache):
        found = FolderCapture(cache, engine, captures.add, lambda _: ()).capture(bytes(folder))
    assert (found.folder.sha256, found.left_out) == (here, {})


def test_answers_to_the_byte(cluster: str, tmp_path: Path) -> None:
    write(tmp_path / "folder", MANY)
    asked = [*requests(tmp_path / "folder"), Request(bytes(tmp_path), [b"gone"])]
    with closing(Pool(1)) as pool, closing(dask_engine(cluster)) as engine:
        here, there = list(pool.hash(asked)), list(engine.hash(asked))
    # Files of just now have no stat to be known by, wherever they are hashed.
    assert [found.digests for found in there] == [found.digests for found in here]
    assert [found.failed for found in there] == [found.failed for found in here]
    assert there[-1].failed == {b"gone": "No such file or directory"}


def test_a_prefix(cluster: str, captures: Captures, tmp_path: Path) -> None:
    there = captures.root("s3://lab/data", engine=cluster)
    assert there == captures.local_root(tmp_path / "folder", MANY)
    other = Captures(tmp_path / "other")
    assert other.root("s3://lab/data") == there
    assert other.objects.keys() <= captures.objects.keys()


def test_it_goes_on_where_it_was_interrupted(
    cluster: str, captures: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    mapped = DaskEngine.map

    def noted(engine: DaskEngine, work: Any, parts: Any) -> Generator[Any, None, None]:
        for number, found in enumerate(mapped(engine, work, parts)):
            asked.append(len(found))
            if number == limit:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(DaskEngine, "map", noted)
    limit = 2
    with pytest.raises(KeyboardInterrupt):
        captures.one("s3://lab/data", engine=cluster)
    kept, limit = sum(asked[:2]), -1
    asked.clear()
    captures.root("s3://lab/data", engine=cluster)
    assert sum(asked) == len(MANY) - kept


def test_workers_need_no_gitprov(captures: Captures, tmp_path: Path, s3: Any) -> None:
    with closing(bare_cluster(tmp_path)) as started:
        address = next(started)
        there = captures.root("s3://lab/data", engine=address)
        folder = tmp_path / "folder"
        assert there == captures.local_root(folder, MANY)
        with closing(dask_engine(address)) as engine, closing(Pool(1)) as pool:
            asked = requests(folder)
            here = [found.digests for found in pool.hash(asked)]
            assert [found.digests for found in engine.hash(asked)] == here


def test_workers_of_another_python_are_named(tmp_path: Path) -> None:
    pretended = (
        "from distributed import versions; "
        "versions.get_system_info = lambda: {'python': '3.9.1.final.0'}; "
    )
    with closing(bare_cluster(tmp_path, pretended)) as started:
        address = next(started)
        with pytest.raises(InputError, match=r"a Dask worker has Python 3\.9, this is 3\."):
            dask_engine(address)


def test_what_fails_there_is_told_in_one_line_without_credentials(cluster: str) -> None:
    def fail(_: int) -> None:
        raise ValueError("not at s3://ada:password-of-ada@bucket/key\nand more")

    told = "^the Dask cluster has failed: ValueError: not at s3://ada@bucket/key$"
    with closing(dask_engine(cluster)) as engine, pytest.raises(InputError, match=told):
        list(engine.map(fail, [1]))


def bare_cluster(folder: Path, before: str = "") -> Iterator[str]:
    """Yield the address of a scheduler whose one worker cannot import gitprov."""
    from distributed import LocalCluster

    program = (
        f"import sys; sys.modules['gitprov'] = None; {before}"
        "from distributed.cli.dask_worker import main; main()"
    )
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as started:
        command = [
            sys.executable, "-c", program, started.scheduler_address,
            "--no-nanny", "--no-dashboard", "--nthreads=2", f"--local-directory={folder / 'dask'}",
        ]  # fmt: skip
        worker = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=folder)
        try:
            started.get_client().wait_for_workers(1, timeout=60)
            yield started.scheduler_address.replace("tcp://", "dask://")
        finally:
            worker.terminate()
            worker.wait(20)


class TestRefusals:
    def test_nobody_listens(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"dask://127.0.0.1:{probe.getsockname()[1]}"
            with pytest.raises(InputError, match=r"no Dask scheduler answers at 127\.0\.0\.1:"):
                dask_engine(address)

    @pytest.mark.parametrize("address", ["dask://", "dask://host", "ray://host:1", "host:8786"])
    def test_what_is_no_address(self, address: str) -> None:
        with pytest.raises(InputError, match="name a cluster as dask://HOST:PORT"):
            dask_engine(address)

    def test_nobody_works(self) -> None:
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as started:
            address = started.scheduler_address.replace("tcp://", "dask://")
            with pytest.raises(InputError, match="has no workers"):
                dask_engine(address)

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingDependency, match=r"pip install 'gitprov\[dask\]'"):
            dask_engine("dask://127.0.0.1:8786")
