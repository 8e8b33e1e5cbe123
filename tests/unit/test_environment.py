"""The environment of a command, captured from real virtual environments and folders."""

import hashlib
import json
import os
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture import environments
from gitprov.capture.environments import CapturedEnvironment, capture_environment
from gitprov.capture.environments.kind import Findings, Request
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.environment_files import read_environment

BACKEND = """
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "linked_project-2.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        info = "linked_project-2.0.dist-info"
        wheel.writestr("linked.pth", os.getcwd())
        fields = "Metadata-Version: 2.1\\nName: linked-project\\nVersion: 2.0\\n"
        wheel.writestr(info + "/METADATA", fields)
        fields = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "/WHEEL", fields)
        wheel.writestr(info + "/RECORD", "")
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "linked-project"
version = "2.0"
"""


class World:
    """A virtual environment, a work tree, a cache, and the variables of a shell using them."""

    def __init__(self, folder: Path, *, pip: bool = False) -> None:
        self.venv = folder / "venv"
        self.top = folder / "repository"
        self.cache = folder / "cache"
        self.starts = folder / "starts"
        self.top.mkdir()
        venv.EnvBuilder(symlinks=True, with_pip=pip).create(self.venv)
        self.site = next(self.venv.glob("lib/python*/site-packages"))
        self.env = {"PATH": f"{self.venv}/bin:/usr/bin:/bin", "HOME": str(folder)}

    def capture(
        self,
        *argv: str,
        cwd: str = ".",
        env: Mapping[str, str] | None = None,
        cache: bool = True,
    ) -> CapturedEnvironment:
        return capture_environment(
            argv or ("python", "train.py"),
            cwd=self.top / cwd,
            top=self.top,
            env=self.env | dict(env or {}),
            cache=self.cache if cache else None,
        )

    def packages(self, *argv: str, **options: Any) -> dict[str, dict[str, Any]]:
        document = json.loads(self.capture(*argv, **options).files["packages.json"])
        return {package["name"]: package for package in document["packages"]}

    def install(self, name: str, version: str, *, folder: Path | None = None) -> Path:
        info = (folder or self.site) / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return info

    def count_starts(self) -> None:
        """Make every start leave its process id: .pth lines run at start, in a venv even twice."""
        line = f"import os; open({str(self.starts)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        (self.site / "count.pth").write_text(line)

    @property
    def started(self) -> int:
        return len(set(self.starts.read_text().split())) if self.starts.exists() else 0

    def grow_old(self) -> None:
        """Move all installed entries out of the time in which a change leaves no trace."""
        for path in self.site.iterdir():
            os.utime(path, (time.time() - 60, time.time() - 60), follow_symlinks=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def document(captured: CapturedEnvironment) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(captured.files["packages.json"])
    return loaded


def of_python(missing: Mapping[str, str]) -> dict[str, str]:
    """Return what is missing of the interpreter and its packages, wherever the test runs."""
    fields = ("environment.packages", "environment.interpreter")
    return {name: reason for name, reason in missing.items() if name.startswith(fields)}


# What is installed


def test_what_pip_installs(tmp_path: Path) -> None:
    world = World(tmp_path, pip=True)
    wheel = tmp_path / "tiny_thing-1.0+cu121-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "tiny_thing-1.0+cu121.dist-info"
        archive.writestr("tiny.py", "")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: Tiny_Thing\nVersion: 1.0+cu121\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    project = tmp_path / "project"
    project.mkdir()
    (project / "backend.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(PROJECT)
    pip = [str(world.venv / "bin/python"), "-m", "pip", "install", "-q", "--no-index"]
    pip += ["--no-deps", "--disable-pip-version-check", "--no-build-isolation"]
    subprocess.run([*pip, str(wheel), "-e", str(project)], check=True)

    packages = world.packages()

    assert set(packages) >= {"Tiny_Thing", "linked-project", "pip"}
    tiny = packages["Tiny_Thing"]
    record = world.site / "tiny_thing-1.0+cu121.dist-info/RECORD"
    assert tiny["version"] == "1.0+cu121"
    assert tiny["purl"] == "pkg:pypi/tiny-thing@1.0%2Bcu121"
    assert tiny["installer"] == "pip"
    assert tiny["record_sha256"] == hashlib.sha256(record.read_bytes()).hexdigest()
    assert tiny["direct_url"]["url"] == f"file://{wheel}".replace("+", "%2B")
    assert "editable" not in tiny
    assert packages["linked-project"]["editable"] is True
    # The oracle: the interpreter's own library sees the same distributions.
    code = (
        "import importlib.metadata as m;"
        "print(*sorted({d.metadata['Name'] + '=' + d.version for d in m.distributions()}))"
    )
    said = subprocess.run(
        [str(world.venv / "bin/python"), "-I", "-c", code], capture_output=True, check=True
    )
    ours = sorted(f"{name}={package['version']}" for name, package in packages.items())
    assert said.stdout.decode().split() == ours


def test_the_interpreter_is_the_environments(world: World) -> None:
    captured = world.capture()
    interpreter = document(captured)["interpreter"]
    version = ".".join(map(str, sys.version_info[:3]))
    assert captured.python is not None
    assert captured.python.endswith(f" {version}")
    assert interpreter["version"] == version
    assert interpreter["implementation"] == sys.implementation.name
    assert interpreter["prefix"] == str(world.venv.resolve())
    assert interpreter["base_prefix"] == str(Path(sys.base_prefix).resolve())
    assert interpreter["executable"] == str((world.venv / "bin/python").resolve())
    assert interpreter["kind"] == "venv"
    assert of_python(captured.missing) == {}


@pytest.mark.parametrize(
    ("line", "kind"), [("uv = 0.5.1", "uv"), ("virtualenv = 20.1.0", "virtualenv"), ("", "venv")]
)
def test_what_made_the_environment(world: World, line: str, kind: str) -> None:
    with (world.venv / "pyvenv.cfg").open("a") as file:
        file.write(line + "\n")
    assert document(world.capture())["interpreter"]["kind"] == kind


def test_broken_distributions_are_listed_apart(world: World) -> None:
    world.install("whole", "1.0")
    (world.site / "nothing-1.0.dist-info").mkdir()
    (world.site / "file-1.0.dist-info").write_text("")
    (world.site / "dangling-1.0.dist-info").symlink_to("/nowhere")
    world.install("~eft", "1.0")
    (world.install("versionless", "1.0") / "METADATA").write_text(
        "Name: versionless\n\nVersion: 1\n"
    )
    (world.install("nameless", "1.0") / "METADATA").write_text("Version: 1.0\n")
    (world.install("misnamed", "1.0") / "METADATA").write_bytes(b"Name: a\xff\nVersion: 1.0\n")
    (world.install("origin", "1.0") / "direct_url.json").write_text("[1]")
    world.install("twice", "1.0")
    world.install("twice", "2.0")

    listed = document(world.capture())

    assert [package["name"] for package in listed["packages"]] == ["origin", "twice", "whole"]
    assert {item["entry"]: item["reason"] for item in listed["broken"]} == {
        "dangling-1.0.dist-info": "METADATA cannot be read: No such file or directory",
        "file-1.0.dist-info": "METADATA cannot be read: Not a directory",
        "misnamed-1.0.dist-info": "METADATA has a name that no distribution can have",
        "nameless-1.0.dist-info": "METADATA has no name",
        "nothing-1.0.dist-info": "METADATA cannot be read: No such file or directory",
        "origin-1.0.dist-info": "direct_url.json is not what PEP 610 says",
        "twice-2.0.dist-info": "twice 1.0 stands in the same folder",
        "versionless-1.0.dist-info": "METADATA has no version",
        "~eft-1.0.dist-info": "left over from an interrupted installation",
    }


def test_what_an_interrupted_installer_leaves(world: World) -> None:
    for name in ("~umpy", "~~mpy", "-umpy"):
        (world.install(name, "1.0") / "METADATA").unlink()
    (world.install("half", "1.0") / "INSTALLER").write_text("pip\n")
    (world.install("ours", "1.0") / "INSTALLER").write_text("debian\n")
    listed = document(world.capture())
    assert [package["name"] for package in listed["packages"]] == ["half", "ours"]
    assert {item["entry"]: item["reason"] for item in listed["broken"]} == {
        "-umpy-1.0.dist-info": "METADATA cannot be read: No such file or directory",
        "half-1.0.dist-info": "pip has installed it, but it has no RECORD",
        "~umpy-1.0.dist-info": "left over from an interrupted installation",
        "~~mpy-1.0.dist-info": "left over from an interrupted installation",
    }


def test_folders_that_cannot_be_read(world: World) -> None:
    world.install("whole", "1.0")
    (world.top / "loop").symlink_to("loop")
    (world.top / "file").write_text("")
    env = {"PYTHONPATH": f"loop:file:nowhere:{'x' * 300}"}
    listed = document(world.capture(env=env))
    assert [package["name"] for package in listed["packages"]] == ["whole"]
    assert {item["entry"].rpartition("/")[2][:5]: item["reason"] for item in listed["broken"]} == {
        "loop": "the folder cannot be read: Too many levels of symbolic links",
        "xxxxx": "the folder cannot be read: File name too long",
    }


def test_things_that_are_no_files(world: World) -> None:
    os.mkfifo(world.site / "pipe-1.0.egg-info")
    (world.install("folders", "1.0") / "RECORD").mkdir()
    (world.install("pipes", "1.0") / "METADATA").unlink()
    for name in ("METADATA", "RECORD", "direct_url.json"):
        os.mkfifo(world.site / "pipes-1.0.dist-info" / name)
    listed = document(world.capture())
    assert [package["name"] for package in listed["packages"]] == ["folders"]
    assert "record_sha256" not in listed["packages"][0]
    assert {item["entry"]: item["reason"] for item in listed["broken"]} == {
        "pipe-1.0.egg-info": "pipe-1.0.egg-info has no name",
        "pipes-1.0.dist-info": "METADATA has no name",
    }


def test_older_forms_of_metadata(world: World) -> None:
    text = "Metadata-Version: 1.0\nName: {}\nVersion: 0.1\n"
    (world.site / "single-0.1.egg-info").write_text(text.format("single"))
    egg = world.site / "zipped-0.1-py3.egg"
    sources = world.top.parent / "sources"
    for place, name in (
        (world.site / "folder.egg-info", "folder"),
        (egg / "EGG-INFO", "zipped"),
        (sources / "developed.egg-info", "developed"),
    ):
        place.mkdir(parents=True)
        (place / "PKG-INFO").write_text(text.format(name))
    (world.site / "developed.egg-link").write_text(f"{sources}\n.")
    (world.site / "easy-install.pth").write_text(f"{egg}\n{sources}\n")

    packages = world.packages()

    assert set(packages) == {"single", "folder", "zipped", "developed"}
    assert packages["developed"]["editable"] is True
    assert not any("editable" in packages[name] for name in ("single", "folder", "zipped"))


def test_the_first_folder_wins_as_in_an_import(world: World) -> None:
    world.install("Some.Thing", "1.0")
    world.install("some_thing", "2.0", folder=world.top / "vendored")
    assert world.packages()["Some.Thing"]["version"] == "1.0"
    for path in (str(world.top / "vendored"), "vendored"):
        assert world.packages(env={"PYTHONPATH": path})["some_thing"]["version"] == "2.0"
    assert world.packages("python", "-E", "x.py", env={"PYTHONPATH": "vendored"}).keys() == {
        "Some.Thing"
    }


def test_credentials_do_not_leave_the_machine(world: World) -> None:
    url = "https://me:secret@example.org/private.git"
    (world.install("private", "1.0") / "direct_url.json").write_text(
        json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": "0" * 40}})
    )
    captured = world.capture()
    assert b"secret" not in captured.files["packages.json"]
    assert document(captured)["packages"][0]["direct_url"] == {
        "url": "https://example.org/private.git",
        "vcs_info": {"vcs": "git", "commit_id": "0" * 40},
    }


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://token@host/x", "https://host/x"),
        ("git+https://me:s@host/x@v1", "git+https://host/x@v1"),
        ("https://a:b@c@host:80", "https://host:80"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("ssh://me:secret@host/x", "ssh://me@host/x"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://host?x=a@b", "https://host?x=a@b"),
        ("https://me:secret@[bad/x", "https://[bad/x"),
        ("git@host:x", "git@host:x"),
        ("file:///x", "file:///x"),
    ],
)
def test_urls_without_credentials(url: str, clean: str) -> None:
    assert without_credentials(url) == clean


# Equal bytes for equal environments


def test_the_same_environment_gives_the_same_bytes(world: World) -> None:
    for name in ("zebra", "Alpha", "mid.dle"):
        world.install(name, "1.0")
    first = world.capture(cache=False)
    assert world.capture(cache=False) == first
    assert world.capture() == first
    assert world.capture() == first
    for command in ("python3", str(world.venv / "bin/python"), "../venv/bin/python3"):
        assert world.capture(command).files == first.files


def test_one_line_a_package(world: World) -> None:
    world.install("beta", "1.0")
    world.install("Alpha", "1.0")
    text = world.capture().files["packages.json"].decode()
    assert text.endswith("\n}\n")
    assert [line.strip(" ,") for line in text.splitlines() if '"purl"' in line] == [
        '{"name": "Alpha", "purl": "pkg:pypi/alpha@1.0", "version": "1.0"}',
        '{"name": "beta", "purl": "pkg:pypi/beta@1.0", "version": "1.0"}',
    ]


def test_the_system_names_no_host(world: World) -> None:
    captured = world.capture()
    system = json.loads(captured.files["system.json"])
    kernel = os.uname()
    assert system["os"] == kernel.sysname
    assert system["kernel"] == kernel.release
    assert system["machine"] == kernel.machine
    assert set(system) <= {"schema", "os", "kernel", "machine", "libc", "distribution"}
    assert captured.platform.startswith(f"{kernel.sysname}-")
    assert kernel.machine in captured.platform


# Which environment


def test_two_environments_on_path(tmp_path: Path) -> None:
    worlds = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        worlds.append(World(tmp_path / name))
        worlds[-1].install(f"only-{name}", "1.0")
    one, two = worlds
    path = f"{one.venv}/bin:{two.venv}/bin:/usr/bin:/bin"
    assert set(one.packages(env={"PATH": path})) == {"only-one"}
    assert set(one.packages(str(two.venv / "bin/python"), env={"PATH": path})) == {"only-two"}
    script = one.top / "tool"
    script.write_text(f"#!{two.venv}/bin/python3\n")
    script.chmod(0o755)
    assert set(one.packages("./tool", env={"PATH": path})) == {"only-two"}


def test_a_command_that_is_not_python(world: World) -> None:
    captured = world.capture("sh", "-c", "true")
    assert "packages.json" in captured.files
    assert captured.missing["environment.interpreter"].startswith("the command is not a Python")


def test_no_python_at_all(world: World, tmp_path: Path) -> None:
    captured = world.capture(env={"PATH": str(tmp_path / "empty")})
    assert "system.json" in captured.files
    assert "packages.json" not in captured.files
    assert captured.python is None
    reason = "no Python interpreter is on PATH"
    assert of_python(captured.missing) == {"environment.packages": reason}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nexit 1\n", "{} does not answer as Python 3 does"),
        ("#!/bin/sh\necho gitprov-probe:{{}}\n", "{} gave an answer that makes no sense"),
        ("no program\n", "{} cannot be started"),
    ],
)
def test_an_interpreter_that_does_not_answer(
    world: World, tmp_path: Path, text: str, reason: str
) -> None:
    python = tmp_path / "python3"
    python.write_text(text.replace("{{}}", "'{}'"))
    python.chmod(0o755)
    captured = world.capture(str(python))
    assert "packages.json" not in captured.files
    assert captured.missing["environment.packages"].startswith(reason.format(python))


def test_what_start_up_prints_does_not_disturb(world: World) -> None:
    world.install("thing", "1.0")
    lines = "import atexit; print('hello'); atexit.register(print, 'bye')\n"
    (world.site / "noise.pth").write_text(lines)
    assert set(world.packages()) == {"thing"}


def test_modules_of_the_project_are_not_run(world: World) -> None:
    (world.top / "json.py").write_text("raise SystemExit(1)\n")
    assert "packages.json" in world.capture().files


def test_a_hanging_interpreter_is_given_up(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitprov.capture.environments.python.probe.TIMEOUT_SECONDS", 0.3)
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\nsleep 30\n")  # the child of the shell keeps the pipe open
    python.chmod(0o755)
    began = time.monotonic()
    captured = world.capture(str(python))
    assert time.monotonic() - began < 10
    assert "did not answer within" in captured.missing["environment.packages"]


# Answers that are kept


def test_the_interpreter_is_started_once(world: World) -> None:
    world.install("thing", "1.0")
    world.count_starts()
    world.grow_old()
    first = world.capture()
    assert world.started == 1
    assert [world.capture() for _ in range(3)] == [first] * 3
    assert world.started == 1


def test_a_wrapper_is_started_once_for_each_choice(world: World, tmp_path: Path) -> None:
    wrapper = tmp_path / "shims" / "python"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho $$ >>{world.starts}\nexec {world.venv}/bin/python "$@"\n')
    wrapper.chmod(0o755)
    env = {"PATH": f"{wrapper.parent}:/usr/bin:/bin"}
    for expected, change in ((1, None), (2, ".python-version"), (3, ".tool-versions")):
        if change:
            (world.top / change).write_text("3.12\n")
        world.capture(env=env)
        world.capture(env=env)
        assert world.started == expected
    world.capture(env=env | {"PYENV_VERSION": "3.13"})
    assert world.started == 4


def changes() -> list[Any]:
    def added(world: World) -> None:
        world.install("second", "1.0")

    def removed(world: World) -> None:
        (world.site / "first-1.0.dist-info" / "METADATA").unlink()
        (world.site / "first-1.0.dist-info").rmdir()

    def replaced(world: World) -> None:
        (world.site / "first-1.0.dist-info" / "RECORD").write_text("first.py,,\n")

    def extended(world: World) -> None:
        world.install("second", "1.0", folder=world.top / "more")
        (world.site / "more.pth").write_text(f"{world.top}/more\n")

    return [
        pytest.param(change, id=change.__name__) for change in (added, removed, replaced, extended)
    ]


@pytest.mark.parametrize("change", changes())
def test_a_change_is_seen_at_once(world: World, change: Any) -> None:
    world.install("first", "1.0")
    world.grow_old()
    before = world.capture()
    assert world.capture() == before
    change(world)
    after = world.capture()
    assert after.files["packages.json"] != before.files["packages.json"]
    assert after == world.capture(cache=False)


def test_nothing_is_kept_of_what_is_too_young(world: World) -> None:
    world.install("thing", "1.0")
    world.count_starts()
    world.capture()
    assert not list(world.cache.glob("*"))
    world.capture()
    assert world.started == 2


def test_a_damaged_answer_is_ignored(world: World) -> None:
    world.install("thing", "1.0")
    world.grow_old()
    first = world.capture()
    (kept,) = world.cache.iterdir()
    whole = kept.read_bytes()
    other = b'{"answer": {}}'
    for damage in (
        b"",
        whole[:-1],
        whole.replace(b"thing", b"thong"),
        b"\xff" * 100,
        hashlib.sha256(b"[]").hexdigest().encode() + b"\n[]",
        hashlib.sha256(other).hexdigest().encode() + b"\n" + other,
    ):
        kept.write_bytes(damage)
        assert world.capture() == first
        assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(world: World) -> None:
    world.install("thing", "1.0")
    world.grow_old()
    world.cache.write_text("a file where the folder should be")
    assert set(world.packages()) == {"thing"}


@pytest.mark.parametrize(
    "said",
    [
        {"url": "file://[x/y", "dir_info": {"editable": True}},
        {"url": "https://index.example/a", "vcs_info": {}},
        {"url": "https://index.example/a", "archive_info": {"hash": 5}},
        {"url": "https://index.example/a", "dir_info": []},
    ],
)
def test_an_odd_origin_hides_nothing_else(world: World, said: dict[str, Any]) -> None:
    for name in ("odd", "plain"):
        folder = world.site / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (world.site / "odd-1.0.dist-info" / "direct_url.json").write_text(json.dumps(said))
    captured = world.capture()
    found = read_environment(captured.files, captured.locks)
    assert found.python is not None
    assert {"odd", "plain"} <= {package.name for package in found.python.packages}


def test_no_run_is_lost_for_what_a_kind_meets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Request) -> Findings:
        return json.loads("[" * 100_000)

    monkeypatch.setitem(environments.KINDS, "machine", broken)  # type: ignore[misc]
    captured = world.capture()
    assert "packages.json" in captured.files
    assert "RecursionError" in captured.missing["environment.machine"]
