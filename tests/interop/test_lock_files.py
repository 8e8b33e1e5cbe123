"""Lock files as uv, poetry, pdm and rattler write them: read, and compared with what is there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.environments import capture_environment
from gitprov.capture.environments.locks import read_lock
from gitprov.capture.environments.locks.lock import Lock, LockedPackage
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import Environment
from gitprov.model.environment_wording import disagreement_text
from tests.support.installers import Installers, has_installer
from tests.support.package_index import package_index, project, sha256, source_archive, wheel
from tests.support.repositories import Clone

pytestmark = pytest.mark.skipif(not has_installer("uv"), reason="needs the group `environments`")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    wheel(folder, "alpha", "1.0", ["beta>=1"])
    wheel(folder, "alpha", "1.1", ["beta>=1"])
    wheel(folder, "beta", "2.0")
    wheel(folder, "gamma-x", "3.0")
    wheel(folder, "delta", "0.1")
    source = project(tmp_path_factory.mktemp("source"), "epsilon", "0.5")
    source_archive(folder, source)
    return folder


@pytest.fixture(scope="module")
def installers(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installers]:
    with package_index(files) as url:
        yield Installers(folder=tmp_path_factory.mktemp("caches"), url=url)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a distribution in a repository, and its commit."""
    folder = project(tmp_path_factory.mktemp("zeta"), "zeta", "0.9")
    clone = Clone(folder)
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"]):
        clone.git(*arguments)
    return folder, clone.git("rev-parse", "HEAD").strip()


def lock_of(path: Path) -> dict[str, list[LockedPackage]]:
    lock = read_lock(path.name, path.read_bytes())
    assert isinstance(lock, Lock)
    found: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        found.setdefault(package.name, []).append(package)
    return found


def versions(found: dict[str, list[LockedPackage]]) -> dict[str, list[str | None]]:
    return {name: [package.version for package in found[name]] for name in sorted(found)}


def digests(package: LockedPackage) -> list[str]:
    return [file.hashes["sha256"] for file in package.files]


@pytest.fixture(scope="module")
def uv_project(
    installers: Installers, repository: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("uv")
    project(folder / "local", "eta", "0.2")
    archive = installers.url.replace("simple/", "files/delta-0.1-py3-none-any.whl")
    (folder / "pyproject.toml").write_text(
        f"""\
[project]
name = "app"
version = "0.1"
requires-python = ">=3.11"
dependencies = [
    "alpha==1.0; python_version < '3.99'",
    "alpha==1.1; python_version >= '3.99'",
    "epsilon",
    "eta",
    "zeta",
    "delta @ {archive}",
]
[project.optional-dependencies]
more = ["gamma-x; sys_platform == 'linux'"]
[tool.uv.sources]
eta = {{ path = "local", editable = true }}
zeta = {{ git = "file://{repository[0]}" }}
"""
    )
    installers.run("uv", "sync", "--quiet", cwd=folder)
    return folder


def check_uv(
    found: dict[str, list[LockedPackage]], files: Path, commit: str, *, with_extra: bool
) -> None:
    assert [package.version for package in found["alpha"]] == ["1.0", "1.1"]
    assert all("python_full_version" in (package.marker or "") for package in found["alpha"])
    assert digests(found["alpha"][0]) == [sha256(files / "alpha-1.0-py3-none-any.whl")]
    (epsilon,) = found["epsilon"]
    (eta,) = found["eta"]
    (zeta,) = found["zeta"]
    (delta,) = found["delta"]
    assert digests(epsilon) == [sha256(files / "epsilon-0.5.tar.gz")]
    assert [file.kind for file in epsilon.files] in (["sdist"], [None])
    assert zeta.origin is not None
    assert (zeta.origin.vcs, zeta.origin.commit) == ("git", commit)
    assert delta.origin is not None
    assert delta.origin.url.endswith("/files/delta-0.1-py3-none-any.whl")
    assert eta.origin is None or eta.origin.is_directory
    assert ("gamma-x" in found) is with_extra


def test_uv_lock(uv_project: Path, files: Path, repository: tuple[Path, str]) -> None:
    found = lock_of(uv_project / "uv.lock")
    check_uv(found, files, repository[1], with_extra=True)
    (beta,) = found["beta"]
    assert [file.url is not None for file in beta.files] == [True]
    assert found["eta"][0].editable
    assert found["app"][0].origin is not None


@pytest.mark.parametrize("name", ["pylock.toml", "requirements.txt"])
def test_what_uv_exports(
    uv_project: Path,
    files: Path,
    repository: tuple[Path, str],
    installers: Installers,
    tmp_path: Path,
    name: str,
) -> None:
    target = tmp_path / name
    installers.run(
        "uv", "export", "--quiet", "--format", name, "--no-editable", "-o", target, cwd=uv_project
    )
    found = lock_of(target)
    if name == "requirements.txt":  # which names no folder
        found.setdefault("eta", [LockedPackage(ecosystem="pypi", name="eta")])
    check_uv(found, files, repository[1], with_extra=False)


def captured(folder: Path) -> Environment:
    """Return the environment of a Python started in a project with a `.venv`."""
    python = folder / ".venv" / "bin" / "python"
    found = capture_environment(
        [str(python), "-c", ""], cwd=folder, top=folder, env={"PATH": "/usr/bin:/bin"}, cache=None
    )
    return read_environment(found.files, found.locks)


def said(folder: Path) -> list[str]:
    environment = captured(folder)
    assert environment.compared
    return [disagreement_text(item) for item in environment.disagreements]


def test_what_uv_has_installed_agrees_until_it_is_changed(
    uv_project: Path, installers: Installers
) -> None:
    assert captured(uv_project).compared == ("uv.lock",)
    assert said(uv_project) == []
    python = uv_project / ".venv" / "bin" / "python"
    change = ["uv", "pip", "install", "--quiet", "--python", str(python)]
    try:
        installers.run(*change, "alpha==1.1", cwd=uv_project)
        assert said(uv_project) == []  # another Python would have it
        installers.run("uv", "pip", "install", "-q", "-p", python, "beta==2.0", cwd=uv_project)
        lock = uv_project / "uv.lock"
        text = lock.read_text()
        lock.write_text(text.replace('version = "2.0"', 'version = "2.1"'))
        assert said(uv_project) == ["uv.lock says beta 2.1, 2.0 is installed"]
        lock.write_text(text)
    finally:
        installers.run(*change, "alpha==1.0", cwd=uv_project)


@pytest.mark.skipif(not has_installer("poetry"), reason="needs the group `environments`")
def test_poetry_lock(
    installers: Installers, files: Path, repository: tuple[Path, str], tmp_path: Path
) -> None:
    project(tmp_path / "local", "eta", "0.2")
    archive = installers.url.replace("simple/", "files/delta-0.1-py3-none-any.whl")
    (tmp_path / "pyproject.toml").write_text(
        f"""\
[project]
name = "app"
version = "0.1"
requires-python = ">=3.11"
dependencies = [
    "alpha==1.0; python_version < '3.99'",
    "alpha==1.1; python_version >= '3.99'",
    "epsilon",
    "eta",
    "zeta",
    "delta @ {archive}",
]
[tool.poetry.dependencies]
zeta = {{ git = "file://{repository[0]}" }}
eta = {{ path = "local", develop = true }}
[tool.poetry.group.dev.dependencies]
gamma-x = "*"
[[tool.poetry.source]]
name = "local"
url = "{installers.url}"
priority = "primary"
"""
    )
    installers.run("poetry", "lock", "-n", cwd=tmp_path)
    found = lock_of(tmp_path / "poetry.lock")
    assert versions(found) == {
        "alpha": ["1.0", "1.1"],
        "beta": ["2.0"],
        "delta": ["0.1"],
        "epsilon": ["0.5"],
        "eta": ["0.2"],
        "gamma-x": ["3.0"],
        "zeta": ["0.9"],
    }
    assert all("python_version" in (package.marker or "") for package in found["alpha"])
    assert digests(found["epsilon"][0]) == [sha256(files / "epsilon-0.5.tar.gz")]
    assert found["gamma-x"][0].groups == ("dev",)
    assert found["beta"][0].index == installers.url.rstrip("/")
    zeta, eta, delta = (found[name][0].origin for name in ("zeta", "eta", "delta"))
    assert zeta is not None
    assert zeta.commit == repository[1]
    assert eta is not None
    assert eta.is_directory
    assert found["eta"][0].editable
    assert delta is not None
    assert delta.url == archive


@pytest.mark.skipif(not has_installer("pdm"), reason="needs the group `environments`")
@pytest.mark.parametrize("strategy", ["static_urls", "no_static_urls"])
def test_pdm_lock(installers: Installers, files: Path, tmp_path: Path, strategy: str) -> None:
    project(tmp_path / "local", "eta", "0.2")
    archive = installers.url.replace("simple/", "files/delta-0.1-py3-none-any.whl")
    (tmp_path / "pyproject.toml").write_text(
        f"""\
[project]
name = "app"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["alpha; sys_platform == 'linux'", "epsilon", "delta @ {archive}"]
[tool.pdm.dev-dependencies]
dev = ["-e file:///${{PROJECT_ROOT}}/local#egg=eta", "gamma-x"]
[[tool.pdm.source]]
name = "pypi"
url = "{installers.url}"
"""
    )
    installers.run("pdm", "use", "-f", installers.environment["UV_PYTHON"], cwd=tmp_path)
    installers.run("pdm", "lock", "-S", strategy, cwd=tmp_path)
    found = lock_of(tmp_path / "pdm.lock")
    assert versions(found) == {
        "alpha": ["1.1"],
        "beta": ["2.0"],
        "delta": ["0.1"],
        "epsilon": ["0.5"],
        "eta": ["0.2"],
        "gamma-x": ["3.0"],
    }
    (alpha,) = found["alpha"]
    assert digests(alpha) == [sha256(files / "alpha-1.1-py3-none-any.whl")]
    assert [file.name for file in alpha.files] == ["alpha-1.1-py3-none-any.whl"]
    assert [file.url is not None for file in alpha.files] == [strategy == "static_urls"]
    assert found["gamma-x"][0].groups == ("dev",)
    eta, delta = found["eta"][0].origin, found["delta"][0].origin
    assert eta is not None
    assert eta.is_directory
    assert delta is not None
    assert delta.url == archive


def test_pixi_lock_as_rattler_writes_it(tmp_path: Path) -> None:
    rattler: Any = pytest.importorskip("rattler", reason="needs the group `environments`")
    locks: Any = pytest.importorskip("rattler.lock")
    builds: Any = pytest.importorskip("rattler.package.build_string")
    channel = "https://conda.example/forge/"
    url = f"{channel}linux-64/numpy-2.1.0-py312_0.conda"
    here, there = locks.LockPlatform("linux-64"), locks.LockPlatform("osx-arm64")
    record = rattler.PackageRecord(
        "numpy",
        "2.1.0",
        builds.BuildString("py312_0"),
        0,
        "linux-64",
        sha256=bytes(range(32)),
        md5=bytes(16),
    )
    written = locks.LockFile([here, there])
    written.set_channels("default", [locks.LockChannel(channel)])
    conda = rattler.RepoDataRecord(record, "numpy-2.1.0-py312_0.conda", url, channel)
    written.add_conda_package("default", here, conda)
    six = "https://index.example/six-1.16.0-py2.py3-none-any.whl"
    for platform in (here, there):
        written.add_pypi_package("default", platform, "six", "1.16.0", six)
    written.to_path(str(tmp_path / "pixi.lock"))

    found = lock_of(tmp_path / "pixi.lock")
    (numpy,) = found["numpy"]
    assert (numpy.version, numpy.build, numpy.platform) == ("2.1.0", "py312_0", "linux-64")
    assert numpy.files[0].hashes == {"sha256": bytes(range(32)).hex(), "md5": "00" * 16}
    assert [package.platform for package in found["six"]] == ["linux-64", "osx-arm64"]
    assert json.dumps([package.version for package in found["six"]]) == '["1.16.0", "1.16.0"]'
