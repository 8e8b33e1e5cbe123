"""Environments that real tools have made, captured by runs, rebuilt in new folders and captured."""

import asyncio
import json
import os
import pty
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.conda_channel import Channel
from tests.support.package_index import package_index, project, sha256, wheel
from tests.support.repositories import Clone, clean_environment

SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class World:
    """An index with packages, and the variables of a user who has configured nothing."""

    folder: Path
    links: Path
    url: str
    env: dict[str, str] = field(default_factory=dict)

    def call(self, *command: str | Path, cwd: Path) -> str:
        result = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
        return result.stdout

    def clone(self, name: str, **files: str) -> Clone:
        clone = Clone.make(self.folder / name)
        clone.write(".gitignore", ".venv\n__pycache__\n")
        for file, content in files.items():
            clone.write(file.replace("__", "."), content)
        return clone

    def run(self, clone: Clone, python: Path) -> None:
        """Record a run of an interpreter."""
        clone.commit("all")
        self.prov(clone, "run", "--quiet", "--", str(python), "-c", "pass")

    def restore(
        self, clone: Clone, *options: str, status: int = 0, index: bool = True
    ) -> dict[str, Any]:
        """Restore the environment of the last run; returns what is said of it."""
        where = self.folder / f"{clone.path.name}-again"
        shutil.rmtree(where, ignore_errors=True)
        sources = ["--index-url", self.url] if index else []
        words = ["env", "restore", "last", str(where), "--json", "--yes", *sources, *options]
        said: dict[str, Any] = json.loads(self.prov(clone, *words, status=status))
        return said

    def prov(self, clone: Clone, *arguments: str, status: int = 0) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "gitprov", *arguments],
            cwd=clone.path,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    links = folder / "index"
    wheel(links, "alpha", "1.0")
    wheel(links, "beta", "2.0", ["alpha"])
    env = clean_environment(
        HOME=str(folder / "home"),
        PIP_CONFIG_FILE=os.devnull,
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        UV_CACHE_DIR=str(folder / "cache" / "uv"),
        UV_PYTHON=sys.executable,
        RATTLER_CACHE_DIR=str(folder / "cache" / "rattler"),
        POETRY_CACHE_DIR=str(folder / "cache" / "poetry"),
        POETRY_VIRTUALENVS_IN_PROJECT="true",
        POETRY_VIRTUALENVS_OPTIONS_NO_PIP="true",
        PDM_CACHE_DIR=str(folder / "cache" / "pdm"),
        PDM_CHECK_UPDATE="0",
        PDM_IGNORE_ACTIVE_VENV="1",
    )
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "VIRTUAL_ENV"):
        env.pop(name, None)
    (folder / "home").mkdir()
    with package_index(links) as url:
        yield World(folder, links, url, env)


def study(source: str) -> str:
    return (
        f'[project]\nname = "study"\nversion = "1"\nrequires-python = ">={SERIES},<4"\n'
        f'dependencies = ["beta==2.0"]\n\n{source}'
    )


def how(said: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["how"] for item in said["packages"]}


def installed(python: Path) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    said = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(said.stdout)
    return found


# venv and pip: hashes of requirements.txt for one, versions for the others


@pytest.fixture(scope="module")
def by_pip(world: World) -> Clone:
    alpha = world.links / "alpha-1.0-py3-none-any.whl"
    line = f"alpha==1.0 --hash=sha256:{sha256(alpha)}\n"
    clone = world.clone("by-pip", requirements__txt=line)
    world.call(sys.executable, "-m", "venv", ".venv", cwd=clone.path)
    python = clone.path / ".venv/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--index-url", world.url]
    world.call(*pip, "-r", "requirements.txt", cwd=clone.path)
    own = wheel(world.folder / "own", "gamma", "3.0")
    world.call(*pip, "beta", own, cwd=clone.path)
    world.run(clone, python)
    return clone


def test_venv_and_pip(world: World, by_pip: Clone) -> None:
    own = world.folder / "own"
    said = world.restore(by_pip, "--find-links", str(own))
    assert said["verdict"] == "identical"
    assert said["tool"] == "venv and pip"
    assert {**how(said), "pip": "", "setuptools": ""} == {
        "alpha": "locked",
        "beta": "pinned",
        "gamma": "file",
        "pip": "",
        "setuptools": "",
    }
    again = Path(said["folder"], "bin/python")
    assert installed(again) == installed(by_pip.path / ".venv/bin/python")
    # Nothing but the folder: not even a work tree or a ref in the repository.
    assert by_pip.git("status", "--porcelain") == ""


def test_a_local_wheel_is_known_by_its_hash(world: World, by_pip: Clone, tmp_path: Path) -> None:
    other = wheel(tmp_path, "gamma", "3.0", ["alpha"])  # the same name and version
    said = world.prov(by_pip, "env", "restore", "last", "nowhere", "--dry-run", "--json",
                      "--find-links", str(other.parent))  # fmt: skip
    [left] = json.loads(said)["left_out"]
    assert left["name"] == "gamma"
    assert "gamma-3.0-py3-none-any.whl" in left["reason"]
    assert not (by_pip.path / "nowhere").exists()


# uv


@pytest.fixture(scope="module")
def by_uv(world: World) -> Clone:
    source = f'[[tool.uv.index]]\nurl = "{world.url}"\ndefault = true\n'
    clone = world.clone("by-uv", pyproject__toml=study(source))
    clone.write("renv.lock", '{"R": {"Version": "4.4.1"}}')
    world.call("uv", "sync", "--quiet", cwd=clone.path)
    world.run(clone, clone.path / ".venv/bin/python")
    return clone


def test_uv(world: World, by_uv: Clone) -> None:
    said = world.restore(by_uv)
    assert said["verdict"] == "identical"
    assert said["tool"] == "uv"
    assert how(said) == {"alpha": "locked", "beta": "locked"}
    assert "uv = " in Path(said["folder"], "pyvenv.cfg").read_text()
    # What other tools restore from is put where they can.
    [lock] = said["locks"]
    assert lock == {"path": "renv.lock", "command": "Rscript -e 'renv::restore()'"}
    written = Path(said["folder"], "locks/renv.lock").read_bytes()
    assert written == (by_uv.path / "renv.lock").read_bytes()


def test_without_a_network(world: World, by_uv: Clone) -> None:
    links = ["--offline", "--find-links", str(world.links)]
    assert world.restore(by_uv, *links, index=False)["verdict"] == "identical"


def test_another_file_than_the_lock_names_is_not_taken(
    world: World, by_uv: Clone, tmp_path: Path
) -> None:
    links = tmp_path / "links"
    shutil.copytree(world.links, links)
    wheel(links, "alpha", "1.0", ["evil"])
    with package_index(links) as url:
        said = world.restore(by_uv, "--index-url", url, status=1, index=False)
    assert said["verdict"] == "differs"
    [failed] = said["failed"]
    assert failed["name"] == "alpha"
    assert "hash" in failed["reason"].lower()
    [difference] = said["differences"]
    assert difference == {"name": "alpha", "recorded": "1.0", "restored": None}


# Poetry and PDM


def test_poetry(world: World) -> None:
    source = (
        "[tool.poetry]\npackage-mode = false\n\n"
        f'[[tool.poetry.source]]\nname = "here"\nurl = "{world.url}"\npriority = "primary"\n'
    )
    clone = world.clone("by-poetry", pyproject__toml=study(source))
    world.call("poetry", "lock", cwd=clone.path)
    world.call("poetry", "sync", "--no-root", cwd=clone.path)
    world.run(clone, clone.path / ".venv/bin/python")
    said = world.restore(clone)
    assert said["verdict"] == "identical"
    assert how(said) == {"alpha": "locked", "beta": "locked"}
    # The pip that made it is gone again, as there was none.
    assert installed(Path(said["folder"], "bin/python")) == {"alpha": "1.0", "beta": "2.0"}


def test_pdm(world: World) -> None:
    source = (
        "[tool.pdm]\ndistribution = false\n\n"
        f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{world.url}"\n'
    )
    clone = world.clone("by-pdm", pyproject__toml=study(source))
    venv.create(clone.path / ".venv", symlinks=True)
    world.call("pdm", "use", "--quiet", "--first", ".venv", cwd=clone.path)
    world.call("pdm", "lock", "--quiet", cwd=clone.path)
    world.call("pdm", "sync", "--quiet", "--no-self", cwd=clone.path)
    world.run(clone, clone.path / ".venv/bin/python")
    said = world.restore(clone)
    assert said["verdict"] == "identical"
    assert how(said) == {"alpha": "locked", "beta": "locked"}


# Conda


@pytest.fixture(scope="module")
def by_conda(world: World) -> Clone:
    channel = Channel(world.folder / "channel")
    channel.add_python()
    channel.add_distribution("delta", "4.0")
    channel.index()
    clone = world.clone("by-conda")
    prefix = world.folder / "conda"
    asyncio.run(solve(channel, prefix, world.folder / "cache" / "rattler"))
    python = prefix / "bin/python"
    install = ["uv", "pip", "install", "--quiet", "--python", python, "--index-url", world.url]
    world.call(*install, "alpha", cwd=clone.path)
    world.run(clone, python)
    return clone


async def solve(channel: Channel, prefix: Path, cache: Path) -> None:
    from rattler import install
    from rattler import solve as find

    found = await find([channel.url], ["python", "delta"], platforms=["linux-64", "noarch"])
    await install(found, target_prefix=prefix, cache_dir=cache, show_progress=False)


def test_conda_and_a_package_of_pip_on_top(world: World, by_conda: Clone) -> None:
    said = world.restore(by_conda)
    assert said["verdict"] == "identical"
    assert said["tool"] == "rattler, uv"
    assert sorted(url.rpartition("/")[2] for url in said["conda"]) == [
        "delta-4.0-pyh0_0.tar.bz2",
        f"python-{sys.version.split()[0]}-0.tar.bz2",
    ]
    assert how(said) == {"alpha": "pinned"}
    again = Path(said["folder"], "bin/python")
    assert installed(again) == {"alpha": "1.0", "delta": "4.0"}


def test_pip_on_top_of_conda_where_uv_is_not_there(
    world: World, by_conda: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(world.env, "PATH", without_uv(world.env["PATH"]))
    said = world.restore(by_conda)
    assert said["tool"] == "rattler, venv and pip"
    assert said["verdict"] == "identical"


def test_conda_packages_whose_channel_lists_nothing_any_more(world: World, by_conda: Clone) -> None:
    listings = sorted((world.folder / "channel").glob("*/repodata.json"))
    assert len(listings) == 2
    for file in listings:
        file.rename(file.with_suffix(".kept"))
    shutil.rmtree(world.folder / "cache" / "rattler")
    try:
        assert world.restore(by_conda)["verdict"] == "identical"
    finally:
        for file in listings:
            file.with_suffix(".kept").rename(file)


@pytest.mark.parametrize("listed", [True, False])
def test_a_conda_package_that_is_another_file_now(
    world: World,
    by_conda: Clone,
    listed: bool,  # noqa: FBT001 -- pytest's
) -> None:
    channel, kept = world.folder / "channel", world.folder / "kept-channel"
    channel.rename(kept)
    shutil.copytree(kept, channel)
    changed = channel / "noarch" / "delta-4.0-pyh0_0.tar.bz2"
    changed.write_bytes(changed.read_bytes() + b"\0")
    if listed:
        asyncio.run(index(channel))
    else:
        (channel / "noarch" / "repodata.json").unlink()
    where = world.folder / "not-made"
    try:
        said = by_conda.call(
            *[sys.executable, "-m", "gitprov", "env", "restore", "last", str(where), "--yes"],
            **world.env,
        )
    finally:
        shutil.rmtree(channel)
        kept.rename(channel)
    assert said.returncode == 42
    assert "another file now" in said.stderr
    assert not where.exists()


async def index(folder: Path) -> None:
    from rattler.index import index_fs

    await index_fs(folder, write_zst=False, write_shards=False, force=True)


# What came from no index


@pytest.fixture(scope="module")
def mixed(world: World) -> Clone:
    """An environment with the run's own project, a commit, a local wheel, and broken things."""
    clone = world.clone("mixed")
    project(clone.path / "code", "study", "0.1")
    source = Clone.make(world.folder / "upstream")
    project(source.path, "epsilon", "5.0")
    commit = source.commit("release")
    source.commit("later", {"epsilon.py": "later\n"})
    project(world.folder / "elsewhere", "zeta", "6.0")
    own = wheel(world.folder / "own-mixed", "eta", "7.0")
    world.call("uv", "venv", "--quiet", ".venv", cwd=clone.path)
    python = clone.path / ".venv/bin/python"
    world.call(
        *["uv", "pip", "install", "--quiet", "--python", python, "--index-url", world.url],
        *["alpha", "--editable", "code", "--editable", world.folder / "elsewhere", own],
        f"epsilon @ git+{source.path.as_uri()}@{commit}",
        cwd=clone.path,
    )
    site = next((clone.path / ".venv/lib").glob("*/site-packages"))
    (site / "~lpha-0.9.dist-info").mkdir()
    (site / "theta-8.0.dist-info").mkdir()
    clone.commit("code")
    clone.write("code/study.py", "VALUE = 'not committed'\n")
    world.prov(clone, "run", "--quiet", "--", str(python), "-c", "import study")
    clone.write("code/study.py", "VALUE = 'later'\n")
    return clone


def test_nothing_is_built_unless_that_is_allowed(world: World, mixed: Clone) -> None:
    said = world.restore(mixed, "--find-links", str(world.folder / "own-mixed"), status=1)
    assert how(said) == {"alpha": "pinned", "eta": "file"}
    reasons = {item["name"]: item["reason"] for item in said["left_out"]}
    assert set(reasons) == {"epsilon", "study", "zeta"}
    assert "--allow-builds" in reasons["epsilon"]
    assert "--allow-builds" in reasons["study"]
    assert "outside the run's repository" in reasons["zeta"]
    assert {item["name"] for item in said["differences"]} == {"epsilon", "study", "zeta"}


def test_origins_are_told_apart_and_broken_things_cost_nothing(world: World, mixed: Clone) -> None:
    links = ["--find-links", str(world.folder / "own-mixed")]
    said = world.restore(mixed, "--allow-builds", *links, status=1)
    assert how(said) == {"alpha": "pinned", "epsilon": "vcs", "eta": "file", "study": "source"}
    assert said["failed"] == []
    assert said["differences"] == [{"name": "zeta", "recorded": "6.0", "restored": None}]
    notes = " ".join(said["notes"])
    assert "theta-8.0.dist-info was broken" in notes
    assert "~lpha-0.9.dist-info was broken" in notes
    again = Path(said["folder"])
    # The source is that of the run, with what was not committed, and not what is there now.
    code = "import study, epsilon; print(study.VALUE, study.__file__, epsilon.__version__)"
    words = world.call(again / "bin/python", "-I", "-c", code, cwd=again).split(" ")
    assert words[:2] == ["not", "committed"]
    assert words[2:] == [str(again / "src/code/study.py"), "5.0\n"]


def test_the_same_by_pip_where_uv_is_not_there(
    world: World, mixed: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(world.env, "PATH", without_uv(world.env["PATH"]))
    links = ["--find-links", str(world.folder / "own-mixed")]
    said = world.restore(mixed, "--allow-builds", *links, status=1)
    assert said["tool"] == "venv and pip"
    assert said["failed"] == []
    assert said["differences"] == [{"name": "zeta", "recorded": "6.0", "restored": None}]


def without_uv(path: str) -> str:
    folders = path.split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if shutil.which("uv", path=folder) is None)


def test_the_plan_says_what_would_be_done(world: World, mixed: Clone) -> None:
    said = world.prov(mixed, "env", "restore", "last", "new", "--dry-run", "--allow-builds")
    upstream = (world.folder / "upstream").as_uri()
    assert f"epsilon 5.0 {upstream}" in said
    assert "builds, which execute code: epsilon, study" in said
    assert not (mixed.path / "new").exists()


def test_on_a_terminal_it_asks(world: World, mixed: Clone) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gitprov", "env", "restore", "last", "new"]
    with subprocess.Popen(
        command, cwd=mixed.path, env=world.env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while b"Do this?" not in said:
            said += os.read(ours, 4096)
        os.write(ours, b"n\n")
        assert process.wait(30) == 1
        os.close(ours)
    assert b"a virtual environment" in said
    assert not (mixed.path / "new").exists()


def test_without_a_terminal_nothing_is_done_unasked(world: World, mixed: Clone) -> None:
    world.prov(mixed, "env", "restore", "last", "new", status=2)
    assert not (mixed.path / "new").exists()


def test_a_folder_with_something_in_it_is_left_alone(world: World, mixed: Clone) -> None:
    said = mixed.call(
        sys.executable, "-m", "gitprov", "env", "restore", "last", ".", "--yes", **world.env
    )
    assert said.returncode == 35
    assert "is there already" in said.stderr
