"""Inputs and outputs: local files, folders, globs and URIs, hashed."""

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from gitprov.capture.data import CapturedData, capture_data
from gitprov.capture.data.options import DataOptions
from gitprov.model.ids import new_id
from gitprov.model.run import Artifact
from gitprov.store.journal import JournalRun
from tests.support.repositories import Clone


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return Clone.make(tmp_path.resolve() / "top", commit=False).path


def journal_of(top: Path) -> JournalRun:
    """Return the folder of a new run."""
    store = Clone(top).store()
    store.repository.require_writable()
    return store.journal.create(new_id())


def capture(
    top: Path, *names: str | Path, cwd: Path | None = None, options: DataOptions | None = None
) -> CapturedData:
    return capture_data(
        names, role="inputs", cwd=cwd or top, top=top, journal=journal_of(top), options=options
    )


def one(top: Path, name: str | Path, cwd: Path | None = None) -> Artifact:
    found = capture(top, name, cwd=cwd)
    assert found.missing == {}
    [artifact] = found.artifacts
    return artifact


def absent(top: Path, name: str | Path) -> tuple[Artifact, str]:
    """Return the artifact without digest, and the reason."""
    found = capture(top, name)
    [artifact], [reason] = found.artifacts, found.missing.values()
    assert (artifact.digest, artifact.size) == ({}, None)
    return artifact, reason


class TestFiles:
    @pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
    def test_size_and_digest(self, top: Path, size: int) -> None:
        data = os.urandom(size)
        (top / "file").write_bytes(data)
        expected = Artifact(
            kind="file", path="file", size=size, digest={"sha256": sha256(data)}, seen="declared"
        )
        assert one(top, "file") == expected
        assert one(top, Path("file")) == expected
        assert one(top, top / "file") == expected
        assert one(top, f"file://{top}/file") == expected

    def test_from_a_folder_below(self, top: Path) -> None:
        (top / "sub").mkdir()
        (top / "file").write_bytes(b"x")
        assert one(top, "../file", cwd=top / "sub").path == "file"

    def test_outside_the_work_tree(self, top: Path) -> None:
        outside = top.parent / "a file.txt"
        outside.write_bytes(b"x")
        artifact = one(top, "../a file.txt")
        assert (artifact.path, artifact.uri) == (None, outside.as_uri())
        assert artifact.uri is not None
        assert artifact.uri.endswith("/a%20file.txt")
        assert one(top, artifact.uri) == artifact

    def test_without_a_work_tree(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        found = capture_data(["file"], role="inputs", cwd=top, top=None, journal=journal_of(top))
        assert found.artifacts[0].uri == (top / "file").as_uri()

    def test_names_that_are_not_utf8(self, top: Path) -> None:
        (top / os.fsdecode(b"caf\xe9")).write_bytes(b"x")
        assert one(top, os.fsdecode(b"caf\xe9")).path == b"caf\xe9"
        artifact, _ = absent(top, os.fsdecode(b"gone\xe9"))
        assert artifact.path == b"gone\xe9"

    def test_a_link_is_named_and_what_it_leads_to_is_hashed(self, top: Path) -> None:
        (top.parent / "elsewhere").write_bytes(b"content")
        (top / "link").symlink_to(top.parent / "elsewhere")
        artifact = one(top, "link")
        assert (artifact.path, artifact.digest) == ("link", {"sha256": sha256(b"content")})

    def test_the_same_file_twice_is_one_artifact(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        assert len(capture(top, "file", "./file", top / "file", "f*").artifacts) == 1


class TestAbsent:
    def test_a_file_that_is_not_there(self, top: Path) -> None:
        artifact, reason = absent(top, "gone/file")
        assert (artifact.kind, artifact.path) == ("file", "gone/file")
        assert reason == "No such file or directory"
        assert capture(top, "gone").missing.keys() == {"inputs.gone"}

    def test_a_dangling_link(self, top: Path) -> None:
        (top / "link").symlink_to("nowhere")
        assert absent(top, "link")[1] == "No such file or directory"

    def test_links_in_a_circle(self, top: Path) -> None:
        (top / "a").symlink_to("b")
        (top / "b").symlink_to("a")
        assert "symbolic links" in absent(top, "a")[1]

    def test_what_is_neither_file_nor_folder(self, top: Path) -> None:
        os.mkfifo(top / "pipe")
        assert absent(top, "pipe")[1] == "neither a file nor a folder"
        assert absent(top, "/dev/null")[0].uri == "file:///dev/null"

    def test_the_others_are_hashed_all_the_same(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        found = capture(top, "gone", "file", "*.none")
        assert [item.path for item in found.artifacts] == ["gone", "file", "*.none"]
        assert [bool(item.digest) for item in found.artifacts] == [False, True, False]
        assert found.missing["inputs.*.none"] == "no file matches"


class TestDigests:
    def test_more_than_one(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        options = DataOptions(algorithms=("md5", "sha256"))
        (artifact,) = capture(top, "file", options=options).artifacts
        md5 = hashlib.md5(b"x", usedforsecurity=False).digest()
        assert artifact.digest == {"md5": md5, "sha256": sha256(b"x")}

    def test_blake3_instead(self, top: Path) -> None:
        blake3 = pytest.importorskip("blake3")
        (top / "file").write_bytes(b"x")
        (artifact,) = capture(top, "file", options=DataOptions(algorithms=("blake3",))).artifacts
        assert artifact.digest == {"blake3": blake3.blake3(b"x").digest()}

    @pytest.mark.parametrize("name", ["small", "large", "folder"])
    def test_digest_that_there_is_not(self, top: Path, name: str) -> None:
        (top / "small").write_bytes(b"x")
        (top / "large").write_bytes(bytes(1 << 20))
        (top / "folder").mkdir()
        found = capture(top, name, options=DataOptions(algorithms=("crc32",)))
        assert "there is no digest 'crc32'" in found.missing[f"inputs.{name}"]
        assert found.artifacts[0].digest == {}

    def test_name_that_was_given(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        (top / "folder").mkdir()
        found = capture(top, "file", "folder", "gone", options=DataOptions(name="train"))
        assert [artifact.name for artifact in found.artifacts] == ["train"] * 3


class TestGlobs:
    @pytest.fixture(autouse=True)
    def files(self, top: Path) -> None:
        for name in ("b.csv", "a.csv", "sub/c.csv", "x.txt", "[1].csv"):
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).write_text(name)

    @pytest.mark.parametrize(
        ("pattern", "paths"),
        [
            ("[ab].csv", ["a.csv", "b.csv"]),
            ("**/*.csv", ["[1].csv", "a.csv", "b.csv", "sub/c.csv"]),
            ("?.txt", ["x.txt"]),
            ("[1].csv", ["[1].csv"]),
            ("su*", ["sub"]),
        ],
    )
    def test_matches_in_order(self, top: Path, pattern: str, paths: list[str]) -> None:
        assert [item.path for item in capture(top, pattern).artifacts] == paths
        assert [item.path for item in capture(top, f"{top}/{pattern}").artifacts] == paths

    def test_one_that_cannot_be_read_does_not_hide_the_others(self, top: Path) -> None:
        os.mkfifo(top / "aa.csv")
        found = capture(top, "*.csv")
        assert [item.path for item in found.artifacts] == ["[1].csv", "a.csv", "aa.csv", "b.csv"]
        assert [bool(item.digest) for item in found.artifacts] == [True, True, False, True]
        assert found.missing == {"inputs.aa.csv": "neither a file nor a folder"}


class Handler(BaseHTTPRequestHandler):
    """Serves one file, and refuses another."""

    def do_GET(self) -> None:
        if self.path != "/data.csv":
            self.send_error(403)
            return
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"1,2\n")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class TestRemote:
    @pytest.fixture
    def server(self) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        server.server_close()
        thread.join(10)

    def test_an_object_in_memory(self, top: Path) -> None:
        data = os.urandom((1 << 20) + 5)
        with fsspec.open("memory://bucket/data.bin", "wb") as stream:
            stream.write(data)
        assert one(top, "memory://bucket/data.bin") == Artifact(
            kind="remote",
            uri="memory://bucket/data.bin",
            size=len(data),
            digest={"sha256": sha256(data)},
        )
        artifact, reason = absent(top, "memory://bucket/gone")
        assert (artifact.kind, artifact.uri) == ("remote", "memory://bucket/gone")
        assert "there is nothing at memory://bucket/gone" in reason

    def test_http(self, top: Path, server: str) -> None:
        found = capture(top, f"{server}/data.csv", f"{server}/secret")
        first, second = found.artifacts
        assert [item.uri for item in found.artifacts] == [f"{server}/data.csv", f"{server}/secret"]
        if find_spec("aiohttp"):  # what fsspec reads http with; no dependency of ours
            assert first.digest == {"sha256": sha256(b"1,2\n")}
        else:
            assert "pip install aiohttp" in found.missing[f"inputs.{server}/data.csv"]
        assert second.digest == {}
        assert f"inputs.{server}/secret" in found.missing

    def test_nobody_answers(self, top: Path) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            artifact, reason = absent(top, f"http://127.0.0.1:{closed.getsockname()[1]}/x")
        assert artifact.kind == "remote"
        assert reason

    def test_schemes_that_nobody_knows(self, top: Path) -> None:
        artifact, reason = absent(top, "nosuch://host/path")
        assert artifact.uri == "nosuch://host/path"
        assert "nosuch" in reason

    @pytest.mark.parametrize("uri", ["simplecache::memory://x", "zip://a::memory://x"])
    def test_chains_are_not_read(self, top: Path, uri: str) -> None:
        with fsspec.open("memory://x", "wb") as stream:
            stream.write(b"x")
        assert absent(top, uri)[0].digest == {}

    def test_credentials_are_not_kept(self, top: Path) -> None:
        uri = "nosuch://reader:hunter2@host/path"
        found = capture(top, uri)
        assert found.artifacts[0].uri == "nosuch://reader@host/path"
        assert "hunter2" not in repr(found)
