"""Inputs and outputs: local files, folders, globs and URIs, hashed."""

import hashlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import fsspec
import pytest

from gitprov.capture.data import CapturedData, capture_data
from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.commitments import commitment
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Scanner
from gitprov.codec.listings import encode_listing
from gitprov.model.run import Artifact
from tests.support.secrets import github_token


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "top"
    folder.mkdir()
    return folder


def capture(top: Path, *names: str | Path, cwd: Path | None = None) -> CapturedData:
    return capture_data(names, role="inputs", cwd=cwd or top, top=top)


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
        found = capture_data(["file"], role="inputs", cwd=top, top=None)
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

    def test_a_folder_that_holds_such(self, top: Path) -> None:
        (top / "folder").mkdir()
        os.mkfifo(top / "folder/pipe")
        assert "neither a file nor a link" in absent(top, "folder")[1]

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_what_may_not_be_read(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        (top / "file").chmod(0)
        (top / "folder/closed").mkdir(parents=True)
        (top / "folder/closed").chmod(0)
        assert absent(top, "file")[1] == "Permission denied"
        assert absent(top, "folder")[1] == "Permission denied"
        (top / "folder/closed").chmod(0o755)

    def test_the_others_are_hashed_all_the_same(self, top: Path) -> None:
        (top / "file").write_bytes(b"x")
        found = capture(top, "gone", "file", "*.none")
        assert [item.path for item in found.artifacts] == ["gone", "file", "*.none"]
        assert [bool(item.digest) for item in found.artifacts] == [False, True, False]
        assert found.missing["inputs.*.none"] == "no file matches"


class TestFolders:
    def test_every_file_below_counts(self, top: Path) -> None:
        folder = top / "folder"
        (folder / "deep/er").mkdir(parents=True)
        (folder / "a").write_bytes(b"a")
        (folder / "deep/er/b").write_bytes(b"bb")
        (folder / os.fsdecode(b"caf\xe9")).write_bytes(b"ccc")
        (folder / "deep/tool").write_bytes(b"#!")
        (folder / "deep/tool").chmod(0o755)
        (folder / "link").symlink_to("a")
        (folder / "up").symlink_to("..")
        (folder / "dangling").symlink_to("nowhere")
        (folder / ".git").mkdir()
        (folder / ".git/config").write_bytes(b"not data")
        found = capture(top, "folder/")
        assert found.missing == {}
        [artifact] = found.artifacts

        def file(path: str | bytes, data: bytes, mode: int = 0o644) -> dict[str, object]:
            digest = {"sha256": sha256(data)}
            return {"path": path, "size": len(data), "mode": mode, "digest": digest}

        def link(path: str, target: str) -> dict[str, object]:
            return {"path": path, "mode": 0o120000, "target": target}

        listing = encode_listing(
            [
                file("a", b"a"), file("deep/er/b", b"bb"), file(b"caf\xe9", b"ccc"),
                file("deep/tool", b"#!", 0o755), link("link", "a"), link("up", ".."),
                link("dangling", "nowhere"),
            ]
        )  # fmt: skip
        digest = sha256(listing)
        assert artifact == Artifact(
            kind="tree",
            path="folder",
            size=8,
            file_count=7,
            digest={"sha256": digest},
            listing=f"listing-{digest.hex()}",
        )
        assert found.listings == {digest.hex(): listing}

    def test_equal_content_is_an_equal_digest(self, top: Path) -> None:
        for name, order in (("one", "abc"), ("two", "cba")):
            (top / name).mkdir()
            for letter in order:
                (top / name / letter).write_text(letter)
        os.utime(top / "two/a", (1, 1))
        found = capture(top, "one", "two")
        assert found.artifacts[0].digest == found.artifacts[1].digest
        assert len(found.listings) == 1

    def test_any_change_is_another_digest(self, top: Path) -> None:
        (top / "folder").mkdir()
        file = top / "folder/file"
        file.write_text("x")
        digests = [one(top, "folder").digest["sha256"]]
        for change in (
            lambda: file.write_text("y"),
            lambda: file.chmod(0o755),
            lambda: file.rename(top / "folder/other"),
            lambda: (top / "folder/link").symlink_to("a"),
        ):
            change()
            digests.append(one(top, "folder").digest["sha256"])
        assert len(set(digests)) == 5

    def test_an_empty_folder(self, top: Path) -> None:
        (top / "folder").mkdir()
        artifact = one(top, "folder")
        assert (artifact.size, artifact.file_count) == (0, 0)
        assert artifact.digest == {"sha256": sha256(b"")}


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


class Handler(BaseHTTPRequestHandler):
    """Serves one file, and refuses another."""

    def do_GET(self) -> None:
        if self.path != "/data.csv":
            self.send_error(403)
            return
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
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
        assert "cannot read it" in reason

    def test_http(self, top: Path, server: str) -> None:
        found = capture(top, f"{server}/data.csv", f"{server}/secret")
        first, second = found.artifacts
        assert [item.uri for item in found.artifacts] == [f"{server}/data.csv", f"{server}/secret"]
        if find_spec("aiohttp"):  # what fsspec reads http with; no dependency of ours
            assert first.digest == {"sha256": sha256(b"1,2\n")}
        else:
            assert "needs a driver" in found.missing[f"inputs.{server}/data.csv"]
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


def test_a_listing_holds_no_secret(top: Path) -> None:
    token = github_token()
    for name in (f"data/{token}/part.csv", "data/fine.csv"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("1\n")
    (top / "data" / "link").symlink_to(f"https://ada:{token}@hub.internal/")
    redactor = Redactor(Scanner(Allowed()), lambda: bytes(32))
    found = capture_data(["data"], role="inputs", cwd=top, top=top, redactor=redactor)
    (listing,) = found.listings.values()
    assert found.artifacts[0].digest == {"sha256": sha256(listing)}
    assert token.encode() not in listing
    stands = commitment(bytes(32), token)
    assert listing.count(stands.encode()) == 2
    assert b"fine.csv" in listing
    assert redactor.found == {"inputs.listing": "GitHub Token"}
    # What holds none is as it would be without anybody looking.
    shutil.rmtree(top / "data" / token)
    (top / "data" / "link").unlink()
    plain = capture_data(["data"], role="inputs", cwd=top, top=top)
    assert capture_data(["data"], role="inputs", cwd=top, top=top, redactor=redactor) == plain
