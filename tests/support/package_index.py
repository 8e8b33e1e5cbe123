"""Python packages made on the spot, and an index on loopback that serves them.

Wheels are the same bytes each time. Projects bring their own build backend, so that nothing is
downloaded to build them, also as editable installations.
"""

import base64
import hashlib
import html
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_TIME = (2020, 1, 1, 0, 0, 0)

_BACKEND = '''\
"""A build backend without dependencies."""
import base64, hashlib, tarfile, tomllib, zipfile
from pathlib import Path

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
NAME, VERSION = PROJECT["name"], PROJECT["version"]
MODULE = NAME.replace("-", "_")

def _wheel(folder, files):
    info = f"{MODULE}-{VERSION}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {NAME}", f"Version: {VERSION}"]
    lines += [f"Requires-Dist: {item}" for item in PROJECT.get("dependencies", [])]
    files[f"{info}/METADATA"] = "\\n".join(lines) + "\\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        rows.append(f"{name},sha256={digest.decode().rstrip('=')},{len(text.encode())}\\n")
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\\n"
    name = f"{MODULE}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder, name), "w") as file:
        for path, text in files.items():
            file.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return name

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {f"{MODULE}.py": Path(f"{MODULE}.py").read_text()})

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {f"_{MODULE}.pth": str(Path.cwd()) + "\\n"})

def build_sdist(folder, config_settings=None):
    name = f"{MODULE}-{VERSION}"
    with tarfile.open(Path(folder, name + ".tar.gz"), "w:gz") as file:
        for path in ("pyproject.toml", "backend.py", f"{MODULE}.py"):
            file.add(path, f"{name}/{path}")
    return name + ".tar.gz"
'''


def project(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """Write the source of a distribution with one module; returns its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    lines = "".join(f'    "{item}",\n' for item in requires)
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\nrequires-python = ">=3.11"\n'
        f"dependencies = [\n{lines}]\n"
    )
    (folder / "backend.py").write_text(_BACKEND)
    (folder / f"{module}.py").write_text(f'__version__ = "{version}"\n')
    return folder


def wheel(folder: Path, name: str, version: str, requires: Sequence[str] = ()) -> Path:
    """Write a wheel with one module; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {item}\n" for item in requires)
    files = {
        f"{module}.py": f'__version__ = "{version}"\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={_record_hash(text)},{len(text.encode())}\n" for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, _TIME), text)
    return path


def source_archive(folder: Path, source: Path) -> Path:
    """Build the source archive of a project into a folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    code = "import backend, sys; print(backend.build_sdist(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=source,
        check=True,
        capture_output=True,
        text=True,
    )
    return folder / done.stdout.strip()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@contextmanager
def package_index(folder: Path) -> Iterator[str]:
    """Serve the wheels and source archives in `folder` (PEP 503); yields the index's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = [part for part in self.path.split("?")[0].split("/") if part]
            if parts[:1] == ["files"] and (folder / parts[-1]).is_file():
                self._answer(200, (folder / parts[-1]).read_bytes(), "application/octet-stream")
            elif parts[:1] == ["simple"] and len(parts) == 2 and (page := _page(folder, parts[1])):
                self._answer(200, page.encode(), "text/html")
            else:
                self._answer(404, b"", "text/plain")

        do_HEAD = do_GET  # noqa: N815

        def _answer(self, status: int, data: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _page(folder: Path, name: str) -> str:
    prefix = name.replace("-", "_") + "-"
    files = [file for file in sorted(folder.iterdir()) if file.name.lower().startswith(prefix)]
    links = "".join(
        f'<a href="/files/{html.escape(file.name)}#sha256={sha256(file)}">{file.name}</a>\n'
        for file in files
    )
    return links and f"<!DOCTYPE html><html><body>\n{links}</body></html>\n"
