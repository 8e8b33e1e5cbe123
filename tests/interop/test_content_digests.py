"""The same wheel has the same digest of its contents, by whichever installer and wherever it is."""

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.environments import capture_environment

BIN = Path(sys.executable).parent
INFO, DATA = "tiny_thing-1.0.dist-info", "tiny_thing-1.0.data"
FILES = {
    "tiny/__init__.py": b"value = 1\n",
    "tiny/with,comma.txt": b"x\n",
    f"{DATA}/purelib/tiny/more.py": b"more = 1\n",
    f"{DATA}/scripts/tiny-script": b"#!python\nprint(1)\n",
    f"{DATA}/data/share/tiny.txt": b"y\n",
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/entry_points.txt": b"[console_scripts]\ntiny = tiny:main\n",
}
PROJECT = """
[project]
name = "mine"
version = "1"
requires-python = ">=3.11"
dependencies = ["tiny-thing @ {wheel}"]
[tool.poetry]
package-mode = false
[tool.pdm]
distribution = false
[build-system]
requires = []
build-backend = "none"
"""


def make_wheel(folder: Path, changed: Mapping[str, bytes] | None = None) -> Path:
    """Make a wheel that has files in every place that a wheel can put some."""
    files = FILES | dict(changed or {})
    record = io.StringIO()
    writer = csv.writer(record, lineterminator="\n")
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(data)])
    writer.writerow([f"{INFO}/RECORD", "", ""])
    folder.mkdir(exist_ok=True)
    wheel = folder / "tiny_thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in (files | {f"{INFO}/RECORD": record.getvalue().encode()}).items():
            archive.writestr(name, data)
    return wheel


def by_pip(folder: Path, wheel: Path) -> None:
    call(folder, "uv", "venv", "-q", "--python", sys.executable, ".venv")
    pip = ["-m", "pip", "-q", "--python", ".venv/bin/python", "install", "--no-index", "--no-deps"]
    call(folder, "python", *pip, str(wheel))


def by_uv(folder: Path, wheel: Path) -> None:
    call(folder, "uv", "venv", "-q", "--python", sys.executable, ".venv")
    call(folder, "uv", "pip", "install", "-q", "--no-index", "--no-deps", "--compile-bytecode",
         "--link-mode=copy", str(wheel))  # fmt: skip


def by_poetry(folder: Path, wheel: Path) -> None:
    (folder / "pyproject.toml").write_text(PROJECT.format(wheel=wheel.as_uri()))
    call(folder, "poetry", "install", "-q", "-n", POETRY_VIRTUALENVS_IN_PROJECT="true")


def by_pdm(folder: Path, wheel: Path) -> None:
    (folder / "pyproject.toml").write_text(PROJECT.format(wheel=wheel.as_uri()))
    call(folder, "uv", "venv", "-q", "--python", sys.executable, ".venv")
    call(folder, "pdm", "install", "-q", "--no-self", PDM_CHECK_UPDATE="0")


def call(folder: Path, program: str, *arguments: str, **env: str) -> None:
    mine = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
    clean = {name: value for name, value in os.environ.items() if name not in mine}
    home = {"HOME": str(folder), "UV_CACHE_DIR": str(folder / "uv-cache")}
    done = subprocess.run(
        [str(BIN / program), *arguments], cwd=folder, env=clean | home | env, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def installed(folder: Path) -> dict[str, Any]:
    python = str(folder / ".venv/bin/python")
    captured = capture_environment([python], cwd=folder, top=None, env={}, cache=None)
    rows = json.loads(captured.files["packages.json"])["packages"]
    [found] = [row for row in rows if row["name"] == "tiny-thing"]
    return dict(found)


def test_the_same_wheel_by_four_installers(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels")
    found = {}
    for install in (by_pip, by_uv, by_poetry, by_pdm):
        if not (BIN / install.__name__.removeprefix("by_")).exists():
            pytest.skip("installers of the group environments are not there")
        folder = tmp_path / install.__name__
        folder.mkdir()
        install(folder, wheel)
        found[install.__name__] = installed(folder)
    assert [found[name]["installer"].split()[0].lower() for name in found] == [
        "pip", "uv", "poetry", "pdm"
    ]  # fmt: skip
    assert len({row["content_sha256"] for row in found.values()}) == 1
    # Whereas their files RECORD all differ, and with another file in it the digest does, too.
    assert len({row["record_sha256"] for row in found.values()}) == len(found)
    folder = tmp_path / "changed"
    folder.mkdir()
    by_uv(folder, make_wheel(tmp_path / "others", {"tiny/__init__.py": b"value = 2\n"}))
    assert installed(folder)["content_sha256"] != found["by_uv"]["content_sha256"]
