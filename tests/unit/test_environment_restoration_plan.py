"""What a rebuild would do, decided from records: above all, what it refuses of strangers' ones."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.environments.locks.lock import LockedFile
from gitprov.environments.conda_restoration import CondaProgram, explicit_list
from gitprov.environments.local_files import find_file
from gitprov.environments.nearness import compare
from gitprov.environments.other_locks import other_locks, write_locks
from gitprov.environments.requirement_lines import (
    RefusedError,
    archive_place,
    from_git,
    git_place,
    pinned,
)
from gitprov.environments.restoration_plan import Plan, Step, make_plan
from gitprov.environments.tools import Sources
from gitprov.errors import SourceMissing
from gitprov.exchange.environments.pins import Pin
from gitprov.model.environment import (
    Broken,
    CondaEnvironment,
    CondaPackage,
    Editable,
    Environment,
    Interpreter,
    Origin,
    Package,
    PythonEnvironment,
)

SHA256 = "0123456789abcdef" * 4
COMMIT = "0123456789" * 4
PYTHON = Interpreter(version="3.12.4", implementation="cpython", kind="venv")


def environment(*packages: Package, kind: str = "venv", **more: Any) -> Environment:
    python = Interpreter(version="3.12.4", implementation="cpython", kind=kind)
    return Environment(python=PythonEnvironment(interpreter=python, packages=packages), **more)


def package(name: str, version: str = "1", **more: Any) -> Package:
    return Package(name=name, version=version, purl=f"pkg:pypi/{name}@{version}", **more)


def plan(
    *pins: Pin,
    recorded: Environment | None = None,
    builds: bool = False,
    folder: str | None = None,
    **sources: Any,
) -> Plan:
    def project_of(path: str, name: str) -> str:
        if folder is None:
            raise SourceMissing("the source of the run is not here")
        return folder

    return make_plan(
        recorded or environment(),
        pins,
        project_of=project_of,
        sources=Sources(**sources),
        allow_builds=builds,
    )


def only(made: Plan) -> Step:
    assert made.left == ()
    [step] = made.steps
    return step


def reason(made: Plan) -> str:
    assert made.steps == ()
    [left] = made.left
    return left.reason


# How packages are had again


def test_by_the_hashes_of_a_lock() -> None:
    step = only(plan(Pin(name="alpha", version="1.0", hashes=(f"sha256:{SHA256}",))))
    assert (step.how, step.hashed, step.builds) == ("locked", True, False)
    assert step.line == f"alpha==1.0 --hash=sha256:{SHA256}"


def test_by_version_where_there_is_no_hash_that_proves_anything() -> None:
    step = only(plan(Pin(name="alpha", version="1.0", hashes=("md5:" + "0" * 32,))))
    assert (step.how, step.hashed, step.line) == ("pinned", False, "alpha==1.0")


def test_what_a_lock_has_as_source_alone_is_built() -> None:
    source = LockedFile(name="alpha-1.0.tar.gz", kind="sdist", hashes={"sha256": SHA256})
    pin = Pin(name="alpha", version="1.0", hashes=(f"sha256:{SHA256}",), files=(source,))
    assert "--allow-builds" in reason(plan(pin))
    assert only(plan(pin, builds=True)).builds


def test_a_wheel_from_a_url_needs_no_building() -> None:
    origin = Origin(url="https://files.example/alpha-1.0-py3-none-any.whl",
                    hashes={"sha256": SHA256})  # fmt: skip
    made = plan(Pin(name="alpha", version="1.0", origin=origin))
    step = only(made)
    assert (step.how, step.hashed, step.host) == ("archive", True, "files.example")
    assert step.line == f"alpha @ {origin.url} --hash=sha256:{SHA256}"
    assert made.hosts == ("files.example",)
    assert "--offline" in reason(plan(Pin(name="alpha", version="1.0", origin=origin),
                                      offline=True))  # fmt: skip


def test_an_archive_of_source_is_built() -> None:
    origin = Origin(url="https://files.example/alpha-1.0.tar.gz", hashes={"sha256": SHA256})
    pin = Pin(name="alpha", version="1.0", origin=origin)
    assert origin.url in reason(plan(pin))
    assert only(plan(pin, builds=True)).hashed


def test_a_commit() -> None:
    origin = Origin(url="ssh://git@code.example/a/b.git", vcs="git", commit=COMMIT,
                    revision="main", subdirectory="py/lib")  # fmt: skip
    step = only(plan(Pin(name="alpha", version="1.0", origin=origin), builds=True))
    assert step.line == f"alpha @ git+{origin.url}@{COMMIT}#subdirectory=py/lib"
    assert step.host == "code.example"


def test_other_version_control_systems_are_said_to_be_left_out() -> None:
    origin = Origin(url="https://code.example/a", vcs="hg", commit=COMMIT)
    assert "hg" in reason(plan(Pin(name="alpha", version="1.0", origin=origin), builds=True))


def test_the_source_of_the_run() -> None:
    recorded = environment(
        editables=(Editable(name="Study", path="/home/ada/study/code", is_source=True),)
    )
    pin = Pin(name="study", version="1.0", editable=True)
    step = only(plan(pin, recorded=recorded, builds=True, folder="code"))
    assert (step.how, step.folder, step.editable) == ("source", "src/code", True)
    assert "not here" in reason(plan(pin, recorded=recorded, builds=True))


def test_an_editable_installation_of_something_else() -> None:
    recorded = environment(editables=(Editable(name="lib", path="/home/ada/lib", commit=COMMIT),))
    pin = Pin(name="lib", version="1.0", editable=True)
    assert COMMIT in reason(plan(pin, recorded=recorded, builds=True, folder=""))


def test_a_local_folder_is_the_source_of_the_run_or_left_out() -> None:
    origin = Origin(url="file:///home/ada/study", is_directory=True)
    pin = Pin(name="study", version="1.0", origin=origin)
    step = only(plan(pin, builds=True, folder=""))
    assert (step.how, step.folder, step.editable) == ("source", "src", False)
    assert "--find-links" in reason(plan(pin, builds=True))


def test_a_local_file_is_found_by_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "Alpha_Beta-1.0-py3-none-any.whl"
    file.write_bytes(b"wheel")
    digest = hashlib.sha256(b"wheel").hexdigest()
    origin = Origin(url="file:///home/ada/Alpha_Beta-1.0-py3-none-any.whl",
                    hashes={"sha256": digest})  # fmt: skip
    pin = Pin(name="alpha-beta", version="1.0", origin=origin)
    step = only(plan(pin, find_links=(tmp_path,)))
    assert step.line == f"alpha-beta @ {file.as_uri()} --hash=sha256:{digest}"
    assert find_file([tmp_path], "alpha-beta", "1.0", {"sha256": SHA256}) is None
    assert find_file([tmp_path], "alpha-beta", "1.0", {}) == file
    assert find_file([tmp_path], "alpha-beta", "1", {}) is None
    assert find_file([tmp_path], "alpha", "1.0", {}) is None
    assert find_file([tmp_path / "absent"], "alpha-beta", "1.0", {}) is None


def test_what_is_broken_is_a_note() -> None:
    python = PythonEnvironment(interpreter=PYTHON, broken=(Broken(entry="~x", reason="left"),))
    made = plan(recorded=Environment(python=python, others={"python3.9": python}))
    assert made.notes == (
        "the run started other Pythons, too, which are not restored: python3.9",
        "~x was broken and is not restored: left",
    )


# What makes it


@pytest.mark.parametrize(
    ("kind", "installer", "maker"),
    [
        ("uv", "uv", "uv"),
        ("venv", "pip", "venv"),
        ("virtualenv", "Poetry 2.5.1", "venv"),
        ("venv", "uv", "uv"),  # python -m venv, then uv pip install
        ("system", "pip", "venv"),
    ],
)
def test_the_tool_that_made_it(kind: str, installer: str, maker: str) -> None:
    recorded = environment(package("alpha", installer=installer), kind=kind)
    assert plan(recorded=recorded).maker == maker


def conda(*packages: CondaPackage) -> CondaEnvironment:
    return CondaEnvironment(prefix="/opt/conda", packages=packages)


def conda_package(name: str, url: str | None = None, **more: Any) -> CondaPackage:
    url = url or f"https://conda.example/main/linux-64/{name}-1-0.conda"
    return CondaPackage(name=name, version="1", build="0", url=url, **more)


def test_conda_brings_its_own_packages_of_python() -> None:
    recorded = environment(
        package("delta", installer="conda"), package("alpha"), kind="conda",
        conda=conda(conda_package("delta")),
    )  # fmt: skip
    made = plan(Pin(name="alpha", version="1"), Pin(name="delta", version="1"), recorded=recorded)
    assert made.maker == "conda"
    assert [item.name for item in made.conda] == ["delta"]
    assert [step.name for step in made.steps] == ["alpha"]
    assert made.hosts == ("conda.example",)


def test_a_venv_within_conda_is_a_venv() -> None:
    recorded = environment(kind="venv", conda=conda(conda_package("python")))
    made = plan(recorded=recorded)
    assert (made.maker, made.conda) == ("venv", ())


@pytest.mark.parametrize(
    "url",
    [
        "https://conda.example/main/linux-64/x.sh",
        "https://conda.example/main/x\n--option-1-0.conda",
        "ftp://conda.example/main/linux-64/x-1-0.conda",
        "file:///absent/linux-64/x-1-0.conda",
        "/absent/x-1-0.conda",
    ],
)
def test_what_is_no_conda_package_is_left_out(url: str) -> None:
    recorded = environment(kind="conda", conda=conda(conda_package("x", url)))
    made = plan(recorded=recorded)
    assert made.conda == ()
    assert [item.name for item in made.left] == ["x"]


def test_the_explicit_list() -> None:
    packages = [
        conda_package("a", md5="0" * 32, sha256=SHA256),
        conda_package("b", sha256=SHA256),
        conda_package("c", md5="not one\nhttps://other.example/x.conda"),
    ]
    base = "https://conda.example/main/linux-64"
    assert explicit_list(packages).splitlines() == [
        "@EXPLICIT",
        f"{base}/a-1-0.conda#{'0' * 32}",
        f"{base}/b-1-0.conda#sha256:{SHA256}",
        f"{base}/c-1-0.conda",
    ]


def test_the_command_line_of_conda() -> None:
    program = CondaProgram("micromamba", "/usr/bin/micromamba")
    command = program.command(Path("/new"), Path("/list.txt"), offline=True)
    assert command[:2] == ["/usr/bin/micromamba", "create"]
    assert command[-3:] == ["--file", "/list.txt", "--offline"]


# What strangers may have written


@pytest.mark.parametrize("name", ["", "-r", "--index-url=x", "a b", "a\nb", "a;b", "a@b", "../a"])
def test_names_that_say_something_else(name: str) -> None:
    assert "name" in reason(plan(Pin(name=name, version="1.0")))


@pytest.mark.parametrize("version", ["", "1 --pre", "1\n-r x", "1; x", "1,>=2", "1.*", "$HOME"])
def test_versions_that_say_something_else(version: str) -> None:
    assert "version" in reason(plan(Pin(name="alpha", version=version)))


def test_hashes_that_are_none_are_not_handed_on() -> None:
    hashes = ("sha256:0", f"sha256:{SHA256} -r x", f"sha1:{SHA256[:40]}", f"sha256:{SHA256}")
    assert pinned("alpha", "1", hashes) == f"alpha==1 --hash=sha256:{SHA256}"


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example/${SECRET}/a.whl",
        "https://files.example/a.whl --pre",
        "https://files.example/a.whl\n-r x",
        "https://files.example/a.whl#egg=b",
        "https:///a.whl",
        "https://[files.example/a.whl",
        "file://other.example/a.whl",
        "ftp://files.example/a.whl",
        "git+https://files.example/a",
        "a.whl",
        "",
    ],
)
def test_urls_of_archives_that_are_not_handed_on(url: str) -> None:
    with pytest.raises(RefusedError):
        archive_place(url)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c true",
        "ssh://-oProxyCommand=true/a",
        "ssh://-x@code.example/a",
        "https://code.example/a#egg=b",
        "git@code.example:a/b",
    ],
)
def test_urls_of_repositories_that_are_not_handed_on(url: str) -> None:
    with pytest.raises(RefusedError):
        git_place(url)


@pytest.mark.parametrize("commit", [None, "", "main", "--upload-pack=x", COMMIT[:12]])
def test_only_whole_commits(commit: str | None) -> None:
    with pytest.raises(RefusedError):
        from_git("alpha", git_place("https://code.example/a"), commit, None)


@pytest.mark.parametrize("folder", ["../x", "/x", "a/../../b", "a b", "a&b", "-x"])
def test_folders_that_lead_elsewhere(folder: str) -> None:
    with pytest.raises(RefusedError):
        from_git("alpha", git_place("https://code.example/a"), COMMIT, folder)


# Lock files of others


def test_lock_files_of_other_tools(tmp_path: Path) -> None:
    locks = {
        "uv.lock": b"",
        "renv.lock": b"{}",
        "julia/Manifest.toml": b"m",
        "julia/Project.toml": b"p",
        "../Cargo.lock": b"",
        "/go.sum": b"",
    }
    assert [lock.path for lock in other_locks(locks)] == ["julia/Manifest.toml", "renv.lock"]
    write_locks(locks, tmp_path / "locks")
    written = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert written == {
        "locks/julia/Manifest.toml": b"m",
        "locks/julia/Project.toml": b"p",
        "locks/renv.lock": b"{}",
    }


# How near it came


def test_verdicts() -> None:
    def verdict(*packages: Package) -> str:
        before = environment(package("alpha", "1", content_sha256="a"))
        return compare(before, environment(*packages)).verdict

    assert verdict(package("Alpha", "1", content_sha256="a")) == "identical"
    assert verdict(package("alpha", "1", content_sha256="b")) == "same versions"
    assert verdict(package("alpha", "1")) == "same versions"
    assert verdict(package("alpha", "2", content_sha256="a")) == "differs"
    assert verdict() == "differs"
    assert verdict(package("alpha", "1", content_sha256="a"), package("beta")) == "differs"


def test_another_interpreter_differs() -> None:
    other = Interpreter(version="3.12.5", implementation="cpython")
    [found] = compare(
        environment(), Environment(python=PythonEnvironment(interpreter=other))
    ).differences
    assert (found.name, found.recorded, found.restored) == (
        "python",
        "CPython 3.12.4",
        "CPython 3.12.5",
    )


def test_other_builds_of_conda_differ() -> None:
    before = environment(conda=conda(conda_package("a", md5="0")))
    after = environment(conda=conda(conda_package("a", md5="1")))
    assert compare(before, after, conda=True).contents == ("a (conda)",)
    other = CondaPackage(name="a", version="1", build="1")
    assert compare(before, environment(conda=conda(other)), conda=True).verdict == "differs"


def test_a_conda_environment_without_python() -> None:
    recorded = environment(
        package("alpha"), kind="system", conda=conda(conda_package("r-base", sha256=SHA256))
    )
    made = plan(Pin(name="alpha", version="1"), recorded=recorded)
    assert (made.maker, made.python, made.steps) == ("conda", None, ())
    assert made.notes == ("the conda environment had no Python; 3.12.4 stood elsewhere on PATH",)
    again = environment(package("other"), conda=recorded.conda)
    assert compare(recorded, again, python=False, conda=True).verdict == "identical"


def test_what_is_left_out_is_said() -> None:
    package = CondaPackage(name="zlib", version="1", build="0")
    active = CondaEnvironment(prefix="/opt/env", packages=(package,))
    python = PythonEnvironment(
        interpreter=Interpreter(version="3.11.7", implementation="cpython", kind="venv")
    )
    made = make_plan(
        Environment(python=python, conda=active),
        (),
        project_of=lambda path, _: path,
        sources=Sources(),
        allow_builds=False,
        refused=("odd 1 has a URL of an unknown form",),
    )
    assert made.conda == ()
    assert made.notes == (
        "a conda environment was active besides, with 1 package: it is not restored",
        "not restored: odd 1 has a URL of an unknown form",
    )
