"""`conda.json` and `conda-explicit.txt`: the conda environment that the command runs in.

Read from `conda-meta` in the environment's folder; conda, mamba and pixi write the same, and none
of them is started. URLs are kept without users, passwords and the tokens that channels take in
their paths. conda-explicit.txt is what `conda list --explicit --md5` prints. It is written only
where it would rebuild all of the environment.

The documents in `conda-meta` list every file of every package, so what was made of them is kept
as long as none of them changes.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.commands.interpreter import find_interpreter
from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import read_plain
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.environment_text import CONDA, text

EXPLICIT = "conda-explicit.txt"

_META = "conda-meta"
_VERSION = 1  # raise it when what is made of conda-meta changes
_MAX_BYTES = 64 << 20
_RACY_NS = 2_000_000_000  # coarser than the time stamps of any filesystem in use
_MAX_NAMED = 10
# Channels of private servers: https://host/t/<token>/channel.
_PRIVATE_HOST = r"(?i)^(?P<host>[a-z0-9+.-]+://[^/]+)/t/[^/]+(?=/|$)"
_URL = r"(?i)[a-z][a-z0-9+.-]*://[!-\"$-~]+"  # printable ASCII but for #
_SUBDIR, _MD5, _SHA256 = r"[a-z0-9-]+", r"[0-9a-f]{32}", r"[0-9a-f]{64}"
_SYSTEMS = {"Darwin": "osx", "Linux": "linux"}
_MACHINES = {"x86_64": "64", "i686": "32"}


# The name of a document in conda-meta, and what changes whenever its content does.
_Stamp = tuple[str, int, int, int]
# A package as conda.json has it, and the names of those that it needs.
_Installed = tuple[dict[str, Any], list[str]]


class _BrokenError(Exception):
    """A document that says nothing of use; the message says why."""


def capture(request: Request, /) -> Findings:
    """Return the documents of the conda environment; nothing where there is none."""
    prefix = _prefix(request)
    if prefix is None:
        return Findings()
    cache = Cache(request.cache)
    key = hashlib.sha256(json.dumps(["conda", _VERSION, str(prefix)]).encode()).hexdigest()
    now = time.time_ns()
    stamps = _stamps(prefix)
    fingerprint = hashlib.sha256(repr(stamps).encode()).hexdigest()
    if kept := _kept(cache, key, fingerprint):
        return kept
    findings = describe(prefix, [name for name, *_ in stamps])
    if all(mtime_ns < now - _RACY_NS for _, mtime_ns, *_ in stamps):
        files = {path: data.decode() for path, data in findings.files.items()}
        answer = {"files": files, "missing": dict(findings.missing), "fingerprint": fingerprint}
        cache.write(key, answer)
    return findings


def describe(prefix: Path, names: Sequence[str]) -> Findings:
    """Return what the documents `names` in conda-meta say of the environment in `prefix`."""
    installed: dict[str, _Installed] = {}
    broken = []
    for name in sorted(names):
        try:
            package, needs = _installed(prefix / _META / name)
            if package["name"] in installed:
                raise _BrokenError(f"another document says what {package['name']} is")
        except _BrokenError as error:
            broken.append({"entry": name, "reason": str(error)})
            continue
        installed[package["name"]] = package, needs
    packages = [installed[name][0] for name in sorted(installed)]
    platform = _platform(packages)
    document = known(broken=broken, packages=packages, platform=platform, prefix=str(prefix))
    files = {CONDA: text("conda.1", document)}
    if reason := _why_not_explicit(packages, broken):
        return Findings(files=files, missing={f"environment.{EXPLICIT}": reason})
    files[EXPLICIT] = _explicit(platform, _in_order_of_need(installed))
    return Findings(files=files, locks=(EXPLICIT,))


def _prefix(request: Request) -> Path | None:
    """Return the folder of the environment: the interpreter's; the activated one without Python.

    What is activated around a Python from elsewhere, as conda's base often is, is not what it uses.
    """
    interpreter = find_interpreter(request.argv, cwd=request.cwd, env=request.env)
    is_python = interpreter is not None and interpreter.of_python
    places = []
    if interpreter and not (interpreter.path.parent.parent / "pyvenv.cfg").exists():
        places.append(interpreter.path.resolve().parent.parent)
    # What stands between, as conda run, may have activated another.
    env = (interpreter and interpreter.env) or request.env
    if (active := env.get("CONDA_PREFIX")) and not is_python:
        places.append(request.cwd / active)
    for place in places:
        try:
            if (place / _META).is_dir():
                return place.resolve()
        except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links
            continue
    return None


def _stamps(prefix: Path) -> list[_Stamp]:
    stamps = []
    with os.scandir(prefix / _META) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                status = entry.stat(follow_symlinks=False)
                stamp = status.st_mtime_ns, status.st_ino, status.st_size
                stamps.append((entry.name, *stamp))
    return sorted(stamps)


def _kept(cache: Cache, key: str, fingerprint: str) -> Findings | None:
    answer = cache.read(key)
    if answer is None or answer.get("fingerprint") != fingerprint:
        return None
    try:
        files = {str(path): str(data).encode() for path, data in answer["files"].items()}
        missing = {str(name): str(reason) for name, reason in answer["missing"].items()}
    except (KeyError, AttributeError):  # another release's
        return None
    locks = (EXPLICIT,) if EXPLICIT in files else ()
    return Findings(files=files, locks=locks, missing=missing)


def _installed(file: Path) -> _Installed:
    """Return what a document says; raise _BrokenError where it does not name a package."""
    try:
        document = json.loads(read_plain(file, _MAX_BYTES))
    except OSError as error:
        raise _BrokenError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _BrokenError("not JSON") from error
    if not isinstance(document, dict):
        raise _BrokenError("not a map")
    for name in ("name", "version", "build"):
        if not _text(document, name):
            raise _BrokenError(f"has no {name}")
    subdir = _matching(document, "subdir", _SUBDIR)
    package = known(
        name=document["name"],
        version=document["version"],
        build=document["build"],
        channel=_channel(_text(document, "channel"), subdir),
        subdir=subdir,
        url=_without_secrets(_text(document, "url")),
        md5=_matching(document, "md5", _MD5),
        sha256=_matching(document, "sha256", _SHA256),
    )
    depends = document.get("depends")
    words = depends if isinstance(depends, list) else []
    needs = [word.split(maxsplit=1)[0] for word in words if isinstance(word, str) and word.strip()]
    return package, needs


def _text(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and value else None


def _matching(document: Mapping[str, object], name: str, form: str) -> str | None:
    value = _text(document, name)
    return value if value and re.fullmatch(form, value) else None


def _without_secrets(url: str | None) -> str | None:
    if url is None:
        return None
    url = without_credentials(url)
    # Of a file, /t/ may well be a folder.
    return url if url.startswith("file:") else re.sub(_PRIVATE_HOST, r"\g<host>", url)


def _channel(channel: str | None, subdir: str | None) -> str | None:
    """Return the channel in one form: older versions wrote the folder of the platform behind it."""
    channel = (_without_secrets(channel) or "").rstrip("/")
    if subdir and "/" in channel:
        channel = channel.removesuffix(f"/{subdir}")
    return channel or None


def _platform(packages: Sequence[Mapping[str, str]]) -> str | None:
    """Return the platform that the packages are of, as conda names it; else that of this system."""
    for package in packages:
        if package.get("subdir", "noarch") != "noarch":
            return package["subdir"]
    kernel = os.uname()
    if kernel.sysname not in _SYSTEMS:
        return None
    return f"{_SYSTEMS[kernel.sysname]}-{_MACHINES.get(kernel.machine, kernel.machine)}"


def _why_not_explicit(
    packages: Sequence[Mapping[str, str]], broken: Sequence[Mapping[str, str]]
) -> str | None:
    if not packages:
        return "the environment has no packages"
    nowhere = [item["name"] for item in packages if not re.fullmatch(_URL, item.get("url", ""))]
    if nowhere:
        return f"it is not known where these came from: {_some(nowhere)}"
    if broken:
        return f"these cannot be read: {_some([item['entry'] for item in broken])}"
    return None


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _explicit(platform: str | None, packages: Sequence[Mapping[str, str]]) -> bytes:
    lines = [
        "# This file may be used to create an environment using:",
        "# $ conda create --name <env> --file <this file>",
        f"# platform: {platform}",
        "@EXPLICIT",
    ]
    for package in packages:
        # conda takes either digest; mamba and rattler, too.
        digest = package.get("md5", "")
        if not digest and "sha256" in package:
            digest = f"sha256:{package['sha256']}"
        lines.append(f"{package['url']}#{digest}" if digest else package["url"])
    return ("\n".join(lines) + "\n").encode()


def _in_order_of_need(installed: Mapping[str, _Installed]) -> list[Mapping[str, str]]:
    """Return each package behind those that it needs, as older tools install them in this order.

    Where packages need one another (python and pip do), one of them goes first.
    """
    ordered: list[Mapping[str, str]] = []
    seen: set[str] = set()
    for start in sorted(installed):
        if start in seen:
            continue
        seen.add(start)
        # A stack of our own: chains of needs are as long as their authors like.
        stack = [(start, _needs(installed, start))]
        while stack:
            name, needs = stack[-1]
            following = next((need for need in needs if need not in seen), None)
            if following is None:
                stack.pop()
                ordered.append(installed[name][0])
            else:
                seen.add(following)
                stack.append((following, _needs(installed, following)))
    return ordered


def _needs(installed: Mapping[str, _Installed], name: str) -> Iterator[str]:
    return iter(sorted(need for need in installed[name][1] if need in installed))
