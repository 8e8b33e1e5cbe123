"""S3 on real servers: objects, versions, prefixes; what is read, and what need not be."""

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.remote.access import current_hints, download, open_object
from gitprov.capture.data.remote.s3 import S3Store
from gitprov.capture.data.remote.said import Said
from gitprov.errors import InputError
from tests.support.data_servers import moto_server, seaweedfs_server
from tests.support.remote_data import FILES, Captures, sha256

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
pytestmark = pytest.mark.data

SERVERS = {"moto": moto_server, "seaweedfs": seaweedfs_server}


@pytest.fixture(scope="module", params=SERVERS)
def s3(request: pytest.FixtureRequest) -> Iterator[Any]:
    with SERVERS[request.param]() as client:
        yield client


class Bucket:
    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.uri = f"s3://{name}"

    def put(self, key: str, data: bytes, **more: Any) -> Any:
        return self.client.put_object(Bucket=self.name, Key=key, Body=data, **more)

    def fill(self, prefix: str = "data", files: dict[str, bytes] = FILES) -> str:
        with ThreadPoolExecutor(8) as pool:
            keys = [f"{prefix}/{name}" for name in files]
            list(pool.map(self.put, keys, files.values()))
        return f"{self.uri}/{prefix}"

    def keep_versions(self) -> None:
        self.client.put_bucket_versioning(
            Bucket=self.name, VersioningConfiguration={"Status": "Enabled"}
        )


@pytest.fixture
def bucket(s3: Any) -> Bucket:
    name = f"lab-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return Bucket(s3, name)


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    return Captures(tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths that are read, as they are."""
    seen: list[str] = []
    read = S3Store.chunks

    def noted(store: S3Store, of: Said) -> Iterator[bytes]:
        seen.append(of.path)
        return read(store, of)

    monkeypatch.setattr(S3Store, "chunks", noted)
    return seen


class TestObjects:
    @pytest.mark.parametrize("size", [0, 1, 1 << 20, 5_000_000])
    def test_size_and_digest(self, bucket: Bucket, captures: Captures, size: int) -> None:
        data = os.urandom(size)
        answer = bucket.put("some/key", data)
        artifact, tree, left_out = captures.one(f"{bucket.uri}/some/key")
        assert (artifact.kind, artifact.uri) == ("remote", f"{bucket.uri}/some/key")
        assert (artifact.size, artifact.digest) == (size, {"sha256": sha256(data)})
        assert artifact.remote["etag"] == answer["ETag"].strip('"')
        assert artifact.remote["last_modified"].endswith("Z")
        assert (tree, left_out) == (None, {})

    def test_what_the_store_says_itself(self, bucket: Bucket, captures: Captures) -> None:
        digest = sha256(b"data")
        bucket.put("key", b"data", ChecksumAlgorithm="SHA256")
        artifact = captures.one(f"{bucket.uri}/key").artifact
        assert artifact.remote["checksum"] == f"sha256:{digest.hex()}"

    def test_a_version_that_is_named(self, bucket: Bucket, captures: Captures) -> None:
        bucket.keep_versions()
        old = bucket.put("key", b"old")["VersionId"]
        new = bucket.put("key", b"new")["VersionId"]
        artifact = captures.one(f"{bucket.uri}/key").artifact
        assert (artifact.digest["sha256"], artifact.remote["version_id"]) == (sha256(b"new"), new)
        artifact = captures.one(f"{bucket.uri}/key?versionId={old}").artifact
        assert (artifact.digest["sha256"], artifact.remote["version_id"]) == (sha256(b"old"), old)

    def test_names_that_look_like_patterns(self, bucket: Bucket, captures: Captures) -> None:
        bucket.put("odd[1]*.csv", b"odd")
        assert captures.one(f"{bucket.uri}/odd[1]*.csv").artifact.digest["sha256"] == sha256(b"odd")

    def test_nothing_there(self, bucket: Bucket, captures: Captures) -> None:
        with pytest.raises(InputError, match="there is nothing at s3://"):
            captures.all(f"{bucket.uri}/gone")
        with pytest.raises(InputError, match="there is nothing at s3://"):
            captures.all(f"{bucket.uri}/gone/*.csv")
        with pytest.raises(InputError, match="cannot read it"):
            captures.all(f"s3://no-{bucket.name}/key")

    def test_a_pattern(self, bucket: Bucket, captures: Captures) -> None:
        uri = bucket.fill()
        found = [captured.artifact for captured in captures.all(f"{uri}/a*")]
        assert [(item.kind, item.uri) for item in found] == [
            ("tree", f"{uri}/a"),
            ("remote", f"{uri}/a.csv"),
        ]


class TestChanges:
    def test_an_object_that_is_replaced_while_it_is_read_is_read_again(
        self, bucket: Bucket, captures: Captures, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put("key", b"before")
        read = S3Store.chunks

        def replaced(store: S3Store, of: Said) -> Iterator[bytes]:
            monkeypatch.undo()
            bucket.put("key", b"after it")
            return read(store, of)

        monkeypatch.setattr(S3Store, "chunks", replaced)
        artifact = captures.one(f"{bucket.uri}/key").artifact
        assert (artifact.size, artifact.digest["sha256"]) == (8, sha256(b"after it"))

    def test_one_that_keeps_changing(
        self, bucket: Bucket, captures: Captures, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.put("key", b"0")
        read = S3Store.chunks

        def replaced(store: S3Store, of: Said) -> Iterator[bytes]:
            bucket.put("key", os.urandom(8))
            return read(store, of)

        monkeypatch.setattr(S3Store, "chunks", replaced)
        with pytest.raises(InputError, match="keeps changing"):
            captures.all(f"{bucket.uri}/key")

    def test_a_version_is_read_whatever_comes_after_it(
        self, bucket: Bucket, captures: Captures, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bucket.keep_versions()
        version = bucket.put("key", b"before")["VersionId"]
        read = S3Store.chunks

        def replaced(store: S3Store, of: Said) -> Iterator[bytes]:
            bucket.put("key", b"after")
            return read(store, of)

        monkeypatch.setattr(S3Store, "chunks", replaced)
        artifact = captures.one(f"{bucket.uri}/key").artifact
        assert artifact.remote["version_id"] == version
        assert artifact.digest["sha256"] == sha256(b"before")


class TestPrefixes:
    def test_the_same_root_as_a_local_folder(
        self, bucket: Bucket, captures: Captures, tmp_path: Path
    ) -> None:
        uri = bucket.fill()
        local = captures.local_root(tmp_path / "folder")
        assert captures.root(uri) == local
        assert captures.root(f"{uri}/") == local
        artifact = captures.one(uri).artifact
        assert artifact.file_count == len(FILES)
        assert artifact.size == sum(map(len, FILES.values()))
        assert artifact.uri == uri

    def test_a_whole_bucket(self, bucket: Bucket, captures: Captures, tmp_path: Path) -> None:
        for name, data in FILES.items():
            bucket.put(name, data)
        assert captures.root(bucket.uri) == captures.local_root(tmp_path / "folder")

    def test_more_than_a_page_and_a_node_hold(
        self, bucket: Bucket, captures: Captures, tmp_path: Path
    ) -> None:
        if "Werkzeug" in bucket.put("key", b"")["ResponseMetadata"]["HTTPHeaders"]["server"]:
            pytest.skip("moto is slow, and has small pages in all tests")
        files = {f"{number:05}.txt": b"%d" % number for number in range(1100)}
        uri = bucket.fill("many", files)
        assert captures.root(uri) == captures.local_root(tmp_path / "folder", files)

    def test_markers_of_folders_and_names_that_no_folder_has(
        self, bucket: Bucket, captures: Captures, tmp_path: Path
    ) -> None:
        uri = bucket.fill("data", {"file": b"x", ".git/config": b"y"})
        bucket.client.put_object(Bucket=bucket.name, Key="data/")
        bucket.client.put_object(Bucket=bucket.name, Key="data/hollow/")
        (tmp_path / "folder/hollow").mkdir(parents=True)
        assert captures.root(uri) == captures.local_root(tmp_path / "folder", {"file": b"x"})

    def test_a_neighbour_whose_name_begins_alike(
        self, bucket: Bucket, captures: Captures, tmp_path: Path
    ) -> None:
        uri = bucket.fill("data", {"file": b"x"})
        bucket.fill("data-old", {"file": b"y"})
        assert captures.root(uri) == captures.local_root(tmp_path / "folder", {"file": b"x"})


class TestRechecks:
    def test_nothing_is_read_twice(
        self, bucket: Bucket, captures: Captures, reads: list[str]
    ) -> None:
        uri = bucket.fill()
        root = captures.root(uri)
        assert len(reads) == len(FILES)
        reads.clear()
        assert captures.root(uri) == root
        assert reads == []

    def test_what_has_changed_is(
        self, bucket: Bucket, captures: Captures, reads: list[str]
    ) -> None:
        uri = bucket.fill()
        before = captures.root(uri)
        reads.clear()
        bucket.put("data/a/b.csv", b"5,6\n")
        assert captures.root(uri) != before
        assert reads == [f"{bucket.name}/data/a/b.csv"]

    def test_an_object(self, bucket: Bucket, captures: Captures, reads: list[str]) -> None:
        bucket.put("key", b"data")
        first = captures.one(f"{bucket.uri}/key")
        assert captures.one(f"{bucket.uri}/key") == first
        assert len(reads) == 1

    def test_everything_is_read_where_that_is_asked_for(
        self, bucket: Bucket, captures: Captures, reads: list[str]
    ) -> None:
        uri = bucket.fill()
        assert captures.root(uri) == captures.root(uri, verify=True)
        assert len(reads) == 2 * len(FILES)

    def test_other_algorithms_are_read_for(
        self, bucket: Bucket, captures: Captures, reads: list[str]
    ) -> None:
        bucket.put("key", b"data")
        captures.one(f"{bucket.uri}/key")
        artifact = captures.one(f"{bucket.uri}/key", algorithms=("sha256", "md5")).artifact
        assert artifact.digest.keys() == {"sha256", "md5"}
        assert len(reads) == 2

    def test_an_interruption_keeps_what_is_hashed(
        self, bucket: Bucket, captures: Captures, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = {f"{number:03}": b"%d" % number for number in range(100)}
        uri = bucket.fill("many", files)
        seen: list[str] = []
        read = S3Store.chunks

        def interrupted(store: S3Store, of: Said) -> Iterator[bytes]:
            seen.append(of.path)
            if len(seen) > 70:
                raise KeyboardInterrupt
            return read(store, of)

        with monkeypatch.context() as patch:
            patch.setattr(S3Store, "chunks", interrupted)
            with pytest.raises(KeyboardInterrupt):
                captures.one(uri)
        done = len(seen)
        with monkeypatch.context() as patch:
            seen.clear()
            patch.setattr(
                S3Store, "chunks", lambda store, of: (seen.append(of.path), read(store, of))[1]
            )
            captures.root(uri)
        assert 0 < len(seen) < 100
        assert done + len(seen) < 2 * len(files)


class TestHintsOnly:
    def test_nothing_is_read(self, bucket: Bucket, captures: Captures, reads: list[str]) -> None:
        uri = bucket.fill()
        artifact, tree, left_out = captures.one(f"{uri}/a.csv", hint_only=True)
        assert (artifact.kind, artifact.size, artifact.digest) == ("remote", 4, {})
        assert "etag" in artifact.remote
        assert "not read" in left_out[""]
        artifact, tree, left_out = captures.one(uri, hint_only=True)
        assert (artifact.kind, artifact.digest, artifact.listing, tree) == ("tree", {}, None, None)
        assert artifact.size == sum(map(len, FILES.values()))
        assert artifact.file_count == len(FILES)
        assert "not read" in left_out[""]
        assert reads == []


class TestAccess:
    def test_what_the_store_says_now(self, bucket: Bucket, captures: Captures) -> None:
        uri = bucket.fill()
        artifact = captures.one(f"{uri}/a.csv").artifact
        assert current_hints(f"{uri}/a.csv") == {**artifact.remote, "size": "4"}
        bucket.put("data/a.csv", b"other")
        assert current_hints(f"{uri}/a.csv")["etag"] != artifact.remote["etag"]
        assert current_hints(uri)["file_count"] == str(len(FILES))
        with pytest.raises(InputError, match="there is no s3://"):
            current_hints(f"{uri}/gone")

    def test_the_bytes(self, bucket: Bucket, tmp_path: Path) -> None:
        data = os.urandom(3_000_000)
        bucket.put("key", data)
        with open_object(f"{bucket.uri}/key") as stream:
            assert stream.read() == data
        download(f"{bucket.uri}/key", tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == data
        with pytest.raises(InputError):
            download(f"{bucket.uri}/gone", tmp_path / "none")
        assert not (tmp_path / "none").exists()

    def test_the_bytes_of_a_version(self, bucket: Bucket, tmp_path: Path) -> None:
        bucket.keep_versions()
        old = bucket.put("key", b"old")["VersionId"]
        bucket.put("key", b"new")
        download(f"{bucket.uri}/key", tmp_path / "got", old)
        assert (tmp_path / "got").read_bytes() == b"old"
        bucket.client.delete_object(Bucket=bucket.name, Key="key", VersionId=old)
        with pytest.raises(InputError, match="version"):
            open_object(f"{bucket.uri}/key", old)
