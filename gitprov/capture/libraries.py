"""What fsspec and pyarrow read and write by themselves: remote data, and files opened in C++.

A line is put before the first of some of their functions, which raises an audit event of ours; the
functions stay the objects that they are, at the lines where they are, so that a program cannot
tell, not even by a traceback. Only libraries that the program imports are touched.

This file stands alone, as `reads.py` does, and is loaded by programs that import one of them.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from _io import open as _open  # that of the builtins may be replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import CodeType, FunctionType, ModuleType
    from typing import Any

_EVENT = "gitprov.called"
# The functions of each module, by the ends of the names of their files, and what a call says.
_MODULES = {
    "fsspec/spec.py": (
        "fsspec.spec",
        {"AbstractFileSystem.open": "open", "AbstractFileSystem.__init__": "made"},
    ),
    "pyarrow/parquet/core.py": (
        "pyarrow.parquet.core",
        {
            "read_table": "read", "read_metadata": "read", "read_schema": "read",
            "ParquetFile.__init__": "read", "ParquetDataset.__init__": "read",
            "ParquetWriter.__init__": "wrote",
        },
    ),
    "pyarrow/dataset.py": (
        "pyarrow.dataset",
        {"dataset": "read", "parquet_dataset": "read", "write_dataset": "wrote below"},
    ),
    "pyarrow/feather.py": (
        "pyarrow.feather", {"read_table": "read", "write_feather": "wrote"},
    ),
}  # fmt: skip
# Methods of fsspec's file systems that move whole objects, and where the remote path stands.
_MOVES = {
    "_cat_file": ("cat", 1), "cat_file": ("cat", 1),
    "_get_file": ("cat", 1), "get_file": ("cat", 1),
    "_pipe_file": ("pipe", 1), "pipe_file": ("pipe", 1),
    "_put_file": ("pipe", 2), "put_file": ("pipe", 2),
}  # fmt: skip
# File systems of which the process's own files and memory are seen otherwise, or never again.
_NOT_REMOTE = frozenset(
    "asynclocal async_wrapper blockcache cached data dir file filecache generic git libarchive"
    " local memory reference simplecache tar zip".split()
)
_PLACES = ("source", "where", "path_or_paths", "metadata_path", "base_dir", "dest")
_ARROW_SCHEMES = {"s3": "s3", "gcs": "gs", "hdfs": "hdfs", "abfs": "abfs"}
_HOSTED = frozenset({"ftp", "sftp", "smb", "ssh"})
_MAX_LINES = 2000
_USER = re.compile(r"^([A-Za-z0-9+.-]+://)[^/?#]*@")
_SECRET = re.compile(
    r"[^=]*(?:sig|key|token|secret|credential|passw|pwd|auth)[^=]*=", re.IGNORECASE
)


class Libraries:
    """Has the libraries tell an observer what they read and write."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._classes: set[type] = set()
        observer.listen(_EVENT, self._on_call)

    def loading(self, file: str) -> None:
        """Take it that the module of a file is about to be executed."""
        file = file.replace(os.sep, "/")
        for end, (name, functions) in _MODULES.items():
            if file.endswith(f"/{end}") and name in sys.modules:
                self._await(sys.modules[name], functions)

    def _await(self, module: ModuleType, functions: Mapping[str, str]) -> None:
        _when_loaded(module, lambda: self._loaded(module, functions))

    def _loaded(self, module: ModuleType, functions: Mapping[str, str]) -> None:
        if sys.modules.get(module.__name__) is not module:  # its import has failed
            return
        with self._observer.paused():
            try:
                for name, what in functions.items():
                    owner, _, attribute = name.rpartition(".")
                    holder = getattr(module, owner) if owner else module
                    _announce(vars(holder)[attribute], owner, what)
            except BaseException as error:  # noqa: BLE001
                reason = f"this version of {module.__name__} cannot be observed"
                self._observer.failed(error, reason)

    def _on_call(self, what: str, values: dict[str, Any]) -> None:
        if what == "open":
            mode = values["mode"]
            verb = "wrote" if mode.startswith(("w", "x", "a")) else "read"
            self._note_remote(verb, values["self"], values["path"])
        elif what == "made":
            self._watch_moves(type(values["self"]))
        elif what.startswith(("cat", "pipe")):
            verb, place = what.split()
            arguments = list(values.values())
            self._note_remote(
                "read" if verb == "cat" else "wrote", arguments[0], arguments[int(place)]
            )
        else:
            self._note_arrow(what, values)

    def _watch_moves(self, kind: type) -> None:
        """Have the methods of a class of file systems tell what they move."""
        for owner in kind.__mro__:
            if owner in self._classes or owner.__module__ == "fsspec.spec" or owner is object:
                continue
            self._classes.add(owner)
            for name, (verb, place) in _MOVES.items():
                method: Any = vars(owner).get(name)
                while hasattr(method, "__wrapped__"):
                    method = method.__wrapped__
                if hasattr(method, "__code__"):
                    try:
                        _announce(method, owner.__name__, f"{verb} {place}")
                    except (ValueError, OSError, SyntaxError) as error:
                        reason = f"this version of {owner.__module__} is not observed"
                        self._observer.failed(error, reason)

    def _note_remote(self, verb: str, system: Any, path: Any) -> None:
        protocols = system.protocol
        protocol = protocols if isinstance(protocols, str) else protocols[0]
        if protocol not in _NOT_REMOTE and isinstance(path, (str, os.PathLike)):
            self._note_uri(verb, _uri(system, protocol, os.fspath(path)))

    def _note_uri(self, verb: str, uri: str) -> None:
        """Tell of a URI, without the secrets that it may have: it lies on disk until the end."""
        uri = _USER.sub(r"\1", uri)
        place, question, query = uri.partition("?")
        kept = "&".join(item for item in query.split("&") if not _SECRET.match(item))
        self._observer.note_uri(verb, place + question + kept if kept else place)

    def _note_arrow(self, what: str, values: Mapping[str, Any]) -> None:
        named = [values[name] for name in _PLACES if name in values]
        if not named and what == "wrote":
            return
        places = named[0] if isinstance(named[0], (list, tuple)) else [named[0]]
        system = values.get("filesystem")
        for place in places:
            if isinstance(place, (str, os.PathLike)):
                self._note_arrow_place(what, os.fspath(place), system)

    def _note_arrow_place(self, what: str, place: str, system: Any) -> None:
        kind = "local" if system is None else getattr(system, "type_name", "")
        if isinstance(system, str):
            place, kind = f"{system.rstrip('/')}/{place}", "local"
        if kind == "local" and "://" in place:
            scheme, _, rest = place.partition("://")
            if scheme != "file":
                self._note_uri("read" if what == "read" else "wrote", place)
                return
            place = rest
        if kind in _ARROW_SCHEMES:
            uri = f"{_ARROW_SCHEMES[kind]}://{place}"
            self._note_uri("read" if what == "read" else "wrote", uri)
        elif kind == "local":
            note = {
                "read": self._observer.note_read,
                "wrote": self._observer.note_written,
                "wrote below": self._observer.note_written_below,
            }
            note[what](place)


def _when_loaded(module: ModuleType, then: Callable[[], None]) -> None:
    """Call something once a module that is being imported has been, and leave no trace."""
    spec: Any = module.__spec__
    kind = type(spec)

    class Loading(kind):  # type: ignore[misc, valid-type]
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "_initializing" and not value:
                spec.__class__ = kind
                then()

    spec.__class__ = Loading


def _announce(function: FunctionType, owner: str, what: str) -> None:
    """Have a function raise an audit event with its arguments when it is called.

    Raises ValueError, OSError or SyntaxError where its source is not at hand.
    """
    old = function.__code__
    tree = _source_of(old, owner)
    first: Any = tree.body[0]
    definition = first.body[0] if owner else first
    call = ast.parse(f"__import__('sys').audit({_EVENT!r}, {what!r}, locals())").body[0]
    line = old.co_firstlineno
    for node in ast.walk(call):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    definition.body.insert(1 if ast.get_docstring(definition, clean=False) else 0, call)
    future = old.co_flags & 0x1FFF0000
    compiled = compile(tree, old.co_filename, "exec", flags=future, dont_inherit=True)
    new = next((code for code in _codes(compiled) if code.co_name == old.co_name), None)
    if new is None or not _are_alike(old, new):
        raise ValueError(f"the source of {function.__qualname__} is another's")
    function.__code__ = new


def _source_of(code: CodeType, owner: str) -> ast.Module:
    """Return a function's definition, in its class if it has one, at the lines where it stands."""
    with _open(code.co_filename, "rb") as file:
        lines = file.read().decode().splitlines()
    start = code.co_firstlineno - 1
    indent = len(lines[start]) - len(lines[start].lstrip())
    most = min(len(lines), start + _MAX_LINES)
    for end in range(start + 1, most + 1):
        # The definition may end where something else begins; its own lines may stand there, too.
        following = lines[end] if end < len(lines) else "end"
        if not following.strip() or len(following) - len(following.lstrip()) > indent:
            continue
        head = [f"class {owner}:"] if owner else []
        try:
            tree = ast.parse("\n".join([*head, *lines[start:end]]))
        except SyntaxError:
            continue
        ast.increment_lineno(tree, start - len(head))
        return tree
    raise ValueError("no end of the definition is found")


def _codes(code: CodeType) -> Iterable[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield constant
            yield from _codes(constant)


def _are_alike(old: CodeType, new: CodeType) -> bool:
    """Say whether two codes are those of one function, but for the line before the first."""
    count = old.co_argcount + old.co_kwonlyargcount
    return (
        (old.co_argcount, old.co_kwonlyargcount, old.co_freevars, old.co_firstlineno)
        == (new.co_argcount, new.co_kwonlyargcount, new.co_freevars, new.co_firstlineno)
        and old.co_varnames[:count] == new.co_varnames[:count]
        and set(old.co_names) <= set(new.co_names)
    )


def _uri(system: Any, protocol: str, path: str) -> str:
    """Return the URI of a path of one of fsspec's file systems."""
    if protocol in _HOSTED and "://" not in path:
        port = getattr(system, "port", None) or getattr(system, "ssh_kwargs", {}).get("port")
        host = f"{system.host}:{port}" if port else system.host
        return f"{protocol}://{host}/{path.lstrip('/')}"
    return str(system.unstrip_protocol(system._strip_protocol(path)))  # noqa: SLF001
