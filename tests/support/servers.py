"""Git servers on loopback ports, for as long as a block runs.

Each serves every bare repository below a folder, with pushes, and answers before the block begins.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.repositories import Clone, clean_environment

_START_SECONDS = 20.0
_ATTEMPTS = 5
_USER, _PASSWORD = "ada", "open-sesame"


def bare_repository(path: Path) -> Path:
    """Make a bare repository that servers let anyone push to."""
    path.mkdir(parents=True)
    Clone(path).git("init", "--quiet", "--bare", "--initial-branch=main")
    Clone(path).git("config", "http.receivepack", "true")
    return path


@contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """Serve the repositories below `folder` over the git protocol; yields the URL above them."""

    def command(port: int) -> list[str]:
        # Not through `git daemon`, which would start this as a child of its own.
        return [
            f"{_exec_path()}/git-daemon",
            "--reuseaddr",
            "--export-all",
            "--enable=receive-pack",
            "--listen=127.0.0.1",
            f"--port={port}",
            f"--base-path={folder}",
            str(folder),
        ]

    with serving(command) as port:
        yield f"git://127.0.0.1:{port}"


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve the repositories below `folder` over smart HTTP, by lighttpd, to who has a password.

    Yields the URL above them, the password included.
    """
    with TemporaryDirectory(dir=folder) as own:
        passwords = Path(own, "passwords")
        passwords.write_text(f"{_USER}:{_PASSWORD}\n")
        config = Path(own, "lighttpd.conf")

        def command(port: int) -> list[str]:
            config.write_text(
                _LIGHTTPD.format(
                    port=port, folder=folder, own=own, passwords=passwords, git=_exec_path()
                )
            )
            return [program("lighttpd"), "-D", "-f", str(config)]

        with serving(command) as port:
            yield f"http://{_USER}:{_PASSWORD}@127.0.0.1:{port}"


@contextmanager
def sshd(settings: str) -> Iterator[tuple[int, Path]]:
    """Run sshd for who has the key; yields its port, and a folder with `client`, `known_hosts`."""
    with TemporaryDirectory() as made:
        own = Path(made).resolve()
        for key in ("host", "client"):
            arguments = ("-q", "-t", "ed25519", "-N", "", "-f", str(own / key))
            subprocess.run(["ssh-keygen", *arguments], check=True, stdin=subprocess.DEVNULL)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd insists, where it is root
        config, known = own / "sshd_config", own / "known_hosts"
        config.write_text((_SSHD + settings).format(own=own))

        def command(port: int) -> list[str]:
            known.write_text(f"[127.0.0.1]:{port} {(own / 'host.pub').read_text()}")
            # The path must be absolute: sshd starts itself again for each connection.
            return [program("sshd"), "-D", "-f", str(config), "-p", str(port)]

        with serving(command) as port:
            yield port, own


@contextmanager
def ssh_server(folder: Path) -> Iterator[str]:
    """Serve the repositories below `folder` over SSH, to who has the key; yields the URL above.

    GIT_SSH_COMMAND is set meanwhile: a client with that key, without agent and configuration.
    """
    with sshd(_FOR_GIT) as (port, own), pytest.MonkeyPatch.context() as patch:
        options = f"-i {own}/client -o IdentityAgent=none -o UserKnownHostsFile={own}/known_hosts"
        patch.setenv("GIT_SSH_COMMAND", f"ssh -F none -o BatchMode=yes {options}")
        yield f"ssh://127.0.0.1:{port}{folder}"


_LIGHTTPD = """
server.modules = ("mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi")
server.document-root = "{folder}"
server.upload-dirs = ("{own}")
server.bind = "127.0.0.1"
server.port = {port}
alias.url = ("/" => "{git}/git-http-backend/")
cgi.assign = ("" => "")
setenv.set-environment = (
    "GIT_PROJECT_ROOT" => "{folder}",
    "GIT_HTTP_EXPORT_ALL" => "1",
    "GIT_CONFIG_GLOBAL" => "/dev/null",
    "GIT_CONFIG_NOSYSTEM" => "1",
)
auth.backend = "plain"
auth.backend.plain.userfile = "{passwords}"
auth.require = ("/" => ("method" => "basic", "realm" => "lab", "require" => "valid-user"))
"""

_SSHD = """
ListenAddress 127.0.0.1
HostKey {own}/host
AuthorizedKeysFile {own}/client.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
"""
_FOR_GIT = """
AcceptEnv GIT_PROTOCOL
SetEnv GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
"""


@contextmanager
def http_backend(folder: Path) -> Iterator[str]:
    """Serve the repositories below `folder` over smart HTTP; yields the URL above them."""

    class Handler(_Backend):
        top = folder

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_START_SECONDS)


class _Backend(BaseHTTPRequestHandler):
    """`git http-backend` as CGI has it."""

    top: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _serve(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        env = clean_environment(
            GIT_PROJECT_ROOT=str(self.top),
            GIT_HTTP_EXPORT_ALL="1",
            GIT_PROTOCOL=self.headers.get("Git-Protocol", ""),
            PATH_INFO=path,
            QUERY_STRING=query,
            REQUEST_METHOD=self.command,
            REMOTE_ADDR="127.0.0.1",
            REMOTE_USER="ada",
            CONTENT_TYPE=self.headers.get("Content-Type", ""),
            CONTENT_LENGTH=str(len(body)),
            HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
        )
        answer = subprocess.run(
            [f"{_exec_path()}/git-http-backend"],
            input=body,
            env=env,
            capture_output=True,
            check=False,
            timeout=60,
        ).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        status, headers = 200, []
        for line in head.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(
    command: Callable[[int], list[str]],
    *,
    patience: float = _START_SECONDS,
    end: signal.Signals = signal.SIGTERM,
    works: Callable[[int], bool] = lambda _: True,
) -> Iterator[int]:
    """Run a server on a free port, which may be taken before it has it; yields the port.

    `works` says whether one that listens does its work by now.
    """
    for _ in range(_ATTEMPTS):
        port = _free_port()
        process = subprocess.Popen(
            command(port),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _answers(port, process, patience, works):
                yield port
                return
        finally:
            process.send_signal(end)
            process.wait(_START_SECONDS)
    raise AssertionError(f"{command(0)[0]} did not start")


def program(name: str) -> str:
    """Return a program's path; skip the test without it.

    It may be beside Python, or where only root looks.
    """
    own = Path(sys.executable).parent
    found = shutil.which(name, path=f"{own}:{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"needs {name}; scripts/install-system-packages installs it")
    return found


def _exec_path() -> str:
    result = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    return os.fspath(result.stdout.strip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(
    port: int,
    process: subprocess.Popen[bytes],
    patience: float,
    works: Callable[[int], bool],
) -> bool:
    """Wait until somebody listens and works; say whether it is still our process that does."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            # Somebody else may have taken the port, and ours be about to give up.
            time.sleep(0.02)
            if works(port):
                return process.poll() is None
        time.sleep(0.01)
    return False
