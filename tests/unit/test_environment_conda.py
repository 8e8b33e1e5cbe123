"""Conda environments, as they are read from the `conda-meta` of real prefixes."""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import rattler

from gitprov.capture.environments import conda
from gitprov.capture.environments.kind import Findings, Request
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import Broken, CondaEnvironment
from tests.support.conda_channel import PLATFORM, Channel


class World:
    """A channel with packages, and an environment made from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = folder / "env"
        self.meta = self.prefix / "conda-meta"
        self.channel = Channel(folder / "channel")
        self.channel.add("zlib", "1.3", {"lib/libz.so": b"z"}, build="h1_0")
        self.channel.add("app", "2.0", {"bin/app": b"a"}, depends=["zlib >=1", "pure"])
        self.channel.add("pure", "0.1", {"site-packages/pure.py": b""}, build="pyh_0", python=True)
        self.channel.add_python()
        self.channel.index()
        self.install("app", "python")

    def install(self, *names: str) -> None:
        async def work() -> None:
            url = self.channel.url
            platforms = [PLATFORM, "noarch"]
            records = await rattler.solve(
                [rattler.Channel(url)],
                list(names),
                platforms=platforms,
            )
            cache = self.folder / "packages"
            await rattler.install(records, self.prefix, cache_dir=cache, show_progress=False)

        asyncio.run(work())

    def capture(
        self, *argv: str, env: Mapping[str, str] | None = None, cache: bool = False
    ) -> Findings:
        request = Request(
            argv=argv or ("python", "train.py"),
            cwd=self.folder,
            top=None,
            env={"PATH": f"{self.prefix}/bin:/usr/bin:/bin"} if env is None else env,
            cache=self.folder / "cache" if cache else None,
        )
        return conda.capture(request)

    def grow_old(self) -> None:
        """Move all documents out of the time in which a change leaves no trace."""
        for path in self.meta.iterdir():
            os.utime(path, (time.time() - 60, time.time() - 60), follow_symlinks=False)

    def edit(self, name: str, **fields: object) -> None:
        (path,) = self.meta.glob(f"{name}-*.json")
        document = json.loads(path.read_text()) | fields
        path.write_text(json.dumps({key: value for key, value in document.items() if value}))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def said(findings: Findings) -> CondaEnvironment:
    environment = read_environment(findings.files, findings.locks).conda
    assert environment is not None
    return environment


def explicit(findings: Findings) -> list[str]:
    lines = findings.files["conda-explicit.txt"].decode().splitlines()
    return lines[lines.index("@EXPLICIT") + 1 :]


def test_what_rattler_has_installed(world: World) -> None:
    found = world.capture()
    environment = said(found)
    assert environment.prefix == str(world.prefix)
    assert environment.platform == PLATFORM
    assert [package.name for package in environment.packages] == ["app", "pure", "python", "zlib"]
    app, pure, _, zlib = environment.packages
    assert (zlib.version, zlib.build, zlib.subdir) == ("1.3", "h1_0", PLATFORM)
    assert (pure.version, pure.build, pure.subdir) == ("0.1", "pyh_0", "noarch")
    assert app.channel == pure.channel == world.channel.url
    assert zlib.url == f"{world.channel.url}/{PLATFORM}/zlib-1.3-h1_0.tar.bz2"
    assert len(zlib.md5 or "") == 32
    assert len(zlib.sha256 or "") == 64
    assert environment.broken == ()
    assert found.missing == {}


def test_the_explicit_list_installs_the_same(world: World) -> None:
    found = world.capture()
    assert found.locks == ("conda-explicit.txt",)
    text = found.files["conda-explicit.txt"].decode()
    assert f"# platform: {PLATFORM}\n@EXPLICIT\n" in text
    packages = {package.name: package for package in said(found).packages}
    # Each behind what it needs.
    expected = [packages[name] for name in ("zlib", "python", "pure", "app")]
    lines = explicit(found)
    assert sorted(lines) == sorted(f"{package.url}#{package.md5}" for package in expected)
    order = [line.rpartition("/")[2].partition("-")[0] for line in lines]
    assert order.index("zlib") < order.index("app")
    assert order.index("pure") < order.index("app")
    for line in lines:
        url, _, digest = line.partition("#")
        data = Path(url.removeprefix("file://")).read_bytes()
        assert hashlib.md5(data, usedforsecurity=False).hexdigest() == digest
    # What rattler installs from the URLs, into another folder, is the same environment.
    world.prefix = world.folder / "again"
    world.meta = world.prefix / "conda-meta"
    world.install(*(line.partition("#")[0] for line in lines))
    again = world.capture(env={"CONDA_PREFIX": str(world.prefix), "PATH": "/nowhere"})
    # By URL alone, rattler writes down neither channel nor digest.
    assert explicit(again) == [line.partition("#")[0] for line in lines]
    assert [
        replace(item, channel=None, md5=None, sha256=None) for item in packages.values()
    ] == list(said(again).packages)


def test_the_environment_is_that_of_the_interpreter_else_the_activated_one(world: World) -> None:
    expected = world.capture().files
    python = str(world.prefix / "bin/python")
    assert world.capture(python, env={"PATH": "/usr/bin"}).files == expected
    link = world.folder / "python-of-mine"
    link.symlink_to(python)
    active = {"PATH": "/nowhere", "CONDA_PREFIX": str(world.prefix)}
    assert world.capture("tool", env=active).files == expected
    for nowhere in ("/nowhere", str(world.folder), "a\0b"):
        assert world.capture("tool", env=active | {"CONDA_PREFIX": nowhere}) == Findings()
    assert world.capture("tool", env={"PATH": "/nowhere"}) == Findings()


def test_an_active_environment_is_not_that_of_a_python_from_elsewhere(
    world: World, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    # As `python -m venv` of a conda environment's Python makes it.
    (venv / "bin" / "python").symlink_to(world.prefix / "bin" / "python")
    (venv / "pyvenv.cfg").write_text("home = x\n")
    active = {"PATH": "/usr/bin:/bin", "CONDA_PREFIX": str(world.prefix)}
    for python in (str(venv / "bin" / "python"), sys.executable):
        assert world.capture(python, "train.py", env=active) == Findings()


def test_equal_environments_are_equal_bytes(world: World) -> None:
    first = world.capture(cache=True)
    assert world.capture(cache=True) == first
    for path in list(world.meta.iterdir()):
        path.write_bytes(path.read_bytes())
    assert world.capture() == first


def test_credentials_stay_on_the_machine(world: World) -> None:
    host = "https://ada:hunter2secret@conda.example/t/tk-123-secret/lab"
    name = "zlib-1.3-h1_0.tar.bz2"
    world.edit("zlib", channel=f"{host}/{PLATFORM}/", url=f"{host}/{PLATFORM}/{name}")
    found = world.capture()
    assert not [path for path, data in found.files.items() if b"secret" in data]
    zlib = said(found).packages[-1]
    assert zlib.channel == "https://conda.example/lab"
    assert zlib.url == f"https://conda.example/lab/{PLATFORM}/{name}"
    assert f"{zlib.url}#{zlib.md5}" in explicit(found)
    # A folder of this name is none.
    world.edit("zlib", url="file:///t/mine/zlib.conda")
    assert said(world.capture()).packages[-1].url == "file:///t/mine/zlib.conda"


def test_a_package_from_nowhere_leaves_no_explicit_list(world: World) -> None:
    for url in (
        "",
        "zlib.conda",
        "https://conda.example/a b",
        "https://conda.example/x\n@EXPLICIT",
        "https://conda.example/\udcff",
    ):
        world.edit("zlib", url=url)
        found = world.capture()
        assert set(found.files) == {"conda.json"}
        assert found.locks == ()
        reason = "it is not known where these came from: zlib"
        assert found.missing == {"environment.conda-explicit.txt": reason}


def test_either_digest_is_taken_and_nothing_else(world: World) -> None:
    zlib = said(world.capture()).packages[-1]
    world.edit("zlib", md5="no digest\n", subdir="../x")
    found = world.capture()
    assert f"{zlib.url}#sha256:{zlib.sha256}" in explicit(found)
    assert said(found).packages[-1].subdir is None
    world.edit("zlib", sha256=7)
    assert str(zlib.url) in explicit(world.capture())


def test_damaged_documents_are_told_apart(world: World) -> None:
    (world.meta / "torn-1-0.json").write_text('{"name": "torn", ')
    (world.meta / "list-1-0.json").write_text("[1]")
    (world.meta / "deep-1-0.json").write_text("[" * 100_000)
    (world.meta / "bare-1-0.json").write_text('{"name": "bare", "version": 1, "build": "0"}')
    (world.meta / "gone-1-0.json").symlink_to("/nowhere")
    (world.meta / "zlib-9-0.json").write_text('{"name": "zlib", "version": "9", "build": "0"}')
    os.mkfifo(world.meta / "pipe-1-0.json")
    found = world.capture()
    assert [package.name for package in said(found).packages] == ["app", "pure", "python", "zlib"]
    assert said(found).broken == (
        Broken(entry="bare-1-0.json", reason="has no version"),
        Broken(entry="deep-1-0.json", reason="not JSON"),
        Broken(entry="gone-1-0.json", reason="cannot be read: No such file or directory"),
        Broken(entry="list-1-0.json", reason="not a map"),
        Broken(entry="pipe-1-0.json", reason="cannot be read: not a plain file"),
        Broken(entry="torn-1-0.json", reason="not JSON"),
        Broken(entry="zlib-9-0.json", reason="another document says what zlib is"),
    )
    # It would not rebuild all of it.
    assert "conda-explicit.txt" not in found.files
    assert found.missing["environment.conda-explicit.txt"].startswith("these cannot be read: bare")


def test_packages_that_need_one_another(world: World) -> None:
    world.edit("zlib", depends=["app", "app", 3, "", "elsewhere"])
    assert len(explicit(world.capture())) == 4


def test_nothing_is_read_again_as_long_as_nothing_changes(world: World) -> None:
    world.capture(cache=True)
    assert not list(world.folder.glob("cache/*"))  # too young
    world.grow_old()
    first = world.capture(cache=True)
    (kept,) = world.folder.glob("cache/*")
    answer = kept.read_bytes()
    assert b"zlib" in answer
    # The same stamp with other content: what was kept is what is told.
    (path,) = world.meta.glob("zlib-*.json")
    stamp = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1.3", b"9.9"))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert world.capture(cache=True) == first
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert world.capture(cache=True) == world.capture() != first
    path.unlink()
    assert [item.name for item in said(world.capture(cache=True)).packages][-1] == "python"
    kept.write_bytes(answer[:-1])
    assert world.capture(cache=True) == world.capture()


def test_an_environment_without_packages(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta/history").write_text("")
    found = conda.describe(tmp_path, [])
    environment = said(found)
    assert environment.packages == ()
    assert found.missing == {"environment.conda-explicit.txt": "the environment has no packages"}
