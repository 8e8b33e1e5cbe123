"""Stand-ins for services that no package brings: lakeFS and the Hugging Face hub.

They speak the few requests that pin a version, as the services' documentation has them, over real
HTTP; their own clients are asked, too, so that both sides are held against a third.
"""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass
class File:
    """An answer that is bytes with headers of its own."""

    data: bytes
    headers: dict[str, str]


@dataclass
class Service:
    """Answers by path; with `authorization`, only to those who send that."""

    answers: dict[str, Any] = field(default_factory=dict)
    authorization: str | None = None
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def service(answers: Mapping[str, Any], authorization: str | None = None) -> Iterator[Service]:
    """Serve documents of JSON: a status, or text that is sent as it is, may stand for one."""
    serving = Service(dict(answers), authorization)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path).path
            serving.asked.append(self.path)
            answer = serving.answers.get(place, 404)
            given = self.headers.get("Authorization")
            if serving.authorization is not None and given != serving.authorization:
                answer = 401
            status = answer if isinstance(answer, int) else 200
            if isinstance(answer, File):
                self._send(200, answer.data, answer.headers)
                return
            text = answer if isinstance(answer, str) else json.dumps(answer)
            if text.startswith("http"):
                self._send(302, b"", {"Location": text})
            else:
                self._send(status, text.encode(), {"Content-Type": "application/json"})

        def do_HEAD(self) -> None:
            self.do_GET()

        def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
