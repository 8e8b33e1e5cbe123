"""Tools that run a command in an environment which they keep for a project: uv, Poetry, conda, ….

Each function follows the documented rules of its tool as far as they need no program; where the
tool may decide otherwise, or makes the environment as it starts, the command that is returned says
so in its doubts. Settings in the tools' own configuration files are not looked at.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gitprov.capture.environments.commands.launching import (
    Command,
    Launcher,
    Options,
    above,
    is_on,
    options_before,
)
from gitprov.capture.environments.plain_files import text_or_nothing
from gitprov.capture.environments.python.distributions import normalised

_UV = (
    "--cache-dir --color --allow-insecure-host --directory --project --config-file -p --python "
    "--env-file --extra --no-extra --group --no-group --only-group --package -w --with "
    "--with-editable --with-requirements --index --default-index -i --index-url --extra-index-url "
    "-f --find-links --index-strategy --keyring-provider -P --upgrade-package --upgrade-group "
    "--resolution --prerelease --prerelease-package --fork-strategy --exclude-newer "
    "--exclude-newer-package --no-sources-package --reinstall-package --link-mode -C "
    "--config-setting --config-settings-package --no-build-isolation-package --no-build-package "
    "--no-binary-package --refresh-package --python-platform --no-editable-package"
)
# Options by which uv run leaves the project's environment, or changes it.
_UV_ELSEWHERE = (
    "--with", "-w", "--with-editable", "--with-requirements", "--isolated", "--python", "-p"
)  # fmt: skip
_INLINE = re.compile(rb"^# /// script\s*$", re.MULTILINE)  # PEP 723
_HEAD_BYTES = 64 << 10
_UNSAFE = re.compile(r'[ $`!*@"\\\r\n\t]')


def _run(command: Command, before: str, after: str, *names: str) -> Options | None:
    """Return the options of `TOOL [OPTIONS] run [OPTIONS] COMMAND`, and that command."""
    outer = options_before(command.argv[1:], before)
    if not outer.rest or outer.rest[0] not in ("run", *names):
        return None
    inner = options_before(outer.rest[1:], after)
    return Options(outer.given + inner.given, inner.rest) if inner.rest else None


def _uv(command: Command) -> Command | None:
    found = _run(command, _UV, _UV)
    if found is None:
        return None
    cwd = command.cwd / (found.value("--directory") or "")
    target = found.rest[0]
    if found.has("-m", "--module"):
        argv = ("python", "-m", *found.rest)
    elif target == "-" or target.endswith((".py", ".pyc")) or found.has("-s", "--script"):
        argv = ("python", *found.rest)
    else:
        argv = found.rest
    inner = replace(command, argv=argv, cwd=cwd, for_python=True)
    elsewhere = [name for name in _UV_ELSEWHERE if found.has(name)]
    if elsewhere:
        inner = inner.doubting(f"uv run {elsewhere[0]} may make another environment")
    if argv[0] == "python" and _has_inline_metadata(cwd / target):
        inner = inner.doubting(f"uv makes an environment for what {target} says that it needs")
    prefix = _uv_prefix(found, cwd, command.env)
    return _in_virtual(inner, "uv", prefix)


def _uv_prefix(found: Options, cwd: Path, env: Mapping[str, str]) -> Path | None:
    start = cwd / (found.value("--project") or env.get("UV_PROJECT") or "")
    active = env.get("VIRTUAL_ENV") or env.get("CONDA_PREFIX")
    root = above(start, "pyproject.toml")
    if found.has("--no-project") or is_on(env.get("UV_NO_PROJECT")):
        root = None
    if root is not None:
        if found.has("--active") and active:
            return cwd / active
        # A member of a workspace has the environment of that.
        for place in root.parents:
            if b"[tool.uv.workspace" in _head(place / "pyproject.toml"):
                root = place
                break
        return root / (env.get("UV_PROJECT_ENVIRONMENT") or ".venv")
    if active:
        return cwd / active
    found_above = above(cwd, ".venv")
    return found_above / ".venv" if found_above else None


def _has_inline_metadata(script: Path) -> bool:
    return _INLINE.search(_head(script)) is not None


def _head(file: Path) -> bytes:
    try:
        if not file.is_file():
            return b""
        with file.open("rb") as opened:
            return opened.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return b""


def _in_virtual(command: Command, tool: str, prefix: Path | None) -> Command:
    """Return a command in the virtual environment of a tool, with a doubt where it is not there."""
    if prefix is None:
        return command.doubting(f"the environment that {tool} uses was not found")
    if not (prefix / "pyvenv.cfg").is_file() and not (prefix / "conda-meta").is_dir():
        return command.doubting(f"{tool} uses {prefix}, which is not there yet")
    return command.within(prefix)


def _poetry(command: Command) -> Command | None:
    options = "-C --directory -P --project"
    found = _run(command, options, options)
    if found is None:
        return None
    cwd = command.cwd / (found.value("-C", "--directory") or "")
    start = command.cwd / (found.value("-P", "--project") or cwd)
    inner = replace(command, argv=found.rest, cwd=cwd, for_python=True)
    root = above(start, "pyproject.toml")
    places = _poetry_places(root, command.env) if root else []
    active = _active(command.env)
    if active is not None:
        places = [active]
    if len(places) > 1:
        inner = inner.doubting("poetry has several environments of this project")
    return _in_virtual(inner, "poetry", places[0] if places else None)


def _poetry_places(root: Path, env: Mapping[str, str]) -> list[Path]:
    """Return where Poetry's environments of a project are: in it, or else in Poetry's cache."""
    if env.get("POETRY_VIRTUALENVS_IN_PROJECT", "").lower() not in ("false", "0"):
        own = root / ".venv"
        if own.is_dir():
            return [own]
    home = Path(env.get("HOME", "/"))
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "pypoetry"
    cache = Path(env.get("POETRY_CACHE_DIR") or cache)
    folder = Path(env.get("POETRY_VIRTUALENVS_PATH") or cache / "virtualenvs")
    project = _toml(root / "pyproject.toml")
    name = _text(project, "project", "name") or _text(project, "tool", "poetry", "name")
    name = _UNSAFE.sub("_", normalised(name or "non-package-mode"))[:42]
    return sorted(_matching(folder, f"{name}-{_short_hash(str(root.resolve()))}-py"))


def _matching(folder: Path, beginning: str) -> Iterator[Path]:
    try:
        for place in folder.iterdir():
            if place.name.startswith(beginning) and place.is_dir():
                yield place
    except OSError:
        return


def _short_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return base64.urlsafe_b64encode(digest).decode()[:8]


def _active(env: Mapping[str, str]) -> Path | None:
    """Return the environment that is active, but for conda's base, which tools leave alone."""
    active = env.get("VIRTUAL_ENV") or env.get("CONDA_PREFIX")
    return Path(active) if active and env.get("CONDA_DEFAULT_ENV") != "base" else None


def _toml(file: Path) -> Mapping[str, Any]:
    # Late: only who uses such a tool needs it.
    from gitprov.capture.environments.strangers_toml import parsed  # noqa: PLC0415

    try:
        return parsed(text_or_nothing(file))
    except ValueError:
        return {}


def _table(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _text(document: Mapping[str, Any], *names: str) -> str | None:
    found = _table(document, *names[:-1]).get(names[-1])
    return found if isinstance(found, str) else None


def _without_scripts(command: Command, tool: str, scripts: Iterable[str]) -> Command:
    """Return the same, with a doubt where the command is one that the project defines."""
    if command.argv[0] in scripts:
        return command.doubting(f"{command.argv[0]} is a script that the project has for {tool}")
    return command


def _pdm(command: Command) -> Command | None:
    found = _run(command, "-c --config", "-p --project --venv")
    if found is None:
        return None
    env = command.env
    inner = replace(command, argv=found.rest, for_python=True)
    start = command.cwd / (found.value("-p", "--project") or env.get("PDM_PROJECT") or "")
    root = above(start, "pyproject.toml")
    if root is None or found.has("--venv", "-g", "--global"):
        return inner.doubting("which environment pdm uses was not found out")
    if found.rest[0].endswith(".py"):
        inner = replace(inner, argv=("python", *found.rest))
    scripts = _table(_toml(root / "pyproject.toml"), "tool", "pdm", "scripts")
    inner = _without_scripts(inner, "pdm", scripts)
    saved = _head(root / ".pdm-python").decode("utf-8", "replace").strip()
    if saved and not is_on(env.get("PDM_IGNORE_SAVED_PYTHON")):
        prefix = Path(saved).parent.parent
        if (prefix / "pyvenv.cfg").is_file():
            return inner.within(prefix)
        return inner.within(prefix).doubting("pdm may keep the packages in __pypackages__")
    active = None if is_on(env.get("PDM_IGNORE_ACTIVE_VENV")) else _active(env)
    return _in_virtual(inner, "pdm", active or root / ".venv")


def _pipenv(command: Command) -> Command | None:
    found = _run(command, "--python", "")
    if found is None:
        return None
    env = command.env
    inner = replace(command, argv=found.rest, for_python=True)
    root = above(command.cwd, "Pipfile")
    pipfile = Path(env["PIPENV_PIPFILE"]) if env.get("PIPENV_PIPFILE") else None
    if pipfile is None and root is not None:
        pipfile = root / "Pipfile"
    if pipfile is None:
        return inner.doubting("which environment pipenv uses was not found out")
    inner = _without_scripts(inner, "pipenv", _table(_toml(pipfile), "scripts"))
    if not is_on(env.get("PIPENV_IGNORE_VIRTUALENVS")) and env.get("VIRTUAL_ENV"):
        return _in_virtual(inner, "pipenv", Path(env["VIRTUAL_ENV"]))
    project = pipfile.parent
    own = project / ".venv"
    if own.is_dir() or is_on(env.get("PIPENV_VENV_IN_PROJECT")):
        return _in_virtual(inner, "pipenv", own)
    home = Path(env.get("HOME", "/"))
    data = Path(env.get("XDG_DATA_HOME") or home / ".local/share") / "virtualenvs"
    folder = Path(env.get("WORKON_HOME") or data)
    name = env.get("PIPENV_CUSTOM_VENV_NAME") or (
        f"{_UNSAFE.sub('_', project.name)[:42]}-{_short_hash(str(pipfile))}"
    )
    return _in_virtual(inner, "pipenv", folder / name)


def _hatch(command: Command) -> Command | None:
    found = _run(command, "-e --env -p --project --data-dir --cache-dir --config", "")
    if found is None:
        return None
    first = found.rest[0].rpartition(":")[2]
    inner = replace(command, argv=(first, *found.rest[1:]), for_python=True)
    return inner.doubting("which environment hatch uses is known only once it has started")


def _conda(command: Command) -> Command | None:
    options = "-n --name -p --prefix -r --root-prefix --cwd -e --env -a --attach --label"
    found = _run(command, options, options)
    if found is None:
        return None
    env, tool = command.env, Path(command.argv[0]).name
    cwd = command.cwd / (found.value("--cwd") or "")
    inner = replace(command, argv=found.rest, cwd=cwd)
    if found.has("--clean-env"):
        inner = inner.doubting(f"{tool} --clean-env leaves out variables")
    prefix: Path | None = None
    if path := found.value("-p", "--prefix"):
        prefix = command.cwd / path
    elif name := found.value("-n", "--name"):
        prefix = next((place for place in _conda_places(name, command) if place.is_dir()), None)
    elif active := env.get("CONDA_PREFIX"):
        prefix = Path(active)
    if prefix is None or not prefix.is_dir():
        return inner.doubting(f"the environment that {tool} uses was not found")
    return inner.within(prefix, "CONDA_PREFIX")


def _conda_places(name: str, command: Command) -> Iterator[Path]:
    """Yield where an environment of conda may be, by its name."""
    if "/" in name:
        yield command.cwd / name
        return
    env, home = command.env, Path(command.env.get("HOME", "/"))
    roots = [Path(env[name]) for name in ("MAMBA_ROOT_PREFIX",) if env.get(name)]
    roots += [Path(env[name]).parent.parent for name in ("CONDA_EXE", "MAMBA_EXE") if env.get(name)]
    if "/" in command.argv[0]:
        roots.append((command.cwd / command.argv[0]).parent.parent)
    if current := env.get("CONDA_PREFIX"):
        own = Path(current)
        roots.append(own.parent.parent if own.parent.name == "envs" else own)
    if name in ("base", "root"):
        yield from roots
        return
    folders = (env.get("CONDA_ENVS_PATH") or env.get("CONDA_ENVS_DIRS") or "").split(":")
    for folder in filter(None, folders):
        yield Path(folder) / name
    for root in roots:
        yield root / "envs" / name
    yield home / ".conda" / "envs" / name


def _pixi(command: Command) -> Command | None:
    options = "-e --environment --manifest-path -m --color -p --platform --auth-file --config-file"
    found = _run(command, options, options, "r")
    if found is None:
        return None
    inner = replace(command, argv=found.rest)
    start = command.cwd
    if manifest := found.value("--manifest-path", "-m"):
        given = command.cwd / manifest
        start = given if given.is_dir() else given.parent
    root = above(start, "pixi.toml", ".pixi")
    if root is None:
        return inner.doubting("the environment that pixi uses was not found")
    if not found.has("--executable", "-x"):
        project = _toml(root / "pixi.toml")
        tasks = {**_table(project, "tasks")}
        tasks |= _table(_toml(root / "pyproject.toml"), "tool", "pixi", "tasks")
        inner = _without_scripts(inner, "pixi", tasks)
    name = found.value("-e", "--environment") or "default"
    prefix = root / ".pixi" / "envs" / name
    if not prefix.is_dir():
        return inner.doubting(f"pixi uses {prefix}, which is not there yet")
    return inner.within(prefix, "CONDA_PREFIX")


MANAGERS: Mapping[str, Launcher] = {
    "conda": _conda,
    "hatch": _hatch,
    "mamba": _conda,
    "micromamba": _conda,
    "pdm": _pdm,
    "pipenv": _pipenv,
    "pixi": _pixi,
    "poetry": _poetry,
    "uv": _uv,
}
