"""Reading lock files that strangers wrote: never too deep, and no value of a type or form unseen.

Names, versions, digests and URLs end up in files that installers read. So here is the one place
that says what each may look like; what does not counts as absent.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from gitprov.capture.environments.locks.lock import FileKind, LockedFile
from gitprov.capture.environments.python.distributions import normalised
from gitprov.capture.environments.strangers_toml import parsed
from gitprov.errors import InputError
from gitprov.model.wording import printable

_MAX_DEPTH = 32
_MAX_EVENTS = 1 << 20
_MAX_SIZE = 1 << 62
_PYTHON_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,213}[A-Za-z0-9])?")
_CONDA_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,213}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,127}(?:\.\*)?")
_HASH = re.compile(r"([a-z0-9_]{1,16})[:=]([0-9a-fA-F]{8,128})")
_URL = re.compile(r"[!-~]{1,4096}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,511}")
_CONDA_SUFFIXES = (".conda", ".tar.bz2")
_SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz", ".tar")


def damaged(path: str, reason: str) -> InputError:
    """Return the error for a lock file of which nothing can be made."""
    return InputError(f"{printable(path)} {reason}; make the lock file again with its tool")


def decoded(path: str, data: bytes) -> str:
    """Return the text of a lock file."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise damaged(path, "is not UTF-8") from error


def toml(path: str, data: bytes) -> dict[str, Any]:
    """Return what a TOML file says."""
    text = decoded(path, data)
    try:
        return parsed(text)
    except ValueError as error:
        raise damaged(path, str(error)) from error


def json_map(path: str, data: bytes) -> dict[str, Any]:
    """Return what a JSON file says."""
    try:
        document = json.loads(decoded(path, data))
    except RecursionError as error:
        raise damaged(path, "is nested too deeply") from error
    except ValueError as error:
        raise damaged(path, "is not JSON") from error
    if not isinstance(document, dict):
        raise damaged(path, "is not a map")
    return document


def yaml_map(path: str, data: bytes) -> dict[str, Any]:
    """Return what is in a YAML file: maps, lists, and text for everything else.

    Loaders of PyYAML follow the nesting of a file with the stack of the program, which a file can
    make overflow; events they do not. Aliases are left out: they can multiply.
    """
    import yaml  # noqa: PLC0415 -- start-up: few projects have such a file

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    root: list[Any] = []
    nodes: list[list[Any]] = [root]
    are_maps: list[bool] = [False]
    try:
        for number, event in enumerate(yaml.parse(data, Loader=loader)):
            if isinstance(event, yaml.ScalarEvent):
                nodes[-1].append(event.value)
            elif isinstance(event, yaml.CollectionStartEvent):
                nodes.append([])
                are_maps.append(isinstance(event, yaml.MappingStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                items = nodes.pop()
                nodes[-1].append(_map(items) if are_maps.pop() else items)
            elif isinstance(event, yaml.AliasEvent):
                nodes[-1].append(None)
            if len(nodes) > _MAX_DEPTH or number > _MAX_EVENTS:
                raise damaged(path, "is nested too deeply or has too many parts")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise damaged(path, "is not YAML") from error
    if not root or not isinstance(root[0], dict):
        raise damaged(path, "is not a map")
    return root[0]


def text_of(found: Any, key: str) -> str | None:
    """Return the text that a map has under `key`; None where there is none."""
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value else None


def map_of(found: Any, key: str) -> dict[str, Any]:
    """Return the map that a map has under `key`; an empty one where there is none."""
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def maps_of(found: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield the maps in the list that a map has under `key`."""
    value = found.get(key) if isinstance(found, dict) else None
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield item


def texts_of(found: Any, key: str) -> tuple[str, ...]:
    """Return the texts in the list that a map has under `key`."""
    value = found.get(key) if isinstance(found, dict) else None
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def python_name(text: str | None) -> str | None:
    """Return a distribution's name in the form of PEP 503; None where it cannot be one."""
    return normalised(text) if text and _PYTHON_NAME.fullmatch(text) else None


def conda_name(text: str | None) -> str | None:
    """Return the name of a conda package; None where it cannot be one."""
    return text.lower() if text and _CONDA_NAME.fullmatch(text) else None


def version_of(text: str | None) -> str | None:
    """Return a version, or the beginning of one with `.*`; None where it cannot be one."""
    return text if text and _VERSION.fullmatch(text) else None


def url_of(text: str | None) -> str | None:
    """Return a URL without blanks and control characters; None where it is none."""
    return text if text and ":" in text and _URL.fullmatch(text) else None


def hashes_of(*texts: Any) -> dict[str, str]:
    """Return digests by algorithm from texts such as `sha256:…`."""
    found = (_HASH.fullmatch(text) for text in texts if isinstance(text, str))
    return {match[1]: match[2].lower() for match in found if match}


def digests_of(found: Any) -> dict[str, str]:
    """Return the digests that a map has by algorithm."""
    items = found.items() if isinstance(found, Mapping) else ()
    return hashes_of(*(f"{key}:{value}" for key, value in items if isinstance(key, str)))


def file_of(
    *, name: str | None = None, url: str | None = None, hashes: Mapping[str, str], size: Any = None
) -> LockedFile | None:
    """Return a file by its name, or that in its URL; None where neither can be one."""
    url = url_of(url)
    name = name or (name_in(url) if url else None)
    if not name or not _FILE_NAME.fullmatch(name) or (kind := _kind(name)) is None:
        return None
    return LockedFile(name=name, kind=kind, url=url, hashes=hashes, size=_size(size))


def name_in(url: str) -> str:
    """Return the name of the file at a URL, or at a path."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.replace("\\", "/").rpartition("/")[2])


def conda_file(name: str) -> tuple[str, str, str] | None:
    """Return name, version and build from the name of a conda package's file."""
    for suffix in _CONDA_SUFFIXES:
        if name.endswith(suffix):
            parts = name.removesuffix(suffix).rsplit("-", 2)
            return (parts[0], parts[1], parts[2]) if len(parts) == len(("n", "v", "b")) else None
    return None


def _kind(name: str) -> FileKind | None:
    lower = name.lower()
    if lower.endswith(".whl"):
        return "wheel"
    if lower.endswith(".conda"):
        return "conda"
    return "sdist" if lower.endswith(_SDIST_SUFFIXES) else None


def _size(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
        return int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value < _MAX_SIZE else None


def _map(items: list[Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in zip(items[::2], items[1::2], strict=True)
        if isinstance(key, str)
    }
