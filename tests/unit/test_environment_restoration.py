"""Rebuilding with real tools where things go wrong; and which interpreter is taken."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from gitprov.capture.origin import Origin
from gitprov.environments import interpreters
from gitprov.environments.interpreters import Found, find_python
from gitprov.environments.other_locks import write_locks
from gitprov.environments.restoration import Outcome, require_free, restore
from gitprov.environments.restoration_plan import Left, Plan, Step
from gitprov.environments.source_checkout import check_out
from gitprov.environments.source_projects import find_project
from gitprov.environments.tools import Pip, Sources, ToolFailedError, call
from gitprov.errors import InTheWay, RestoreFailed
from gitprov.model.environment import Environment, Interpreter, Package, PythonEnvironment
from tests.support.package_index import wheel
from tests.support.repositories import Clone

VERSION = sys.version.split()[0]
SERIES = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = Interpreter(version=VERSION, implementation="cpython")
BASE = Path(sys.executable).resolve()


def rebuild(folder: Path, *steps: Step, links: Path, python: Path = BASE) -> Outcome:
    packages = [Package(name=step.name, version=step.version, purl="") for step in steps]
    environment = Environment(python=PythonEnvironment(interpreter=HERE, packages=tuple(packages)))
    return restore(
        Plan(maker="uv", python=HERE, steps=steps),
        environment,
        folder,
        python=Found(path=python, version=VERSION, title=VERSION),
        source=None,
        sources=Sources(find_links=(links,), offline=True),
        allow_builds=False,
        say=lambda _text: None,
    )


def step(name: str, version: str = "1") -> Step:
    return Step(name=name, version=version, how="pinned", line=f"{name}=={version}")


@pytest.fixture(autouse=True)
def nothing_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


# The folder


def test_only_into_a_folder_that_is_free(tmp_path: Path) -> None:
    require_free(tmp_path / "absent")
    require_free(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for place in (tmp_path, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(InTheWay):
            require_free(place)


def test_nothing_is_left_of_what_cannot_be_made(tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    there, absent = tmp_path / "there", tmp_path / "absent"
    there.mkdir()
    for folder in (there, absent):
        with pytest.raises(RestoreFailed, match="nothing was restored"):
            rebuild(folder, links=links, python=tmp_path / "no-python")
        with pytest.raises(RestoreFailed, match="nothing was restored after an empty environment"):
            rebuild(folder, step("a"), step("b"), step("c"), step("d"), links=links)
    assert list(there.iterdir()) == []
    assert not absent.exists()


def test_a_package_that_cannot_be_had_costs_no_other(tmp_path: Path) -> None:
    links = tmp_path / "links"
    wheel(links, "alpha", "1")
    outcome = rebuild(tmp_path / "new", step("alpha"), step("beta"), links=links)
    assert [item.name for item in outcome.installed] == ["alpha"]
    [failed] = outcome.failed
    assert isinstance(failed, Left)
    assert failed.name == "beta"
    assert failed.reason
    assert outcome.nearness.verdict == "differs"
    assert [item.name for item in outcome.nearness.differences] == ["beta"]


def test_what_pip_says(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError, match="No matching distribution found for beta==1"):
        Pip(Path(sys.executable)).install(
            Path(sys.executable), ["beta==1"], [], hashed=False, builds=False,
            sources=Sources(offline=True),
        )  # fmt: skip


def test_tools_see_no_project_and_no_other_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIRTUAL_ENV", "/other")
    monkeypatch.setenv("PIP_TARGET", "/other")
    monkeypatch.setenv("PYTHONPATH", "/other")
    code = (
        "import os, sys; sys.exit(f'error: {os.listdir()} ' + "
        "str(sorted({'VIRTUAL_ENV', 'PIP_TARGET', 'PYTHONPATH'} & os.environ.keys())))"
    )
    with pytest.raises(ToolFailedError, match=r"error: \[\] \[\]"):
        call([sys.executable, "-c", code])


# The interpreter


def test_the_recorded_interpreter(tmp_path: Path) -> None:
    wanted = Interpreter(
        version=VERSION, implementation="cpython", executable=str(BASE), base_prefix=sys.base_prefix
    )
    found = find_python(wanted, None, work_tree=None)
    assert found.version == VERSION
    assert found.note is None


def test_another_patch_stands_in_and_says_so() -> None:
    wanted = Interpreter(version=f"{SERIES}.99", implementation="cpython")
    found = find_python(wanted, None, work_tree=None)
    assert found.version.startswith(f"{SERIES}.")
    assert found.note is not None
    assert f"CPython {SERIES}.99" in found.note


def test_another_minor_is_only_taken_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"python{SERIES}").symlink_to(BASE)
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = Interpreter(version="3.2.1", implementation="cpython")
    with pytest.raises(RestoreFailed, match="--python PATH"):
        find_python(wanted, None, work_tree=None)
    found = find_python(wanted, BASE, work_tree=None)
    assert found.note == f"CPython {VERSION} stands for CPython 3.2.1, which is not here"
    with pytest.raises(RestoreFailed, match="does not answer"):
        find_python(wanted, tmp_path / "absent", work_tree=None)


@pytest.mark.parametrize("where", ["in the work tree", "for others to write", "no python"])
def test_a_recorded_path_of_a_stranger_is_not_started(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    trap = folder / ("python3" if where != "no python" else "trap")
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    trap.chmod(0o777 if where == "for others to write" else 0o755)
    work_tree = tmp_path if where == "in the work tree" else None
    wanted = Interpreter(version="3.2.1", implementation="cpython", executable=str(trap))
    with pytest.raises(RestoreFailed):
        find_python(wanted, None, work_tree=work_tree)
    assert not (tmp_path / "started").exists()
    # Else it would have been.
    assert not interpreters._is_trusted(trap, work_tree)
    good = folder / "python3.2"
    shutil.copy(trap, good)
    good.chmod(0o755)
    assert interpreters._is_trusted(good, None)


# The source of the run


def test_a_source_in_a_folder_of_its_own(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repository")
    commit = clone.commit("code", {"a.py": "a\n", "gone.py": "gone\n"})
    clone.write("a.py", "changed\n")
    (clone.path / "gone.py").unlink()
    clone.git("add", "--all")
    tree = clone.git("write-tree").strip()
    clone.git("reset", "--quiet", "--hard")
    before = refs_and_worktrees(clone)
    store = clone.store()
    folder = tmp_path / "new" / "src"
    check_out(store.repository, Origin(commit, tree), folder)
    store.close()
    assert (folder / "a.py").read_text() == "changed\n"
    assert not (folder / "gone.py").exists()
    made = Clone(folder)
    assert made.git("rev-parse", "HEAD").strip() == commit
    assert made.git("status", "--porcelain").splitlines() == [" M a.py", " D gone.py"]
    assert refs_and_worktrees(clone) == before
    # It moves with its folder.
    folder.rename(tmp_path / "moved")
    assert Clone(tmp_path / "moved").git("status", "--porcelain").count("\n") == 2


def refs_and_worktrees(clone: Clone) -> str:
    return clone.git("for-each-ref") + clone.git("worktree", "list") + clone.git("status")


def test_a_project_is_found_by_where_it_lay(tmp_path: Path) -> None:
    clone = Clone.make(tmp_path / "repository")
    clone.commit(
        "projects",
        {
            "pyproject.toml": '[project]\nname = "Whole"\n',
            "libs/one/pyproject.toml": '[project]\nname = "one"\n',
            "one/setup.py": "",
            "bad/pyproject.toml": "[[[",
        },
    )
    tree = clone.git("rev-parse", "HEAD^{tree}").strip()
    store = clone.store()

    def found(path: str, name: str) -> str | None:
        return find_project(store.repository, tree, path, name)

    assert found("/home/ada/study", "whole") == ""
    assert found("/home/ada/study/libs/one", "one") == "libs/one"
    assert found("/home/ada/one", "two") == "one"
    assert found("/home/ada/bad", "bad") == "bad"
    assert found("/home/ada/study/libs/two", "two") is None
    assert found("/home/ada/../one", "one") is None
    store.close()


def test_an_interrupted_restore_leaves_nothing(tmp_path: Path) -> None:
    links = tmp_path / "links"
    wheel(links, "alpha", "1")

    def interrupted(text: str) -> None:
        if "installing" in text:
            raise KeyboardInterrupt

    folder = tmp_path / "new"
    with pytest.raises(KeyboardInterrupt):
        restore(
            Plan(maker="uv", python=HERE, steps=(step("alpha"),)),
            Environment(),
            folder,
            python=Found(path=BASE, version=VERSION, title=VERSION),
            source=None,
            sources=Sources(find_links=(links,), offline=True),
            allow_builds=False,
            say=interrupted,
        )
    assert not folder.exists()


def test_nothing_is_written_through_a_link_that_a_package_brought(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "locks").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_locks({"package-lock.json": b"{}"}, tmp_path / "locks")
    assert not list(victim.iterdir())
