"""`git prov data` on a bucket: recorded, looked at, compared, verified, brought back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.data_servers import moto_server
from tests.support.repositories import Clone

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
pytestmark = pytest.mark.data

FILES = {"a.csv": b"a,b\n1,2\n", "sub/b.bin": b"\0" * 5000, "sub/c.bin": b"c"}


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with moto_server() as client:
        yield client


@pytest.fixture
def uri(s3: Any, request: pytest.FixtureRequest) -> str:
    """Return a prefix with some objects, in a bucket that keeps versions."""
    name = request.node.name.replace("_", "-")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key, data in FILES.items():
        s3.put_object(Bucket=name, Key=f"train/{key}", Body=data)
    return f"s3://{name}/train"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.make(tmp_path / "repo")


def put(s3: Any, uri: str, key: str, data: bytes) -> None:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data)


def test_a_prefix_through_all_verbs(s3: Any, clone: Clone, uri: str) -> None:
    assert "3 files" in clone.prov("data", "snapshot", uri, "--name", "train")
    assert "unchanged since run" in clone.prov("data", "snapshot", uri, "--name", "train")
    shown = json.loads(clone.prov("show", "--json"))["inputs"][0]
    assert (shown["uri"], shown["kind"], shown["file_count"]) == (uri, "tree", 3)
    for key, data in FILES.items():
        clone.write(f"local/{key}", data)
    clone.prov("data", "diff", "last:train", "local")  # the same names and contents
    put(s3, uri, "new.csv", b"new")
    found = clone.prov_call("data", "diff", "last:train", uri, "--json")
    assert [json.loads(line)["path"] for line in found.stdout.splitlines()] == ["new.csv"]
    verified = clone.prov_call("data", "verify", "last:train")
    assert (verified.returncode, verified.stdout[:7]) == (1, "changed")
    clone.prov("data", "snapshot", uri)
    assert len(clone.prov("data", "log", "s3://*", "--json").splitlines()) == 2
    clone.prov("data", "verify")
    clone.prov("verify")


def test_the_very_version_comes_back(s3: Any, clone: Clone, uri: str) -> None:
    clone.prov("run", "-i", f"{uri}/a.csv", "--", "true")
    assert clone.prov("data", "status").startswith("same")
    put(s3, uri, "a.csv", b"other")
    changed = clone.prov_call("data", "status")
    assert (changed.returncode, changed.stdout[:7]) == (1, "changed")
    clone.prov("data", "get", "last", f"{uri}/a.csv", "a.csv")
    assert (clone.path / "a.csv").read_bytes() == FILES["a.csv"]


def test_hints_alone(s3: Any, clone: Clone, uri: str) -> None:
    """What is not read has no digest, and says so; its state is known by what the store says."""
    result = clone.prov_call("data", "snapshot", f"{uri}/a.csv", "--hint-only")
    item = json.loads(clone.prov("show", "--json"))
    [recorded] = item["inputs"]
    assert "digest" not in recorded
    assert recorded["remote"]["etag"]
    assert "it was not read (--hint-only)" in item["missing"][f"inputs.{uri}/a.csv"]
    assert result.returncode == 0
    status = clone.prov("data", "status")
    assert status.startswith("same")
    assert "it was not read" in status
    put(s3, uri, "a.csv", b"other")
    assert clone.prov_call("data", "status").stdout.startswith("changed")


def test_what_is_not_there(clone: Clone, uri: str) -> None:
    result = clone.prov_call("data", "snapshot", f"{uri}/nope")
    assert result.returncode == 1
    assert "nope" in result.stderr
