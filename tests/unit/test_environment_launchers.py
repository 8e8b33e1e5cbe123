"""Which interpreter a command runs under that others start: uv run, env, mpirun and their like."""

import base64
import hashlib
import os
import shlex
import time
import venv
from pathlib import Path

import pytest

from gitprov.capture.environments.commands.interpreter import (
    Interpreter,
    find_interpreter,
    pythons_of_launchers,
)

# None of them is started: that they are there is all that counts.
LAUNCHERS = (
    "uv poetry pdm pipenv hatch conda micromamba pixi env time nice nohup timeout stdbuf taskset "
    "xvfb-run srun mpirun numactl ionice setsid"
)


class World:
    """Environments, a project, and launchers on PATH before the outer environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.deep = self.project / "src" / "deep"
        self.deep.mkdir(parents=True)
        self.own = self.made("project/.venv")
        self.outer = self.made("outer")
        for name in LAUNCHERS.split():
            self.script(f"bin/{name}", "#!/bin/sh\n")
        self.env = {
            "PATH": f"{folder}/bin:{self.outer}/bin",
            "HOME": str(folder / "home"),
        }

    def made(self, name: str) -> Path:
        path = self.folder / name
        venv.EnvBuilder(symlinks=True).create(path)
        return path

    def script(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def write(self, name: str, text: str) -> None:
        (self.project / name).write_text(text)

    def find(self, command: str, **env: str) -> Interpreter:
        found = find_interpreter(shlex.split(command), cwd=self.deep, env=self.env | env)
        assert found is not None
        return found

    def prefix(self, command: str, **env: str) -> Path:
        """Return the prefix of what is found, which must be without a doubt."""
        found = self.find(command, **env)
        assert found.doubt is None
        assert found.of_python
        return found.path.parent.parent


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.write("pyproject.toml", '[project]\nname = "My.Thing"\n')
    return world


@pytest.mark.parametrize(
    "command",
    [
        "env A=1 B=2 python x.py",
        "env -u HOME -u A -i PATH={path} python x.py",
        "env - PATH={path} python x.py",
        "env -S 'A=1 python -u' x.py",
        "env --split-string='-u A python' x.py",
        "env -C {folder} -- python x.py",
        "time -f %e -p python x.py",
        "time -o out python x.py",
        "nice -n 5 python x.py",
        "nice -5 python x.py",
        "nohup python x.py",
        "timeout -s KILL --kill-after=5 10 python x.py",
        "timeout -k5 10s python x.py",
        "stdbuf -oL -e 0 python x.py",
        "taskset -c 0-3 python x.py",
        "ionice -c 2 -n 7 python x.py",
        "numactl -N 0 --membind=0 python x.py",
        "setsid python x.py",
        "xvfb-run -a -s '-screen 0 640x480x24' python x.py",
        "srun -n 4 --gres=gpu:1 -p short python x.py",
        "mpirun -n 4 -x PATH --mca btl self python x.py : -n 1 other",
        "mpirun -genv A 1 -np 2 nice python x.py",
        "nice nohup timeout 5 env A=1 python x.py",
    ],
)
def test_the_same_environment(world: World, command: str) -> None:
    command = command.format(path=world.env["PATH"], folder=world.folder)
    found = world.find(command)
    assert found.path == world.outer / "bin/python"
    doubt = "mpirun -genv may give another environment" if "-genv" in command else None
    assert found.doubt == doubt


def test_options_of_python_behind_a_launcher(world: World) -> None:
    assert world.find("nice -n 5 python -I x.py").options == ("-I",)
    assert world.find("env -u A python x.py -I").options == ()


def test_variables_and_folder_are_those_of_the_command(world: World) -> None:
    found = world.find("env -u HOME -C .. PYTHONPATH=lib python x.py", A="1")
    assert found.cwd is not None
    assert found.env is not None
    assert found.cwd.resolve() == world.deep.parent
    assert found.env == {"PATH": world.env["PATH"], "PYTHONPATH": "lib", "A": "1"}


@pytest.mark.parametrize("command", ["env", "env A=1", "nice", "timeout 10", "uv run", "uv run --"])
def test_a_launcher_that_starts_nothing(world: World, command: str) -> None:
    found = world.find(command)
    assert found.doubt is not None
    assert not found.of_python


def test_other_programs_behind_launchers(world: World) -> None:
    world.script("bin/tool", "#!/bin/sh\n")
    for command in ("nice tool", "uv run tool", "conda run -p {own} tool"):
        found = world.find(command.format(own=world.own))
        assert found.doubt is not None
        assert "the command is not a Python program" in found.doubt
        assert not found.of_python


class TestUv:
    @pytest.mark.parametrize(
        "command",
        [
            "uv run python x.py",
            "uv run -- python x.py",
            "uv run x.py",
            "uv run -m thing",
            "uv run --no-sync --group test --extra=a python -m thing",
            "uv -q --color never run --frozen python3 x.py",
            "uv run -",
            "uv run tool",
            "nice uv run tool",
        ],
    )
    def test_the_projects_environment(self, world: World, command: str) -> None:
        world.script("project/.venv/bin/tool", f"#!{world.own}/bin/python\n")
        assert world.prefix(command) == world.own
        assert world.prefix(command, VIRTUAL_ENV=str(world.outer)) == world.own

    def test_the_active_one_where_it_is_asked_for(self, world: World) -> None:
        other = world.made("other")
        assert world.prefix("uv run --active python", VIRTUAL_ENV=str(other)) == other
        assert world.prefix("uv run --no-project python", VIRTUAL_ENV=str(other)) == other
        assert world.prefix("uv run --no-project python") == world.own
        (world.project / "pyproject.toml").unlink()
        assert world.prefix("uv run python", VIRTUAL_ENV=str(other)) == other
        assert world.prefix("uv run python") == world.own

    def test_a_folder_of_its_own(self, world: World) -> None:
        one = world.made("project/envs/one")
        assert world.prefix("uv run python", UV_PROJECT_ENVIRONMENT="envs/one") == one
        assert world.prefix("uv run python", UV_PROJECT_ENVIRONMENT=str(world.outer)) == world.outer
        assert world.prefix(f"uv run --directory {world.project} python x.py") == world.own
        assert world.prefix(f"uv run --project {world.project} python x.py") == world.own

    def test_a_member_of_a_workspace(self, world: World) -> None:
        world.write("pyproject.toml", "[tool.uv.workspace]\nmembers = ['src/*']\n")
        (world.deep / "pyproject.toml").write_text("[project]\nname = 'member'\n")
        assert world.prefix("uv run python x.py") == world.own

    @pytest.mark.parametrize(
        ("options", "doubt"),
        [
            ("--with six", "uv run --with may make another environment"),
            ("--isolated", "uv run --isolated may make another environment"),
            ("-p 3.12", "uv run -p may make another environment"),
            ("--python=3.12", "uv run --python may make another environment"),
        ],
    )
    def test_what_makes_it_doubtful(self, world: World, options: str, doubt: str) -> None:
        found = world.find(f"uv run {options} python x.py")
        assert found.doubt == doubt
        assert found.of_python

    def test_a_script_that_says_what_it_needs(self, world: World) -> None:
        (world.deep / "x.py").write_text("# /// script\n# dependencies = ['six']\n# ///\n")
        assert world.find("uv run x.py").doubt == (
            "uv makes an environment for what x.py says that it needs"
        )

    def test_an_environment_that_is_yet_to_be_made(self, world: World) -> None:
        found = world.find("uv run thing", UV_PROJECT_ENVIRONMENT=".new")
        assert found.doubt is not None
        assert f"uv uses {world.project}/.new, which is not there yet" in found.doubt
        assert found.of_python  # so it is watched, and the end will tell


class TestPoetry:
    def test_in_the_project(self, world: World) -> None:
        assert world.prefix("poetry run python x.py") == world.own
        assert world.prefix(f"poetry -C {world.project} run python x.py") == world.own

    def test_the_active_one_is_taken_unless_it_is_condas_base(self, world: World) -> None:
        other = world.made("other")
        assert world.prefix("poetry run python", VIRTUAL_ENV=str(other)) == other
        base = {"CONDA_PREFIX": str(other), "CONDA_DEFAULT_ENV": "base"}
        assert world.prefix("poetry run python", **base) == world.own

    def test_in_the_cache(self, world: World) -> None:
        env = {"POETRY_VIRTUALENVS_IN_PROJECT": "false"}
        assert world.find("poetry run python", **env).doubt == (
            "the environment that poetry uses was not found"
        )
        digest = hashlib.sha256(str(world.project.resolve()).encode()).digest()
        name = f"my-thing-{base64.urlsafe_b64encode(digest).decode()[:8]}-py3.11"
        kept = world.made(f"home/.cache/pypoetry/virtualenvs/{name}")
        assert world.prefix("poetry run python", **env) == kept
        world.made(f"home/.cache/pypoetry/virtualenvs/{name}2")
        assert world.find("poetry run python", **env).doubt == (
            "poetry has several environments of this project"
        )

    def test_other_commands_are_poetrys_own(self, world: World) -> None:
        world.script("bin/poetry", f"#!{world.outer}/bin/python\n")
        assert world.prefix("poetry install") == world.outer
        argv = ["poetry", "run", "python", "x.py"]
        own = list(pythons_of_launchers(argv, cwd=world.deep, env=world.env))
        assert own == [world.outer / "bin/python"]


class TestOthers:
    def test_pdm(self, world: World) -> None:
        other = world.made("other")
        assert world.prefix("pdm run python x.py") == world.own
        assert world.prefix("pdm run x.py", VIRTUAL_ENV=str(other)) == other
        world.write(".pdm-python", f"{other}/bin/python\n")
        assert world.prefix("pdm run -p ../.. python x.py") == other
        assert world.prefix("pdm run python x.py", PDM_IGNORE_SAVED_PYTHON="1") == world.own
        world.write("pyproject.toml", "[tool.pdm.scripts]\ntrain = 'python train.py'\n")
        doubt = world.find("pdm run train").doubt
        assert doubt is not None
        assert "train is a script that the project has for pdm" in doubt

    def test_pipenv(self, world: World) -> None:
        world.write("Pipfile", "[scripts]\ntrain = 'python train.py'\n")
        assert world.prefix("pipenv run python x.py") == world.own
        doubt = world.find("pipenv run train").doubt
        assert doubt is not None
        assert "train is a script that the project has for pipenv" in doubt
        (world.project / ".venv").rename(world.project / "away")
        digest = hashlib.sha256(str(world.project / "Pipfile").encode()).digest()
        name = f"project-{base64.urlsafe_b64encode(digest).decode()[:8]}"
        kept = world.made(f"home/.local/share/virtualenvs/{name}")
        assert world.prefix("pipenv run python x.py") == kept

    def test_hatch(self, world: World) -> None:
        found = world.find("hatch run test:python x.py")
        assert found.doubt is not None
        assert found.doubt.startswith("which environment hatch uses is known only")
        assert found.of_python

    @pytest.mark.parametrize("tool", ["conda", "micromamba"])
    def test_conda(self, world: World, tool: str) -> None:
        root = world.made("root")
        named = world.made("root/envs/named")
        for prefix in (root, named):
            (prefix / "conda-meta").mkdir()
        variable = {"CONDA_EXE": f"{root}/bin/conda", "MAMBA_ROOT_PREFIX": ""}
        if tool == "micromamba":
            variable = {"MAMBA_ROOT_PREFIX": str(root)}
        assert world.prefix(f"{tool} run -n named python x.py", **variable) == named
        assert world.prefix(f"{tool} run -n base python x.py", **variable) == root
        assert world.prefix(f"{tool} run --live-stream -p {named} python x.py") == named
        active = {"CONDA_PREFIX": str(named)}
        assert world.prefix(f"{tool} run python x.py", **active) == named
        assert world.prefix(f"{tool} run -n base python x.py", **active) == root
        assert world.find(f"{tool} run -n none python x.py", **variable).doubt == (
            f"the environment that {tool} uses was not found"
        )

    def test_pixi(self, world: World) -> None:
        world.write("pixi.toml", "[tasks]\ntrain = 'python train.py'\n")
        default, test = (world.made(f"project/.pixi/envs/{name}") for name in ("default", "test"))
        assert world.prefix("pixi run python x.py") == default
        assert world.prefix("pixi run -e test python x.py") == test
        doubt = world.find("pixi run train").doubt
        assert doubt is not None
        assert "train is a script that the project has for pixi" in doubt
        doubt = world.find("pixi run -e none python x.py").doubt
        assert doubt is not None
        assert ".pixi/envs/none, which is not there yet" in doubt


@pytest.mark.parametrize(
    "text", ["[", "project = 1\n", "[tool]\npdm = [1]\n[project]\nname = 3\n", "\xff\x00"]
)
def test_hostile_project_files(world: World, text: str) -> None:
    for name in ("pyproject.toml", "pixi.toml", "Pipfile", ".pdm-python"):
        (world.project / name).write_bytes(text.encode("latin-1"))
    environment = {"POETRY_VIRTUALENVS_IN_PROJECT": "0"}
    for tool in ("uv", "poetry", "pdm", "pipenv", "pixi"):
        assert world.find(f"{tool} run python x.py", **environment) is not None


def test_launchers_without_end(world: World) -> None:
    assert world.find("nice " * 50 + "python x.py").doubt is not None
    assert os.access(world.folder / "bin/nice", os.X_OK)


def test_a_project_file_of_a_stranger_holds_nothing_up(world: World) -> None:
    project = world.project / "pyproject.toml"
    project.unlink()
    os.mkfifo(project)
    began = time.monotonic()
    env = {"POETRY_VIRTUALENVS_IN_PROJECT": "false"}
    world.find("poetry run python x.py", **env)
    project.unlink()
    project.write_text(".".join("a" * 60_000) + " = 1")
    world.find("poetry run python x.py", **env)
    assert time.monotonic() - began < 10
