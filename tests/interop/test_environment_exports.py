"""Exports of recorded environments, checked by validators and installed by real installers."""

import json
import shutil
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.environments import capture_environment
from gitprov.codec.environment_files import read_environment
from gitprov.errors import InputError, MissingDependency
from gitprov.exchange.environments import Exported, export
from gitprov.model.environment import (
    CondaEnvironment,
    CondaPackage,
    Container,
    Environment,
    Interpreter,
    LanguageEnvironment,
    LibraryPackage,
    Package,
    PythonEnvironment,
    SystemPackages,
)
from tests.support.installers import Installers, has_installer
from tests.support.package_index import package_index, project, sha256, source_archive, wheel
from tests.support.repositories import Clone

packaging: Any = pytest.importorskip("packaging.pylock", reason="needs the group `environments`")
pytestmark = pytest.mark.skipif(not has_installer("uv"), reason="needs the group `environments`")

INDEX = ["alpha", "beta", "epsilon"]
KNOWN = [("alpha", "1.0"), ("beta", "2.0")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    wheel(folder, "alpha", "1.0", ["beta>=1"])
    wheel(folder, "alpha", "1.1", ["beta>=1"])
    wheel(folder, "beta", "2.0")
    wheel(folder, "delta", "0.1")
    source_archive(folder, project(tmp_path_factory.mktemp("source"), "epsilon", "0.5"))
    return folder


@pytest.fixture(scope="module")
def installers(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installers]:
    with package_index(files) as url:
        yield Installers(folder=tmp_path_factory.mktemp("caches"), url=url)


def captured(python: Path, top: Path) -> Environment:
    found = capture_environment(
        [str(python), "-c", ""], cwd=top, top=top, env={"PATH": "/usr/bin:/bin"}, cache=None
    )
    return read_environment(found.files, found.locks)


@pytest.fixture(scope="module")
def recorded(installers: Installers, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return what was recorded of a project with packages from everywhere, installed by uv."""
    folder = tmp_path_factory.mktemp("project")
    project(folder / "local", "eta", "0.2")
    repository = Clone(project(tmp_path_factory.mktemp("zeta"), "zeta", "0.9"))
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "x"]):
        repository.git(*arguments)
    archive = installers.url.replace("simple/", "files/delta-0.1-py3-none-any.whl")
    (folder / "pyproject.toml").write_text(
        f"""\
[project]
name = "app"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["alpha==1.0", "epsilon", "eta", "zeta", "delta @ {archive}"]
[tool.uv.sources]
eta = {{ path = "local", editable = true }}
zeta = {{ git = "file://{repository.path}" }}
"""
    )
    installers.run("uv", "sync", "--quiet", cwd=folder)
    return captured(folder / ".venv" / "bin" / "python", folder)


@pytest.fixture(scope="module")
def from_index(recorded: Environment) -> Environment:
    """Return as much of it as came from the index."""
    assert recorded.python is not None
    packages = tuple(item for item in recorded.python.packages if item.name in INDEX)
    assert len(packages) == len(INDEX)
    return replace(recorded, python=replace(recorded.python, packages=packages))


def written(exported: Exported, folder: Path) -> Path:
    path = folder / exported.file_name
    path.write_text(exported.text)
    return path


def validated(text: str) -> Any:
    lock = packaging.Pylock.from_dict(tomllib.loads(text))
    lock.validate()
    return lock


def content(python: PythonEnvironment | None) -> dict[str, tuple[str, str | None]]:
    assert python is not None
    return {item.name: (item.version, item.content_sha256) for item in python.packages}


def installed_by(installers: Installers, file: Path, folder: Path, *options: str) -> Environment:
    python = installers.new_environment(folder)
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", str(python), *options]
    installers.run(*command, "-r", file, cwd=file.parent)
    return captured(python, folder)


def test_pylock_is_valid_and_installs_the_same(
    recorded: Environment, installers: Installers, tmp_path: Path
) -> None:
    exported = export(recorded, "pylock")
    lock = validated(exported.text)
    assert [package.name for package in lock.packages] == [
        "alpha",
        "beta",
        "delta",
        "epsilon",
        "eta",
        "zeta",
    ]
    file = written(exported, tmp_path)
    again = installed_by(installers, file, tmp_path / "new")
    assert content(again.python) == content(recorded.python)
    assert again.python is not None
    assert recorded.python is not None
    assert [item.origin and item.origin.commit for item in again.python.packages] == [
        item.origin and item.origin.commit for item in recorded.python.packages
    ]
    assert [item.editable for item in again.python.packages] == [
        item.editable for item in recorded.python.packages
    ]
    # What was installed by it is recorded with it, and handed out again byte for byte.
    locks = {"pylock.toml": exported.text.encode()}
    assert export(replace(again, locks=locks), "pylock").text == exported.text


def test_requirements_install_the_same(
    recorded: Environment, from_index: Environment, installers: Installers, tmp_path: Path
) -> None:
    hashed = export(from_index, "requirements")
    assert hashed.text.count("--hash=sha256:") == len(INDEX)
    file = written(hashed, tmp_path)
    again = installed_by(installers, file, tmp_path / "new", "--require-hashes")
    assert content(again.python) == content(from_index.python)

    whole = written(export(recorded, "requirements"), tmp_path)
    again = installed_by(installers, whole, tmp_path / "whole")
    expected = content(recorded.python)
    del expected["eta"]  # stands in a comment
    assert content(again.python) == expected


def test_pip_takes_the_requirements(
    from_index: Environment, installers: Installers, tmp_path: Path
) -> None:
    pip = shutil.which("pip", path=installers.environment["PATH"])
    assert pip is not None
    file = written(export(from_index, "requirements"), tmp_path)
    target = tmp_path / "target"
    options = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--target", target]
    installers.run("pip", *options, "-r", file, cwd=tmp_path)
    assert sorted(path.name for path in target.glob("*.dist-info")) == [
        "alpha-1.0.dist-info",
        "beta-2.0.dist-info",
        "epsilon-0.5.dist-info",
    ]
    tampered = tmp_path / "tampered.txt"
    tampered.write_text(file.read_text().replace("--hash=sha256:", f"--hash=sha256:{'0' * 8}")[:-9])
    with pytest.raises(AssertionError, match=r"(?i)hash"):
        installers.run("pip", *options, "--upgrade", "-r", tampered, cwd=tmp_path)


def test_an_index_is_asked_for_what_no_lock_names(
    from_index: Environment,
    files: Path,
    installers: Installers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in installers.environment.items():
        monkeypatch.setenv(name, value)
    bare = replace(from_index, locks={})
    with pytest.raises(InputError, match=r"alpha 1\.0, beta 2\.0, epsilon 0\.5"):
        export(bare, "pylock")
    exported = export(bare, "pylock", resolve=True)
    assert len(validated(exported.text).packages) == len(INDEX)
    again = installed_by(installers, written(exported, tmp_path), tmp_path / "new")
    assert content(again.python) == content(from_index.python)
    hashed = export(bare, "requirements", resolve=True)
    assert hashed.text.count("--hash=sha256:") == len(INDEX)

    # A lock without places: what the index has must be what it has locked.
    digests = {
        name: sha256(files / f"{name}-{version}-py3-none-any.whl") for name, version in KNOWN
    }
    locks = {"poetry.lock": poetry_lock(digests)}
    assert validated(export(replace(bare, locks=locks), "pylock", resolve=True).text).packages
    locks = {"poetry.lock": poetry_lock({**digests, "beta": "0" * 64})}
    with pytest.raises(InputError, match=r"the files of beta 2\.0 are"):
        export(replace(bare, locks=locks), "pylock", resolve=True)

    assert bare.python is not None
    gone = Package(name="alpha", version="7.7", purl="")
    unknown = replace(bare, python=replace(bare.python, packages=(gone,)))
    with pytest.raises(InputError, match=r"(?s)uv says: .*alpha.*7\.7"):
        export(unknown, "pylock", resolve=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match="pip install uv"):
        export(bare, "pylock", resolve=True)


def poetry_lock(digests: dict[str, str]) -> bytes:
    lines = ["[metadata]", 'lock-version = "2.1"']
    for name, version in KNOWN:
        file = f"{name}-{version}-py3-none-any.whl"
        lines += ["[[package]]", f'name = "{name}"', f'version = "{version}"']
        lines.append(f'files = [{{file = "{file}", hash = "sha256:{digests[name]}"}}]')
    return "\n".join(lines).encode()


def everything(recorded: Environment) -> Environment:
    conda = CondaPackage(
        name="numpy",
        version="2.1.0",
        build="py312_0",
        channel="https://conda.example/forge",
        subdir="linux-64",
        url="https://conda.example/forge/linux-64/numpy-2.1.0-py312_0.conda",
        md5="d" * 32,
        sha256="a" * 64,
    )
    library = LibraryPackage(name="libc6", version="2.36-9+deb12u8", architecture="amd64")
    ggplot = LibraryPackage(name="ggplot2", version="3.4.4", source="CRAN")
    uuid = "336ed68f-0bac-5ca0-87d4-7b16caf5d00b"
    csv = LibraryPackage(name="CSV", version="0.10.11", source=uuid)
    other = PythonEnvironment(
        interpreter=Interpreter(version="3.12.1", implementation="cpython", kind="venv"),
        packages=(
            Package(name="alpha", version="1.0", purl="pkg:pypi/alpha@1.0"),
            Package(name="alpha", version="1.0", purl="pkg:pypi/alpha@1.0"),
        ),
    )
    return replace(
        recorded,
        others={"worker": other},
        conda=CondaEnvironment(prefix="/env", packages=(conda, conda)),
        languages={
            "R": LanguageEnvironment(version="4.3.1", packages=(ggplot,)),
            "Julia": LanguageEnvironment(version="1.10.0", packages=(csv,)),
        },
        system_packages=SystemPackages(manager="dpkg", packages=(library,)),
        container=Container(
            runtime="docker", image="x/y:1", digest=f"sha256:{'e' * 64}", labels={"a": "b"}
        ),
        system={"os": "Linux", "distribution": "Debian GNU/Linux 12"},
    )


@pytest.fixture
def validator() -> Any:
    validation: Any = pytest.importorskip("cyclonedx.validation.json")
    schema: Any = pytest.importorskip("cyclonedx.schema")
    return validation.JsonStrictValidator(schema.SchemaVersion.V1_6)


def test_a_bill_of_materials_is_valid_and_always_the_same(
    recorded: Environment, validator: Any
) -> None:
    whole = everything(recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exported = export(whole, "cyclonedx")
    assert validator.validate_str(exported.text) is None
    assert export(whole, "cyclonedx") == exported
    other = json.loads(export(recorded, "cyclonedx").text)
    document = json.loads(exported.text)
    assert document["serialNumber"] != other["serialNumber"]
    components = {item["bom-ref"]: item for item in document["components"]}
    purls = {item["purl"] for item in components.values() if "purl" in item}
    assert {
        "pkg:pypi/beta@2.0",
        "pkg:conda/numpy@2.1.0?build=py312_0&channel=forge&subdir=linux-64&type=conda",
        "pkg:cran/ggplot2@3.4.4",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u8?arch=amd64",
        "pkg:julia/CSV@0.10.11?uuid=336ed68f-0bac-5ca0-87d4-7b16caf5d00b",
        "pkg:generic/cpython@3.12.1",
    } <= purls
    (numpy,) = [item for item in components.values() if item["name"] == "numpy"]
    assert {item["alg"]: item["content"] for item in numpy["hashes"]} == {
        "MD5": "d" * 32,
        "SHA-256": "a" * 64,
    }
    assert components["container"]["hashes"][0]["content"] == "e" * 64
    assert components["worker:pkg:pypi/alpha@1.0"]["version"] == "1.0"
    (eta,) = [item for item in components.values() if item["name"] == "eta"]
    assert {"name": "gitprov:editable", "value": "true"} in eta["properties"]
    (zeta,) = [item for item in components.values() if item["name"] == "zeta"]
    assert zeta["externalReferences"][0]["type"] == "vcs"
    assert "vcs_url=git%2Bfile:///" in zeta["purl"]


def test_a_bill_of_materials_of_strange_records_is_valid(validator: Any) -> None:
    names = ["", " ", "a b", "\x1b[31m", "é/@?#&", "a" * 5000]
    packages = tuple(Package(name=name, version=name, purl=name) for name in names)
    libraries = tuple(LibraryPackage(name=name, version=name, source=name) for name in names)
    conda = tuple(
        CondaPackage(name=name, version=name, build=name, channel=name, url=name, md5=name)
        for name in names
    )
    interpreter = Interpreter(version="\n", implementation="\x00", platform="x")
    strange = Environment(
        python=PythonEnvironment(interpreter=interpreter, packages=packages),
        conda=CondaEnvironment(prefix="", packages=conda),
        languages={"R": LanguageEnvironment(packages=libraries), "\n": LanguageEnvironment()},
        system_packages=SystemPackages(manager="?", packages=libraries),
        container=Container(runtime="\x07", digest="x", labels={"\n": "\n"}),
        system={"distribution": "é ", "\n": "\n"},
    )
    assert validator.validate_str(export(strange, "cyclonedx").text) is None
    assert validator.validate_str(export(Environment(), "cyclonedx").text) is None


def test_cyclonedx_names_what_is_missing(
    recorded: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cyclonedx.model.bom", None)
    with pytest.raises(MissingDependency, match=r"pip install 'gitprov\[cyclonedx\]'"):
        export(recorded, "cyclonedx")


def test_a_dockerfile_is_read_by_others(recorded: Environment, tmp_path: Path) -> None:
    parse: Any = pytest.importorskip("dockerfile_parse")
    assert recorded.python is not None
    parser = parse.DockerfileParser(path=str(tmp_path))
    parser.content = export(recorded, "dockerfile").text
    version = recorded.python.interpreter.version
    assert parser.baseimage == f"python:{version}-slim"
    assert parser.envs == {}
    known = [item for item in parser.structure if item["instruction"] in ("RUN", "COPY", "WORKDIR")]
    assert [item["instruction"] for item in known] == ["RUN", "COPY", "RUN", "WORKDIR"]
    assert known[1]["value"] == "<<'END_OF_LIST' /tmp/requirements.txt"
    assert known[2]["value"].endswith("--requirement /tmp/requirements.txt")
    listed = parser.content.partition("requirements.txt\n")[2].partition("\nEND_OF_LIST\n")[0]
    assert "alpha==1.0" in listed.splitlines()
