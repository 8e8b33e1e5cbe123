"""URIs and their drivers; archives and memory; names that no folder has; what is refused."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import fsspec
import pytest

from gitprov.capture.data.remote.access import current_hints, open_object
from gitprov.capture.data.remote.hints_cache import HintsCache
from gitprov.capture.data.remote.reading import read_objects
from gitprov.capture.data.remote.said import Said, said, strongest
from gitprov.capture.data.remote.spool import Spool
from gitprov.errors import InputError, MissingDependency
from tests.support.remote_data import FILES, Captures, sha256, write


@pytest.fixture
def captures(tmp_path: Path) -> Captures:
    return Captures(tmp_path)


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The one filesystem in memory that this process has, without what others left there."""
    fs = fsspec.filesystem("memory")
    fs.rm("/", recursive=True)
    yield fs
    fs.rm("/", recursive=True)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in FILES.items():
            file.writestr(f"data/{name}", data)
    return path


class TestMemory:
    def test_a_folder_has_the_same_root_as_a_local_one(
        self, memory: fsspec.AbstractFileSystem, captures: Captures, tmp_path: Path
    ) -> None:
        for name, data in FILES.items():
            memory.pipe(f"/data/{name}", data)
        root = captures.local_root(tmp_path / "folder")
        assert captures.root("memory://data") == root
        memory.mv("/data", "/elsewhere/data", recursive=True)
        assert captures.root("memory://elsewhere/data") == root
        write(tmp_path / "all", {f"elsewhere/data/{name}": data for name, data in FILES.items()})
        assert captures.root("memory://") == captures.local_root(tmp_path / "all", {})

    def test_folders_with_more_than_a_node_holds(
        self, memory: fsspec.AbstractFileSystem, captures: Captures, tmp_path: Path
    ) -> None:
        files = {f"flat/{number}.txt": b"%d" % number for number in range(1200)}
        files |= {f"folders/{number}/x": b"x" for number in range(1100)}
        for name, data in files.items():
            memory.pipe(f"/many/{name}", data)
        assert captures.root("memory://many") == captures.local_root(tmp_path / "folder", files)

    def test_objects_and_patterns(
        self, memory: fsspec.AbstractFileSystem, captures: Captures
    ) -> None:
        memory.pipe({"/d/a.csv": b"a", "/d/b.csv": b"b"})
        assert captures.one("memory://d/a.csv").artifact.digest["sha256"] == sha256(b"a")
        found = [item.artifact.uri for item in captures.all("memory://d/*.csv", name="train")]
        assert found == ["memory://d/a.csv", "memory://d/b.csv"]

    def test_one_that_cannot_be_read_is_named(
        self,
        memory: fsspec.AbstractFileSystem,
        captures: Captures,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        memory.pipe({"/d/good": b"a", "/d/sub/bad": b"b"})
        opened = type(memory).open

        def refused(fs: fsspec.AbstractFileSystem, path: str, *rest: object) -> object:
            if path.endswith("bad"):
                raise PermissionError("not for you")
            return opened(fs, path, *rest)

        monkeypatch.setattr(type(memory), "open", refused)
        captured = captures.one("memory://d")
        assert captured.left_out == {"sub/bad": "cannot read it: not for you"}
        assert captured.artifact.file_count == 1
        with pytest.raises(InputError, match="not for you"):
            captures.one("memory://d/sub/bad")
        good, bad = captures.all("memory://d/*ood") + captures.all("memory://d/sub/*")
        assert good.left_out == {}
        assert bad.left_out == {"": "cannot read it: not for you"}


class TestArchives:
    def test_a_member(self, archive: Path, captures: Captures) -> None:
        artifact = captures.one(f"zip://data/a.csv::{archive}").artifact
        assert artifact.uri == f"zip://data/a.csv::{archive}"
        assert artifact.digest["sha256"] == sha256(b"1,2\n")
        assert artifact.remote["checksum"].startswith("crc32:")

    def test_a_crc_does_not_vouch_for_a_member(self, archive: Path, captures: Captures) -> None:
        """These have the same CRC-32."""
        uri = f"zip://name::{archive}"
        for data in (b"plumless", b"buckeroo"):
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr(zipfile.ZipInfo("name"), data)
            assert captures.one(uri).artifact.digest["sha256"] == sha256(data)

    def test_names_that_are_not_text(self, tmp_path: Path, captures: Captures) -> None:
        name = os.fsdecode(b"odd\xff")
        with tarfile.open(tmp_path / "a.tar", "w") as file:
            file.addfile(tarfile.TarInfo(f"d/{name}"))
        root = captures.local_root(tmp_path / "folder", {name: b""})
        assert captures.root("tar://d::a.tar") == root

    @pytest.mark.parametrize("form", ["data.zip", "{}/data.zip", "file://{}/data.zip"])
    def test_a_folder(self, archive: Path, captures: Captures, form: str) -> None:
        uri = "zip://data::" + form.format(archive.parent)
        assert captures.root(uri) == captures.local_root(archive.parent / "folder")

    def test_the_whole(self, archive: Path, captures: Captures) -> None:
        files = {f"data/{name}": data for name, data in FILES.items()}
        assert captures.root(f"zip://::{archive}") == captures.local_root(
            archive.parent / "folder", files
        )

    def test_absent(self, archive: Path, captures: Captures) -> None:
        with pytest.raises(InputError, match="there is no archive"):
            captures.all("zip://data::gone.zip")
        with pytest.raises(InputError, match="there is nothing at zip://"):
            captures.all(f"zip://gone::{archive}")


class TestRefusals:
    @pytest.mark.parametrize(
        "uri",
        [
            "simplecache::file:///etc/passwd",
            "s3://bucket/a::s3://bucket/b",
            "zip://a::s3://bucket/b.zip",
            "zip://a::zip://b::c.zip",
        ],
    )
    def test_chains(self, captures: Captures, uri: str) -> None:
        with pytest.raises(InputError, match="chained URIs are not read"):
            captures.all(uri)

    @pytest.mark.parametrize("scheme", ["reference", "simplecache", "dir", "local", "cached"])
    def test_what_reads_through_others(self, captures: Captures, scheme: str) -> None:
        with pytest.raises(InputError, match=f"{scheme}:// is not read"):
            captures.all(f"{scheme}://x")

    def test_schemes_that_nobody_knows(self, captures: Captures) -> None:
        with pytest.raises(InputError, match="did you mean s3://"):
            captures.all("s4://bucket/key")
        with pytest.raises(InputError, match="no driver of fsspec reads qqqqq://"):
            captures.all("qqqqq://x")

    @pytest.mark.parametrize(
        "uri", ["file:///etc/passwd", "memory://x", "zip://a::b.zip", "local://etc/passwd"]
    )
    def test_uris_of_records_lead_to_remote_stores_alone(self, uri: str) -> None:
        with pytest.raises(InputError):
            current_hints(uri)
        with pytest.raises(InputError):
            open_object(uri)


class TestDrivers:
    # No test environment has it, nor any of the groups.
    def test_a_missing_one_is_named_with_its_command(self, captures: Captures) -> None:
        with pytest.raises(MissingDependency) as caught:
            captures.all("oss://ada:password-of-ada@bucket/key")
        assert str(caught.value) == "oss://ada@bucket/key needs ossfs: pip install ossfs"

    @pytest.mark.parametrize(
        ("scheme", "package"),
        [
            ("s3", "s3fs"),
            ("gs", "gcsfs"),
            ("az", "adlfs"),
            ("https", "aiohttp"),
            ("sftp", "sshfs"),
            ("hf", "huggingface_hub"),
        ],
    )
    def test_the_usual_ones(self, scheme: str, package: str) -> None:
        hidden = "s3fs gcsfs adlfs aiohttp sshfs paramiko huggingface_hub"
        program = f"""
import sys
sys.modules.update(dict.fromkeys({hidden.split()!r}))
from gitprov.capture.data.remote.schemes import opened
from gitprov.errors import MissingDependency
try:
    opened("{scheme}://place/key", typed=True)
except MissingDependency as error:
    print(error)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == f"{scheme}://place/key needs {package}: pip install {package}\n"


class TestWhatStoresSay:
    def test_google(self) -> None:
        info = {
            "name": "b/k", "type": "file", "size": 4, "etag": "CJD=", "generation": "1700",
            "md5Hash": "jXd/OF09/siBXSD3SWAm3A==", "crc32c": "rth90Q==",
            "updated": "2026-01-02T03:04:05.678Z",
        }  # fmt: skip
        assert said("b/k", info).remote == {
            "etag": "CJD=",
            "version_id": "1700",
            "checksum": "md5:8d777f385d3dfec8815d20f7496026dc",
            "last_modified": "2026-01-02T03:04:05Z",
        }

    def test_azure(self) -> None:
        digest = bytes.fromhex("8d777f385d3dfec8815d20f7496026dc")
        info = {
            "type": "file",
            "size": 4,
            "etag": '"0x8D"',
            "content_settings": {"content_md5": bytearray(digest)},
        }
        found = {"etag": "0x8D", "checksum": f"md5:{digest.hex()}"}
        assert said("c/k", info).remote == found

    def test_hugging_face(self) -> None:
        lfs = {"sha256": sha256(b"data").hex(), "size": 4}
        info = {"type": "file", "size": 4, "blob_id": "abc", "lfs": lfs}
        found = {"etag": "abc", "checksum": f"sha256:{sha256(b'data').hex()}"}
        assert said("datasets/x", info).remote == found

    def test_the_strongest_checksum_is_kept(self) -> None:
        assert strongest([("crc32c", b"\x01"), ("sha256", b"\x02")]) == "sha256:02"
        assert strongest([]) is None

    @pytest.mark.parametrize(
        ("now", "same"),
        [
            ({"etag": "1", "last_modified": "t"}, True),
            ({"etag": "1"}, True),
            ({"etag": "2", "last_modified": "t"}, False),
            ({"etag": "1", "last_modified": "u"}, False),
            ({"last_modified": "t"}, False),
            ({"etag": 'W/"1"'}, False),
            ({}, False),
        ],
    )
    def test_what_counts_as_unchanged(self, *, now: dict[str, str], same: bool) -> None:
        before = Said("k", 4, {"etag": "1", "last_modified": "t"})
        assert before.vouches_for(Said("k", 4, now)) is same
        assert not before.vouches_for(Said("k", 5, now))

    @pytest.mark.parametrize(
        ("remote", "same"),
        [
            ({"etag": 'W/"1"', "last_modified": "t"}, False),
            ({"checksum": "crc32:00000001"}, False),
            ({"checksum": "md5:01"}, True),
            ({"etag": 'W/"1"', "version_id": "1"}, True),
        ],
    )
    def test_weak_etags_and_crcs_do_not_vouch(self, *, remote: dict[str, str], same: bool) -> None:
        assert Said("k", 4, remote).vouches_for(Said("k", 4, remote)) is same


class TestCache:
    def test_damage_only_costs_what_was_known(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.sqlite"
        path.write_bytes(b"no database" * 1000)
        now = Said("k", 4, {"etag": "1"})
        cache = HintsCache(path)
        assert cache.get("s3://b/k", ["sha256"], now) is None
        cache.put("s3://b/k", ["sha256"], now, b"digest")
        cache.close()
        again = HintsCache(path)
        assert again.get("s3://b/k", ["sha256"], now) == b"digest"
        assert again.get("s3://b/k", ["md5"], now) is None
        again.close()

    def test_names_that_are_not_text(self, tmp_path: Path) -> None:
        now = Said("k", 4, {"etag": "1"})
        cache = HintsCache(tmp_path / "cache.sqlite")
        for uri in ("sftp://h/\udcff", "hf://\ud800", "s3://b/k"):
            cache.put(uri, ["sha256"], now, uri.encode("utf-8", "surrogatepass"))
        cache.close()
        again = HintsCache(tmp_path / "cache.sqlite")
        assert again.get("sftp://h/\udcff", ["sha256"], now) == b"sftp://h/\xed\xb3\xbf"
        assert again.get("hf://\ud800", ["sha256"], now) is None
        assert again.get("s3://b/k", ["sha256"], now) == b"s3://b/k"
        again.close()

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        cache = HintsCache(tmp_path / "file" / "cache.sqlite")
        cache.put("s3://b/k", ["sha256"], Said("k", 4, {"etag": "1"}), b"digest")
        cache.close()


class TestNames:
    def test_those_that_no_folder_has_are_left_out(self) -> None:
        with Spool(["sha256"]) as spool:
            for path in ("a//b", "../a", "a/./b", "/a", "nul\0"):
                assert not spool.add(path, Said(path, 1), b"x" * 32)
            assert spool.left_out.keys() == {"a//b", "../a", "a/./b", "/a", "nul\0"}

    def test_an_object_that_is_called_as_a_folder(self, captures: Captures) -> None:
        with Spool(["sha256"]) as spool:
            for path in ("a", "a/b"):
                assert spool.add(path, Said(path, 1), sha256(b"x"))
            folder = spool.make(captures.add)
            assert folder.files == 1
            assert spool.left_out == {"a": "a folder has the same name"}

    def test_secrets_are_kept_out(self, captures: Captures, tmp_path: Path) -> None:
        def redact(names: object) -> dict[bytes, bytes]:
            return {b"secret": b"shown"}

        with Spool(["sha256"]) as spool:
            spool.add("secret/secret", Said("", 4), sha256(b"data"))
            spool.add("plain", Said("", 4), sha256(b"data"))
            found = spool.make(captures.add, redact).sha256
        files = {"shown/shown": b"data", "plain": b"data"}
        assert found == captures.local_root(tmp_path / "folder", files)
        assert not any(b"secret" in data for _, data in captures.objects.values())


class TestReading:
    def test_no_exit_waits_for_a_store_that_has_fallen_silent(self) -> None:
        program = """
from threading import Event
from gitprov.capture.data.remote.reading import read_objects
from gitprov.capture.data.remote.said import Said

class Silent:
    threads = 2
    def chunks(self, of):
        yield b"data"
        Event().wait()

def heard(size):
    if size:
        raise KeyboardInterrupt

try:
    list(read_objects(Silent(), [Said(str(number)) for number in range(9)], ["sha256"], heard))
except KeyboardInterrupt:
    print("interrupted")
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout == "interrupted\n"

    def test_what_waits_is_not_read_after_the_end(self) -> None:
        go_on = Event()
        asked = []

        class Slow:
            threads = 1

            def chunks(self, of: Said) -> Iterator[bytes]:
                asked.append(of.path)
                yield b"data"
                go_on.wait(60)

        def heard(size: int) -> None:
            if size:
                raise KeyboardInterrupt

        store: Any = Slow()
        reads = read_objects(store, map(Said, "abc"), ["sha256"], heard)
        with pytest.raises(KeyboardInterrupt):
            next(reads)
        readers = [thread for thread in enumerate_threads() if thread.name == "gitprov-read"]
        go_on.set()
        for thread in readers:
            thread.join(60)
        assert asked == ["a"]
