"""Julia and the packages of its project. No registry here has Julia: a script answers for it."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitprov.capture.environments import julia_session
from gitprov.capture.environments.kind import Findings, Request
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import LanguageEnvironment, LibraryPackage
from tests.unit.test_hardware import lay_out

TREE = "0123456789abcdef0123456789abcdef01234567"
DOUBT = "environment.julia.project"


def manifest(*names: str) -> str:
    rows = [f'[[deps.{name}]]\ngit-tree-sha1 = "{TREE}"\nversion = "1.0.0"\n' for name in names]
    return 'julia_version = "1.11.2"\nmanifest_format = "2.0"\n' + "".join(rows)


class World:
    """A julia that says its version, a project, and a home."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.top = folder / "project"
        self.top.mkdir()
        self.program = folder / "bin/julia"
        self.starts = folder / "starts"
        lay_out(folder, {"bin/julia": ""})
        self.answers(f"echo $@ >>{self.starts}\necho julia version 1.11.2\n")

    def answers(self, text: str) -> None:
        self.program.write_text(f"#!/bin/sh\n{text}")
        self.program.chmod(0o755)
        os.utime(self.program, (time.time() - 60, time.time() - 60))

    def lay_out(self, **files: str) -> None:
        lay_out(
            self.root, {name.replace("__", "/") + ".toml": text for name, text in files.items()}
        )

    def capture(self, *argv: str, cwd: str = "project", **env: str) -> Findings:
        request = Request(
            argv=argv or ("julia", "fit.jl"),
            cwd=self.root / cwd,
            top=self.top,
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "HOME": str(self.root / "ada")} | env,
            cache=self.root / "cache",
        )
        return julia_session.capture(request)

    def names(self, *argv: str, cwd: str = "project", **env: str) -> list[str]:
        return [item.name for item in said(self.capture(*argv, cwd=cwd, **env)).packages]


def said(findings: Findings) -> LanguageEnvironment:
    return read_environment(findings.files, findings.locks).languages["Julia"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    found = World(tmp_path)
    found.lay_out(
        project__Project="",
        project__Manifest=manifest("Own"),
        project__sub__Project="",
        project__sub__Manifest=manifest("Sub"),
        ada__julia="",
    )
    lay_out(
        tmp_path,
        {
            "ada/.julia/environments/v1.11/Manifest.toml": manifest("Shared"),
            "depot/environments/lab/Manifest.toml": manifest("Named"),
        },
    )
    return found


def test_version_and_packages(world: World) -> None:
    text = f"""
julia_version = "1.11.2"
manifest_format = "2.0"
[[deps.Plots]]
git-tree-sha1 = "{TREE}"
version = "1.40.0"
[[deps.Dates]]
uuid = "ade2ca70-3891-5945-98fb-dc099432e06a"
[[deps.Mine]]
path = "../Mine"
version = "0.1.0"
[[deps.Forked]]
git-tree-sha1 = "{TREE}"
repo-rev = "main"
repo-url = "https://ada:hunter2secret@git.example/Forked.jl"
version = "0.2.0"
"""
    world.lay_out(project__Manifest=text)
    found = world.capture("julia", "--project", "fit.jl")
    assert found.missing == {}
    assert said(found) == LanguageEnvironment(
        version="1.11.2",
        packages=(
            LibraryPackage(name="Dates", version="stdlib"),
            LibraryPackage(
                name="Forked",
                version="0.2.0",
                source=f"https://git.example/Forked.jl main tree {TREE}",
            ),
            LibraryPackage(name="Mine", version="0.1.0", source="../Mine"),
            LibraryPackage(name="Plots", version="1.40.0", source=f"tree {TREE}"),
        ),
    )


def test_manifests_of_the_first_format(world: World) -> None:
    world.lay_out(project__Manifest='[[Plots]]\nversion = "1.0.0"\n')
    assert world.names("julia", "--project=.", "x.jl") == ["Plots"]


def test_only_where_julia_is_meant(world: World) -> None:
    script = world.top / "fit"
    script.write_text("#!/usr/bin/env -S julia --project=sub\n1\n")
    script.chmod(0o755)
    assert world.names("./fit") == ["Sub"]
    assert world.names("env", "A=1", "julia", "--project=sub", "x.jl") == ["Sub"]
    assert world.capture("python3", "fit.py") == Findings()
    assert world.capture() == world.capture(str(world.program), "fit.jl")


@pytest.mark.parametrize(
    ("options", "env", "expected"),
    [
        (["--project"], {}, ["Own"]),
        (["--project=sub"], {}, ["Sub"]),
        (["-t", "4", "--project=sub/Project.toml"], {}, ["Sub"]),
        (["--project=@."], {"JULIA_PROJECT": "sub"}, ["Own"]),
        ([], {"JULIA_PROJECT": "sub"}, ["Sub"]),
        (["--project=@lab"], {"JULIA_DEPOT_PATH": "../depot:"}, ["Named"]),
        (["--project=@v#.#"], {}, ["Shared"]),
        (["--project=nowhere"], {}, []),
        (["--project=a\0b"], {}, []),
        (["-e", "--project=sub"], {}, ["Own"]),
    ],
)
def test_which_project_governs(
    world: World, options: list[str], env: Mapping[str, str], expected: list[str]
) -> None:
    assert world.names("julia", *options, "fit.jl", **env) == expected


def test_without_a_word_that_around_here_then_the_shared_one(world: World) -> None:
    found = world.capture()
    assert [item.name for item in said(found).packages] == ["Own"]
    assert found.missing[DOUBT].startswith("the command names no project")
    assert world.names(cwd="project/sub") == ["Sub"]
    for path in world.top.glob("*.toml"):
        path.unlink()
    found = world.capture()
    assert [item.name for item in said(found).packages] == ["Shared"]
    assert found.missing == {}


def test_a_manifest_for_this_version_alone(world: World) -> None:
    lay_out(world.top, {"Manifest-v1.11.toml": manifest("New"), "Manifest-v1.9.toml": ""})
    assert world.names("julia", "--project", "x.jl") == ["New"]


def test_a_manifest_that_cannot_be_read(world: World) -> None:
    for text, reason in {"[[": "it is no TOML", "": ""}.items():
        world.lay_out(project__Manifest=text)
        found = world.capture("julia", "--project", "x.jl")
        assert said(found) == LanguageEnvironment(version="1.11.2")
        assert found.missing.get("environment.julia.packages", "").endswith(reason)
    (world.top / "Manifest.toml").unlink()
    missing = world.capture("julia", "--project", "x.jl").missing
    assert "No such file" in missing["environment.julia.packages"]
    world.lay_out(project__Manifest='deps = 3\nmanifest_format = "2.0"\n[[odd]]\nversion = 1\n')
    assert world.names("julia", "--project", "x.jl") == []


def test_the_version_is_asked_once_for_each_choice(world: World) -> None:
    assert world.capture() == world.capture()
    assert world.starts.read_text() == "--version\n"
    world.capture("julia", "+1.10", "x.jl")
    world.capture("julia", "+1.10", "x.jl")
    assert world.starts.read_text() == "--version\n+1.10 --version\n"
    lay_out(world.root, {"ada/.julia/juliaup/juliaup.json": '{"Default": "1.9"}'})
    world.capture()
    assert world.starts.read_text().count("\n") == 3


def test_a_julia_that_does_not_answer(world: World) -> None:
    for text in ("exit 1", "echo nonsense", "kill $$"):
        world.answers(text)
        found = world.capture("julia", "--project", "x.jl")
        assert said(found).version is None
        assert [item.name for item in said(found).packages] == ["Own"]
        assert found.missing["environment.julia.version"]
    world.program.unlink()
    assert world.capture("julia", "--project", "x.jl").files


def test_a_julia_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitprov.capture.environments.commands.programs.TIMEOUT_SECONDS", 0.3)
    world.answers("sleep 30\n")  # the child of the shell keeps the pipe open
    began = time.monotonic()
    assert "environment.julia.version" in world.capture().missing
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 3000, ".".join("a" * 60_000) + " = 1", "\0"],
    ids=["nested", "long key", "no text"],
)
def test_a_manifest_of_a_stranger_takes_no_time(world: World, text: str) -> None:
    world.lay_out(project__Manifest=text)
    began = time.monotonic()
    found = world.capture("julia", "--project", "x.jl")
    assert time.monotonic() - began < 10
    assert said(found).packages == ()
    assert "Manifest.toml cannot be read" in found.missing["environment.julia.packages"]
