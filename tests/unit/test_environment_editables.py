"""Editable installs: which state of real repositories they are in."""

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.environments import capture_environment, editables
from gitprov.capture.environments.kind import Findings, Request
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import Editable
from tests.unit.test_environment import BACKEND, PROJECT
from tests.unit.test_hardware import lay_out

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, check=True, text=True
    )
    return done.stdout.strip()


def repository(folder: Path, *, commit: bool = True) -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    if commit:
        (folder / "module.py").write_text("x = 1\n")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "first")
    return folder


def row(name: str, place: Path) -> dict[str, Any]:
    origin = {"url": place.as_uri(), "dir_info": {"editable": True}}
    return {"name": name, "version": "1", "purl": "p", "direct_url": origin, "editable": True}


def capture(
    *rows: dict[str, Any], top: Path | None = None, prefix: Path = Path("/nowhere")
) -> Findings:
    interpreter = {"version": "3.11.2", "prefix": str(prefix)}
    # The text as the listing has it: whether there are editables is seen from that.
    listing = json.dumps({"interpreter": interpreter, "packages": rows}).encode()
    cwd = top or Path("/")
    request = Request(
        argv=(), cwd=cwd, top=top, env={}, cache=None, found={"packages.json": listing}
    )
    return editables.capture(request)


def said(findings: Findings) -> dict[str, Editable]:
    found = read_environment(findings.files, findings.locks).editables
    return {item.name: item for item in found}


def test_none(tmp_path: Path) -> None:
    plain = row("plain", tmp_path)
    del plain["editable"]
    assert capture(plain) == Findings()
    assert (
        editables.capture(Request(argv=(), cwd=tmp_path, top=None, env={}, cache=None))
        == Findings()
    )


def test_commit_tree_and_changes(tmp_path: Path) -> None:
    library = repository(tmp_path / "library with ümlaut")
    (library / "sub").mkdir()
    found = capture(row("library", library / "sub"), row("again", library))
    clean = said(found)["library"]
    assert clean == Editable(
        name="library",
        path=str(library / "sub"),
        commit=git(library, "rev-parse", "HEAD"),
        tree=git(library, "rev-parse", "HEAD^{tree}"),
        dirty=False,
    )
    assert said(found)["again"].commit == clean.commit
    assert found.missing == {}
    assert capture(row("library", library / "sub"), row("again", library)) == found


def test_what_counts_as_a_change(tmp_path: Path) -> None:
    library = repository(tmp_path / "library")

    def dirty() -> bool | None:
        return said(capture(row("library", library)))["library"].dirty

    # What installing and importing leave behind is none.
    lay_out(library, {"__pycache__/x.pyc": "", "pkg.egg-info/PKG-INFO": ""})
    assert dirty() is False
    (library / "new.py").write_text("")
    assert dirty() is True
    git(library, "add", "new.py")
    assert dirty() is True
    git(library, "commit", "-qm", "second")
    assert dirty() is False
    git(library, "mv", "new.py", "old.py")
    assert dirty() is True
    git(library, "reset", "-q", "--hard")
    (library / "module.py").write_text("x = 2\n")
    assert dirty() is True


def test_the_repository_of_the_run_tells_its_state_itself(tmp_path: Path) -> None:
    top = repository(tmp_path / "project")
    (top / "src").mkdir()
    before = capture(row("project", top / "src"), top=top)
    assert said(before) == {
        "project": Editable(name="project", path=str(top / "src"), is_source=True)
    }
    (top / "module.py").write_text("x = 2\n")
    git(top, "commit", "-qam", "second")
    assert capture(row("project", top / "src"), top=top) == before
    # A repository inside is one of its own.
    inner = repository(top / "inner")
    assert said(capture(row("inner", inner), top=top))["inner"].commit


def test_what_is_in_no_repository_or_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    plain = tmp_path / "plain"
    plain.mkdir()
    odd = row("odd", plain) | {"direct_url": {"url": 3}}
    found = capture(row("plain", plain), row("gone", tmp_path / "gone"), odd)
    assert said(found) == {
        "plain": Editable(name="plain", path=str(plain)),
        "gone": Editable(name="gone", path=str(tmp_path / "gone")),
    }
    assert found.missing == {
        "environment.editables.gone": "its folder is not there",
        "environment.editables.odd": "where it lies is not written down",
        "environment.editables.plain": "it is in no repository",
    }


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    library = repository(tmp_path / "library", commit=False)
    assert said(capture(row("library", library)))["library"].commit is None
    assert said(capture(row("library", library)))["library"].dirty is False


def test_links_of_setup_py_develop(tmp_path: Path) -> None:
    library = repository(tmp_path / "library")
    lay_out(tmp_path, {"env/lib/python3.11/site-packages/my_lib.egg-link": f"{library}\n.\n"})
    old = {"name": "my-lib", "version": "1", "purl": "p", "editable": True}
    found = said(capture(old, prefix=tmp_path / "env"))
    assert found["my-lib"].path == str(library)
    assert found["my-lib"].commit


def test_what_uv_has_installed(tmp_path: Path) -> None:
    library = repository(tmp_path / "library")
    lay_out(library, {"backend.py": BACKEND, "pyproject.toml": PROJECT})
    venv.EnvBuilder(symlinks=True).create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "-q", "--no-index"]
    options = ["--no-build-isolation", "--no-config", "--python", str(python)]
    subprocess.run([*uv, *options, "-e", str(library)], check=True)
    (tmp_path / "project").mkdir()
    captured = capture_environment(
        [str(python)], cwd=tmp_path / "project", top=None, env={"PATH": os.environ["PATH"]},
        cache=None,
    )  # fmt: skip
    (found,) = read_environment(captured.files, captured.locks).editables
    assert (found.name, found.path) == ("linked-project", str(library))
    assert (found.commit, found.dirty) == (git(library, "rev-parse", "HEAD"), True)


def test_git_is_run_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = repository(tmp_path / "library")
    trace = tmp_path / "ran"
    hook = tmp_path / "program"
    hook.write_text(f"#!/bin/sh\ntouch {trace}\n")
    hook.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.hooksPath"):
        git(library, "config", name, str(hook))
    other = repository(tmp_path / "other", commit=False)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    index = (library / ".git/index").read_bytes()
    (library / "module.py").touch()
    found = said(capture(row("library", library)))["library"]
    assert found.dirty is False
    assert found.commit
    assert not trace.exists()
    assert (library / ".git/index").read_bytes() == index


def test_git_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = [repository(tmp_path / name) for name in ("one", "two", "three")]
    for library in libraries:
        # A filter runs where a file has changed, and may hang.
        lay_out(library, {".gitattributes": "*.py filter=slow\n"})
        git(library, "config", "filter.slow.clean", "sleep 60; cat")
        (library / "module.py").write_text("x = 2\n")
        os.utime(library / "module.py", (1, 1))
        (library / "module.py").write_text("x = 3\n")
    monkeypatch.setattr("gitprov.capture.environments.editables.SECONDS", 1.0)
    began = time.monotonic()
    found = capture(*(row(library.name, library) for library in libraries))
    assert time.monotonic() - began < 10
    assert set(said(found)) == {"one", "two", "three"}
    assert "did not answer" in found.missing["environment.editables.one"]
