"""An environment on a page, or as JSON: what a person asks for first stands on top, lists last."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gitprov.codec.documents import to_document
from gitprov.model.environment import (
    Editable,
    Environment,
    Machine,
    Package,
    PythonEnvironment,
)
from gitprov.model.environment_wording import (
    commit_text,
    container_text,
    disagreement_text,
    interpreter_text,
    origin_text,
    word,
)
from gitprov.model.ids import short
from gitprov.model.run import Run
from gitprov.model.wording import plural, size_text
from gitprov.views.data import table
from gitprov.views.style import Style

_MISSING = "environment."


def summary(environment: Environment) -> str:
    """Return `CPython 3.11.7 (venv), 42 packages; 12 of conda`: an environment in a few words."""
    parts = []
    if environment.python is not None:
        python = environment.python
        count = plural(len(python.packages), "package")
        parts.append(f"{interpreter_text(python.interpreter)}, {count}")
    if environment.conda is not None:
        parts.append(f"{len(environment.conda.packages)} of conda")
    for language, installed in environment.languages.items():
        version = f" {word(installed.version)}" if installed.version else ""
        parts.append(f"{word(language)}{version}, {plural(len(installed.packages), 'package')}")
    return "; ".join(parts) or "nothing known to be installed"


def environment_page(
    run: Run,
    environment: Environment,
    style: Style,
    *,
    problems: Sequence[str] = (),
    everything: bool = False,
) -> Iterator[str]:
    """Yield the lines of a page; `everything` lists what is otherwise only counted."""
    yield f"{style.id(f'run {short(run.id)}')}  {summary(environment)}"
    for problem in problems:
        yield f"  {style.bad('not shown:')} {word(problem)}"
    sections: Mapping[str, Iterable[Sequence[str]]] = {
        "Python": _python(environment.python),
        "Not whole": _broken(environment),
        "Lock files": _locks(environment, style),
        "Editable": _editables(environment),
        "Other interpreters": _others(environment),
        "System": _system(environment),
        "Machine": _machine(environment.machine, everything=everything),
        "Linear algebra": _linear_algebra(environment),
        "Variables": [(word(name), word(value)) for name, value in run.command.env.items()],
        "Missing": _missing(run),
        "Packages": package_rows(environment),
        **_lists(environment, everything=everything),
    }
    for title, rows in sections.items():
        yield from _section(title, list(rows), style)


def _section(title: str, rows: list[Sequence[str]], style: Style) -> Iterator[str]:
    if rows:
        yield ""
        yield style.label(title)
        yield from (f"  {line}" for line in table(rows))


def package_rows(environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Yield name, version and what else is to be said of each Python package."""
    python = environment.python
    states = {item.name: item for item in environment.editables}
    for package in python.packages if python else ():
        note = _note(package, states.get(package.name))
        yield word(package.name), word(package.version), note


def _note(package: Package, state: Editable | None) -> str:
    if package.editable:
        return f"editable, {_state(state)}" if state else "editable"
    return f"from {origin_text(package.origin)}" if package.origin else ""


def _state(item: Editable) -> str:
    if item.is_source:
        return "the repository of the run"
    if item.commit is None:
        return f"{word(item.path)}, in no commit"
    return f"{word(item.path)} at {commit_text(item.commit, dirty=item.dirty)}"


def _python(python: PythonEnvironment | None) -> Iterator[Sequence[str]]:
    if python is None:
        return
    interpreter = python.interpreter
    yield "version", interpreter_text(interpreter)
    for name, value in (
        ("executable", interpreter.executable),
        ("prefix", interpreter.prefix),
        ("ABI", interpreter.soabi),
        ("platform", interpreter.platform),
    ):
        if value:
            yield name, word(value)
    editable = sum(package.editable for package in python.packages)
    versioned = sum(
        package.origin is not None and package.origin.vcs is not None for package in python.packages
    )
    words = [str(len(python.packages))]
    words += [f"{editable} editable"] if editable else []
    words += [f"{versioned} from version control"] if versioned else []
    words += [f"{len(python.broken)} not whole"] if python.broken else []
    yield "packages", ", ".join(words)


def _broken(environment: Environment) -> Iterator[Sequence[str]]:
    for part in (environment.python, environment.conda):
        for item in part.broken if part else ():
            yield word(item.entry), word(item.reason)


def _locks(environment: Environment, style: Style) -> Iterator[Sequence[str]]:
    """Yield lock files, each with where it says something else than is installed."""
    said: dict[str, list[str]] = {}
    for item in environment.disagreements:
        said.setdefault(item.lock, []).append(disagreement_text(item))
    for path, data in environment.locks.items():
        lines = said.pop(path, [])
        if lines:
            state = style.bad(f"says something else of {plural(len(lines), 'package')}")
        elif path in environment.compared:
            state = style.good("no disagreement with what is installed")
        else:
            state = "not compared"
        yield word(path), size_text(len(data)), state
        yield from (("", "", line) for line in lines)
    for lines in said.values():  # of a lock that was left out
        yield from (("", "", line) for line in lines)


def _editables(environment: Environment) -> Iterator[Sequence[str]]:
    for item in environment.editables:
        yield word(item.name), _state(item)


def _others(environment: Environment) -> Iterator[Sequence[str]]:
    for name, python in environment.others.items():
        packages = plural(len(python.packages), "package")
        executable = python.interpreter.executable or name
        yield interpreter_text(python.interpreter), packages, word(executable)


def _system(environment: Environment) -> Iterator[Sequence[str]]:
    if environment.container is not None:
        container = environment.container
        yield "container", container_text(container)
        for name, value in container.labels.items():
            yield f"label {word(name)}", word(value)
    for name, value in environment.system.items():
        yield word(name), word(value)
    if environment.system_packages is not None:
        packages = environment.system_packages
        yield "packages", f"{len(packages.packages)} of {word(packages.manager)}"


def _machine(machine: Machine | None, *, everything: bool) -> Iterator[Sequence[str]]:
    if machine is None:
        return
    if machine.cpu:
        yield "cpu", word(machine.cpu)
    if machine.memory_bytes is not None:
        yield "memory", size_text(machine.memory_bytes)
    for device in machine.accelerators:
        driver = f" (driver {device.driver})" if device.driver else ""
        yield "accelerator", word(f"{device.name}{driver}")
    for name, version in machine.toolkits.items():
        yield word(name), word(version)
    if machine.flags:
        flags = " ".join(machine.flags) if everything else ""
        yield "cpu flags", " ".join(map(word, flags.split())) or str(len(machine.flags))


def _linear_algebra(environment: Environment) -> Iterator[Sequence[str]]:
    for item in environment.linear_algebra:
        version = f" {item.version}" if item.version else ""
        yield word(item.user), word(f"{item.library}{version}")


def _missing(run: Run) -> Iterator[Sequence[str]]:
    for name, reason in run.missing.items():
        if name.startswith(_MISSING):
            yield word(name.removeprefix(_MISSING)), word(reason)


def _lists(environment: Environment, *, everything: bool) -> Mapping[str, Iterable[Sequence[str]]]:
    """Return the lists of packages besides Python's."""
    lists: dict[str, Iterable[Sequence[str]]] = {}
    if environment.conda is not None:
        lists[f"Conda packages in {word(environment.conda.prefix)}"] = [
            (word(item.name), word(item.version), word(item.build), word(item.channel or ""))
            for item in environment.conda.packages
        ]
    for language, installed in environment.languages.items():
        lists[f"{word(language)} packages"] = [
            (word(item.name), word(item.version), word(item.source or ""))
            for item in installed.packages
        ]
    if everything:
        for python in environment.others.values():
            title = interpreter_text(python.interpreter)
            lists[f"Packages of {title}, {word(python.interpreter.executable or '')}"] = [
                (word(item.name), word(item.version)) for item in python.packages
            ]
        if environment.system_packages is not None:
            lists["System packages"] = [
                (word(item.name), word(item.version), word(item.architecture or ""))
                for item in environment.system_packages.packages
            ]
    return lists


def environment_document(
    run: Run, environment: Environment, problems: Sequence[str] = ()
) -> dict[str, Any]:
    """Return an environment for JSON; of lock files the size and digest (docs/environments.md)."""
    document = to_document(environment)
    document["run"] = run.id
    if run.environment is not None:
        document["digest"] = run.environment.digest
    document["variables"] = dict(run.command.env)
    document["locks"] = [
        {
            "path": path,
            "size": len(data),
            "digest": {"sha256": hashlib.sha256(data).digest()},
        }
        for path, data in environment.locks.items()
    ]
    document["missing"] = {
        name.removeprefix(_MISSING): reason
        for name, reason in run.missing.items()
        if name.startswith(_MISSING)
    }
    document["problems"] = list(problems)
    return document
