"""Which BLAS numpy, scipy and torch use, by their files: laid out as those of real wheels are."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gitprov.capture.environments import capture_environment, linear_algebra
from gitprov.capture.environments.kind import Findings, Request
from gitprov.codec.environment_files import read_environment
from tests.unit.test_hardware import lay_out

SITE = "env/lib/python3.11/site-packages"
DEBIAN = "usr/lib/python3/dist-packages"
CONFIG = """\
CONFIG = _cleanup(
    {{
        "Compilers": {{
            "c": {{
                "name": "gcc",
                "version": "14.2.1",
            }},
        }},
        "Build Dependencies": {{
            "blas": {{
                "name": "{blas}",
                "found": bool("True".lower().replace("false", "")),
                "version": "{version}",
                "lib directory": r"/a/lib",
            }},
            "lapack": {{
                "name": r"{lapack}",
                "found": bool("True".lower().replace("false", "")),
                "version": "{version}",
            }},
        }},
    }}
)
"""
OLDER = """\
blas_ilp64_opt_info={'libraries': ['openblas64_', 'openblas64_'], 'library_dirs': ['/usr/lib']}
lapack_ilp64_opt_info={'libraries': ['openblas64_'], 'library_dirs': ['/usr/lib']}
blas_mkl_info={}
"""


def config(blas: str, lapack: str | None = None, version: str = "3.9.0") -> str:
    return CONFIG.format(blas=blas, lapack=lapack or blas, version=version)


def capture(
    root: Path, *names: str, conda: bytes = b"", prefix: str = "/env", **interpreter: str
) -> Findings:
    fields = {"version": "3.11.2", "prefix": prefix, "implementation": "cpython"} | interpreter
    rows = [{"name": name, "version": "1", "purl": "p"} for name in names]
    listing = json.dumps({"interpreter": fields, "packages": rows}).encode()
    found = {"packages.json": listing} | ({"conda.json": conda} if conda else {})
    request = Request(argv=(), cwd=root, top=None, env={}, cache=None, found=found)
    return linear_algebra.describe(root, request)


def said(findings: Findings) -> list[tuple[str, str, str | None]]:
    rows = read_environment(findings.files, findings.locks).linear_algebra
    return [(row.user, row.library, row.version) for row in rows]


def test_wheels_say_what_they_were_built_with(tmp_path: Path) -> None:
    files = {
        f"{SITE}/numpy/__config__.py": config("scipy-openblas", version="0.3.31.188.0"),
        f"{SITE}/scipy/__config__.py": config("mkl-dynamic-lp64-seq", version=""),
    }
    root = lay_out(tmp_path, files)
    assert said(capture(root, "numpy", "scipy")) == [
        ("numpy", "scipy-openblas", "0.3.31.188.0"),
        ("scipy", "mkl-dynamic-lp64-seq", None),
    ]
    assert said(capture(root, "numpy")) == [("numpy", "scipy-openblas", "0.3.31.188.0")]
    assert capture(root, "pandas") == Findings()
    assert capture(tmp_path / "nowhere", "numpy") == Findings()


def test_older_and_damaged_files(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {f"{SITE}/numpy/__config__.py": OLDER})
    assert said(capture(root, "numpy")) == [("numpy", "openblas", None)]
    for text in ("CONFIG = {", "", '"Build Dependencies": {"blas": {', "CONFIG = exit(1)\n"):
        lay_out(tmp_path, {f"{SITE}/numpy/__config__.py": text})
        assert capture(root, "numpy") == Findings()


def test_without_words_what_the_wheel_brings(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{SITE}/numpy/__init__.py": ""})
    lay_out(tmp_path, {f"{SITE}/numpy.libs/libscipy_openblas64_-32a4b2a6.so": ""})
    assert said(capture(tmp_path, "numpy")) == [("numpy", "scipy-openblas", None)]


def test_torch(tmp_path: Path) -> None:
    header = "#pragma once\n\n#define AT_MKLDNN_ENABLED() 1\n#define AT_MKL_ENABLED() {}\n"
    place = f"{SITE}/torch/include/ATen/Config.h"
    root = lay_out(tmp_path, {place: header.format(1)})
    assert said(capture(root, "torch")) == [("torch", "mkl", None)]
    lay_out(root, {place: header.format(0), f"{SITE}/torch.libs/libopenblasp-1.so": ""})
    assert said(capture(root, "torch")) == [("torch", "openblas", None)]


def test_what_conda_has_chosen(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {f"{SITE}/numpy/__config__.py": config("blas", "lapack")})

    def listing(build: str, lapack: str | None = None) -> bytes:
        packages = [
            {"name": "libblas", "version": "3.9.0", "build": f"25_linux64_{build}"},
            {"name": "liblapack", "version": "3.9.0", "build": f"25_linux64_{lapack or build}"},
            {"name": "libopenblas", "version": "0.3.28", "build": "pthreads_h1_0"},
            {"name": "mkl", "version": "2024.2", "build": "h1_0"},
        ]
        return json.dumps({"packages": packages}).encode()

    def chosen(conda: bytes) -> list[tuple[str, str, str | None]]:
        return said(capture(root, "numpy", conda=conda))

    assert chosen(listing("openblas")) == [("numpy", "openblas", "0.3.28")]
    assert chosen(listing("mkl", "openblas")) == [
        ("numpy", "mkl", "2024.2"),
        ("numpy", "openblas", "0.3.28"),
    ]
    assert chosen(listing("netlib")) == [("numpy", "netlib", "3.9.0")]
    # Of none that is known, what the package said.
    assert chosen(b'{"packages": [{"name": "libblas", "build": "odd"}]}') == [
        ("numpy", "blas", "3.9.0"),
        ("numpy", "lapack", "3.9.0"),
    ]


def test_what_the_alternatives_of_debian_lead_to(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {f"{DEBIAN}/numpy/__config__.py": config("blas", "lapack")})
    alternatives = root / "etc/alternatives"
    alternatives.mkdir(parents=True)
    folder = "/usr/lib/x86_64-linux-gnu"

    def link(part: str, place: str) -> None:
        path = alternatives / f"lib{part}.so.3-x86_64-linux-gnu"
        path.unlink(missing_ok=True)
        path.symlink_to(f"{folder}/{place}/lib{part}.so.3")

    for part in ("blas", "lapack"):
        link(part, "openblas-pthread")
    assert said(capture(root, "numpy", prefix="/usr")) == [("numpy", "openblas-pthread", None)]
    link("blas", "blas")
    assert said(capture(root, "numpy", prefix="/usr")) == [
        ("numpy", "openblas-pthread", None),
        ("numpy", "reference", None),
    ]


def test_packages_of_the_system_below_a_virtual_environment(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {f"{DEBIAN}/numpy/__config__.py": config("openblas")})
    settings = "home = /usr/bin\ninclude-system-site-packages = {}\n"
    lay_out(root, {"env/pyvenv.cfg": settings.format("false")})
    assert capture(root, "numpy", base_prefix="/usr") == Findings()
    lay_out(root, {"env/pyvenv.cfg": settings.format("true")})
    assert said(capture(root, "numpy", base_prefix="/usr")) == [("numpy", "openblas", "3.9.0")]


def test_folders_of_the_search_path_come_first(tmp_path: Path) -> None:
    place = "numpy/__config__.py"
    root = lay_out(tmp_path, {f"{SITE}/{place}": config("one"), f"more/{place}": config("two")})
    listing = json.dumps(
        {
            "interpreter": {"version": "3.11.2", "prefix": "/env"},
            "packages": [{"name": "numpy", "version": "1", "purl": "p"}],
        }
    ).encode()

    def first(search_path: str) -> list[tuple[str, str, str | None]]:
        env = {"PYTHONPATH": search_path}
        found = {"packages.json": listing}
        request = Request(argv=(), cwd=Path("/"), top=None, env=env, cache=None, found=found)
        return said(linear_algebra.describe(root, request))

    assert first(f"nowhere:{'x' * 300}:a\0b:") == [("numpy", "one", "3.9.0")]
    assert first("/more") == [("numpy", "two", "3.9.0")]


def test_a_python_without_the_global_lock(tmp_path: Path) -> None:
    place = "env/lib/python3.13t/site-packages/numpy/__config__.py"
    root = lay_out(tmp_path, {place: config("openblas")})
    threaded = {"version": "3.13.1", "soabi": "cpython-313t-x86_64-linux-gnu"}
    assert said(capture(root, "numpy", **threaded)) == [("numpy", "openblas", "3.9.0")]
    assert capture(root, "numpy", version="3.13.1", soabi="cpython-313") == Findings()


@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed")
def test_numpy_itself_says_the_same(tmp_path: Path) -> None:
    captured = capture_environment(
        [sys.executable], cwd=tmp_path, top=None, env={"PATH": "/usr/bin"}, cache=None
    )
    code = (
        "import numpy, json;"
        "print(json.dumps(numpy.show_config(mode='dicts')['Build Dependencies']['blas']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    oracle = json.loads(done.stdout)
    rows = [row for row in said(Findings(files=captured.files)) if row[0] == "numpy"]
    assert ("numpy", oracle["name"], oracle.get("version")) in rows
