"""`.gitprov.toml` at the top of the work tree: what a project tells gitprov, for all its clones.

Read strictly: a name that is not known is refused with the nearest one that is, so that a slip of
the pen does not pass for a setting.
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from gitprov.errors import InputError

SETTINGS_FILE = ".gitprov.toml"

_MAX_BYTES = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsSection:
    """`[secrets]`: what is not to be taken for a secret; see `gitprov.capture.secrets.allowed`."""

    allow_paths: tuple[str, ...] = ()
    allow_patterns: tuple[str, ...] = ()
    allow_kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSection:
    """`[environment]`: what is recorded of it beside that which always is.

    `record` are variables; `system_packages` asks for the packages of the operating system.
    """

    record: tuple[str, ...] = ()
    system_packages: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The file; each section by its name, each key with `-` for `_`."""

    secrets: SecretsSection = field(default_factory=SecretsSection)
    environment: EnvironmentSection = field(default_factory=EnvironmentSection)


def read_settings(top: Path | None) -> Settings:
    """Return the settings of a work tree, the defaults where it has no such file.

    Raises InputError, with the place in the file, where it cannot be read or understood.
    """
    if top is None or (data := _content(top / SETTINGS_FILE)) is None:
        return Settings()
    # Late: most work trees have no such file, and every run comes by here.
    import tomllib  # noqa: PLC0415

    try:
        document = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise settings_error(str(error)) from error
    sections = {"secrets": SecretsSection, "environment": EnvironmentSection}
    _require_known(document, sections, "section")
    return Settings(**{
        name: _section(sections[name], name, values) for name, values in document.items()
    })  # fmt: skip


def settings_error(problem: str) -> InputError:
    """Return the error that says what is wrong in the file."""
    return InputError(f"{SETTINGS_FILE}: {problem}")


def _content(path: Path) -> bytes | None:
    """Return what the file holds, None where there is none."""
    try:
        # Not blocking: a named pipe must not hold up a run.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{SETTINGS_FILE} cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"{SETTINGS_FILE} is not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            data = stream.read(_MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > _MAX_BYTES:
        raise InputError(f"{SETTINGS_FILE} is larger than 1 MiB")
    return data


def _section(kind: type[T], name: str, values: object) -> T:
    if not isinstance(values, dict):
        raise settings_error(f"{name} is a section: write [{name}]")
    known = {item.name.replace("_", "-"): item for item in fields(kind)}  # type: ignore[arg-type]
    _require_known(values, known, f"key of [{name}]")
    found = {}
    for key, value in values.items():
        read = _flag if isinstance(known[key].default, bool) else _texts
        found[known[key].name] = read(f"{name}.{key}", value)
    return kind(**found)


def _flag(place: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise settings_error(f"{place} is true or false")
    return value


def _texts(place: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise settings_error(f'{place} is a list of texts, as in ["one", "two"]')
    if "" in value:
        raise settings_error(f"{place} holds an empty text, which would match everything")
    return tuple(value)


def _require_known(found: Mapping[str, Any], known: Mapping[str, Any], what: str) -> None:
    for name in found:
        if name not in known:
            # Late: only a mistake needs it.
            from difflib import get_close_matches  # noqa: PLC0415

            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}"
            raise settings_error(f"{name} is no {what}; {hint}")
