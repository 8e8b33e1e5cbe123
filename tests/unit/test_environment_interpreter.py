"""Which interpreter a command runs under: names, links, scripts of every form, options."""

import os
import sys
import venv
from pathlib import Path

import pytest

from gitprov.capture.environments.commands.interpreter import find_interpreter
from gitprov.capture.environments.commands.shebang import is_python


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("environments")
    for name in ("one", "two"):
        venv.EnvBuilder(symlinks=True).create(folder / name)
    return folder / "one", folder / "two"


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "name",
    ["python", "python3", "python3.12", "python3.13t", "pypy3", "pypy3.10", "/opt/x/bin/python"],
)
def test_names_of_interpreters(name: str) -> None:
    assert is_python(name)


@pytest.mark.parametrize("name", ["ipython", "python3-config", "bash", "pythonic", ""])
def test_names_of_other_programs(name: str) -> None:
    assert not is_python(name)


def test_the_first_python_on_path_is_the_commands(environments: tuple[Path, Path]) -> None:
    one, two = environments
    for first, second in ((one, two), (two, one)):
        env = {"PATH": f"{first}/bin:{second}/bin"}
        found = find_interpreter(["python", "train.py"], cwd=Path("/"), env=env)
        assert found is not None
        assert found.path == first / "bin/python"
        assert found.doubt is None


def test_the_link_of_a_virtual_environment_is_kept(environments: tuple[Path, Path]) -> None:
    one, two = environments
    for name in ("one/bin/python", "./one/bin/python", str(one / "bin/python")):
        found = find_interpreter([name], cwd=one.parent, env={"PATH": f"{two}/bin"})
        assert found is not None
        assert found.path == one / "bin/python"
        assert found.path.is_symlink()


FORMS = {
    "plain": "#!{python}\n",
    "options": "#! {python} -u\n",
    "env": "#!/usr/bin/env python3\n",
    "env -S": "#!/usr/bin/env -S python3 -u\n",
    "env -S glued": "#!/usr/bin/env -Spython3 -u\n",
    "env -S assignments": "#!/usr/bin/env -S -i A=1 python3\n",
    "pip": "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
    "distlib": "#!/bin/sh\n'''exec' {python} -E \"$0\" \"$@\"\n' '''\n",
    "uv relocatable": (
        "#!/bin/sh\n"
        '\'\'\'exec\' "$(dirname -- "$(realpath -- "$0")")"/\'python3\' "$0" "$@"\n'
        "' '''\n"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_scripts_name_their_python(environments: tuple[Path, Path], form: str) -> None:
    one, two = environments
    # In the folder of the first environment and started by name, with the second one's python
    # next in line: only the script itself tells.
    python = one / "bin/python3"
    path = script(one / "bin/tool", FORMS[form].format(python=python) + "import sys\n")
    found = find_interpreter(["tool"], cwd=Path("/"), env={"PATH": f"{one}/bin:{two}/bin"})
    assert found is not None
    assert found.path == python
    assert found.doubt is None
    assert found.options == (("-E",) if form == "distlib" else ())
    path.unlink()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nexec python3 train.py\n", "the command is not a Python program"),
        ("#!/usr/bin/env bash\n", "the command is not a Python program"),
        ("#!\n", "the command is not a Python program"),
        ("#!/nowhere/python3\n", "the command asks for /nowhere/python3, which is not there"),
        ("\x7fELF", "the command is not a Python program"),
    ],
)
def test_other_programs_fall_back_to_the_python_on_path_and_say_so(
    tmp_path: Path, environments: tuple[Path, Path], text: str, reason: str
) -> None:
    script(tmp_path / "tool", text)
    found = find_interpreter(["./tool"], cwd=tmp_path, env={"PATH": f"{environments[0]}/bin"})
    assert found is not None
    assert found.path == environments[0] / "bin/python3"
    assert found.doubt == f"{reason}; the packages are those of the python3 on PATH"


@pytest.mark.parametrize("argv", [[], ["nothing"], ["./nothing"], ["a\0b"], ["/"]])
def test_a_command_that_is_not_there(environments: tuple[Path, Path], argv: list[str]) -> None:
    found = find_interpreter(argv, cwd=Path("/"), env={"PATH": f"{environments[0]}/bin"})
    assert found is not None
    assert found.doubt is not None
    assert found.doubt.startswith("the command was not found")


def test_no_python_at_all(tmp_path: Path) -> None:
    assert find_interpreter(["python"], cwd=tmp_path, env={"PATH": str(tmp_path)}) is None


def test_what_cannot_be_executed_is_passed_over(
    tmp_path: Path, environments: tuple[Path, Path]
) -> None:
    (tmp_path / "python").write_text("not executable")
    (tmp_path / "python3").mkdir()
    env = {"PATH": f"{tmp_path}{os.pathsep}{environments[1]}/bin"}
    for name in ("python", "python3"):
        found = find_interpreter([name], cwd=tmp_path, env=env)
        assert found is not None
        assert found.path == environments[1] / "bin" / name


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["train.py", "-E"], ()),
        (["-u", "-s", "train.py"], ("-s",)),
        (["-Es", "train.py"], ("-E", "-s")),
        (["-I", "-m", "train", "-S"], ("-I",)),
        (["-W", "-s", "train.py"], ()),
        (["-Werror", "-X", "dev", "-E", "-c", "pass"], ("-E",)),
        (["-", "-s"], ()),
        ([], ()),
    ],
)
def test_options_that_change_what_is_seen(arguments: list[str], options: tuple[str, ...]) -> None:
    found = find_interpreter([sys.executable, *arguments], cwd=Path("/"), env={})
    assert found is not None
    assert found.options == options
