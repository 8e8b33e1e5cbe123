"""Reading files that strangers wrote: never too much, never a pipe, never too deep."""

import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from gitprov.capture.data.pointers.kind import BrokenPointer

_MAX_YAML_BYTES = 4 << 20
_MAX_DEPTH = 32


def read(path: Path, limit: int) -> bytes:
    """Return the bytes of a file; raises BrokenPointer where it is larger, or no file."""
    with _opened(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise BrokenPointer(f"{path.name} is larger than {limit} bytes")
    return data


def read_if(path: Path, prefix: bytes, limit: int) -> bytes | None:
    """Return the bytes of a file that begins with `prefix`; of any other, no more is read."""
    with _opened(path) as stream:
        head = stream.read(len(prefix))
        return head + stream.read(limit - len(prefix)) if head == prefix else None


def read_yaml(path: Path) -> Any:
    """Return what is in a YAML file: maps, lists, and text for everything else.

    Loaders of PyYAML follow the nesting of a file with the stack of the program, which a file can
    make overflow; events they do not. Aliases are left out: they can multiply.
    """
    import yaml  # noqa: PLC0415 -- start-up: few inputs have such a file

    data = read(path, _MAX_YAML_BYTES)
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    root: list[Any] = []
    open_nodes: list[list[Any]] = [root]
    kinds: list[bool] = [False]
    try:
        for event in yaml.parse(data, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append([])
                kinds.append(isinstance(event, yaml.MappingStartEvent))
                if len(open_nodes) > _MAX_DEPTH:
                    raise BrokenPointer(f"{path.name} is nested too deeply")
            elif isinstance(event, yaml.CollectionEndEvent):
                items = open_nodes.pop()
                open_nodes[-1].append(_map(items) if kinds.pop() else items)
            elif isinstance(event, yaml.ScalarEvent):
                open_nodes[-1].append(event.value)
            elif isinstance(event, yaml.AliasEvent):
                open_nodes[-1].append(None)
    except (yaml.YAMLError, UnicodeError) as error:
        raise BrokenPointer(f"{path.name} is not YAML") from error
    return root[0] if root else None


def text_of(found: Any, key: str) -> str | None:
    """Return the text that a map has under `key`; None where there is none."""
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value else None


def _map(items: list[Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in zip(items[::2], items[1::2], strict=True)
        if isinstance(key, str)
    }


def _opened(path: Path) -> BinaryIO:
    """Open a file, and nothing else: a pipe would never end."""
    stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise BrokenPointer(f"{path.name} is not a file")
    return stream
