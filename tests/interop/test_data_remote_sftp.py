"""SFTP on a real sshd."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitprov.capture.data.remote.access import current_hints, download
from gitprov.errors import InputError
from tests.support.data_servers import sftp_server
from tests.support.remote_data import FILES, Captures, sha256, write

pytest.importorskip("sshfs")
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with sftp_server() as url:
        yield url


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    return Captures(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "served"


def test_an_object(server: str, folder: Path, captures: Captures) -> None:
    data = os.urandom(3_000_000)
    write(folder, {"large.bin": data})
    artifact = captures.one(f"{server}{folder}/large.bin").artifact
    assert (artifact.kind, artifact.uri) == ("remote", f"{server}{folder}/large.bin")
    assert (artifact.size, artifact.digest["sha256"]) == (len(data), sha256(data))
    assert artifact.remote.keys() == {"last_modified"}


def test_a_folder(server: str, folder: Path, captures: Captures) -> None:
    local = captures.local_root(folder)
    assert captures.root(f"{server}{folder}") == local
    (folder / "hollow").mkdir()
    assert captures.root(f"{server}{folder}") == captures.local_root(folder) != local


def test_it_is_read_each_time_as_times_and_sizes_prove_nothing(
    server: str, folder: Path, captures: Captures
) -> None:
    before = captures.local_root(folder)
    assert captures.root(f"{server}{folder}") == before
    path = folder / "a.csv"
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(b"9,2\n")
    os.utime(path, ns=times)
    assert captures.root(f"{server}{folder}") != before


def test_links_and_what_is_neither_file_nor_folder(
    server: str, folder: Path, captures: Captures
) -> None:
    write(folder, {"file": b"data"})
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("file")
    captured = captures.one(f"{server}{folder}")
    assert captured.artifact.file_count == 2
    assert captured.left_out == {"pipe": "neither a file nor a folder"}


def test_a_pattern(server: str, folder: Path, captures: Captures) -> None:
    write(folder, FILES)
    found = [item.artifact.uri for item in captures.all(f"{server}{folder}/*.csv")]
    assert found == [f"{server}{folder}/a.csv"]


def test_what_is_there_now(server: str, folder: Path, tmp_path: Path) -> None:
    write(folder, {"file": b"data"})
    assert current_hints(f"{server}{folder}/file")["size"] == "4"
    download(f"{server}{folder}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"data"


def test_nothing_there(server: str, folder: Path, captures: Captures) -> None:
    with pytest.raises(InputError, match="there is nothing at sftp://"):
        captures.all(f"{server}{folder}/gone")


def test_nobody_listens(captures: Captures) -> None:
    with pytest.raises(InputError, match="cannot open it") as caught:
        captures.all("sftp://ada:password-of-ada@127.0.0.1:1/file")
    assert "password-of-ada" not in str(caught.value)
