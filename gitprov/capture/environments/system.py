"""`system.json`: the operating system below the interpreter.

Holds no host name and no build time of the kernel, which tell nothing about results.
"""

import os
import re
import shlex
from pathlib import Path
from typing import Any

from gitprov.capture.environments.kind import Findings, Request
from gitprov.codec.environment_text import SYSTEM, text

_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_MACOS_VERSION = "System/Library/CoreServices/SystemVersion.plist"


def capture(_request: Request, /) -> Findings:
    """Return system.json and the platform in short."""
    return describe(Path("/"))


def describe(root: Path) -> Findings:
    """Return what the running kernel and the files under `root` say about the system."""
    kernel = os.uname()
    libc = _libc(root)
    distribution = _distribution(root)
    document: dict[str, Any] = {
        "kernel": kernel.release,
        "machine": kernel.machine,
        "os": kernel.sysname,
    }
    missing: dict[str, str] = {}
    if libc:
        document["libc"] = libc
    else:
        missing["environment.system.libc"] = "neither glibc nor musl is on this system"
    if distribution:
        document["distribution"] = distribution
    else:
        missing["environment.system.distribution"] = "the system has no os-release file"
    return Findings(
        files={SYSTEM: text("system.1", document)},
        platform=_platform(kernel, libc),
        missing=missing,
    )


def _platform(kernel: os.uname_result, libc: dict[str, str]) -> str:
    release = re.match(r"\d+(\.\d+)?", kernel.release)
    words = [kernel.sysname, release[0] if release else kernel.release, kernel.machine]
    if libc:
        words.append(libc["name"] + libc.get("version", ""))
    return "-".join(words)


def _libc(root: Path) -> dict[str, str]:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        name = version = ""
    if name:
        return {"name": name, "version": version}
    # musl tells its version only when its loader is run, which is not worth a process.
    if any((root / "lib").glob("ld-musl-*.so.1")):
        return {"name": "musl"}
    return {}


def _distribution(root: Path) -> dict[str, str]:
    for place in _OS_RELEASE:
        try:
            text = (root / place).read_text("utf-8", "replace")
        except OSError:
            continue
        return _os_release(text)
    try:
        text = (root / _MACOS_VERSION).read_text("utf-8", "replace")
    except OSError:
        return {}
    version = re.search(r"<key>ProductVersion</key>\s*<string>([^<]+)</string>", text)
    return {"name": "macOS"} | ({"version": version[1]} if version else {})


def _os_release(text: str) -> dict[str, str]:
    """Return name and version from os-release(5), whose values are quoted as in a shell."""
    values = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        if separator and not key.startswith("#"):
            try:
                values[key] = "".join(shlex.split(value))
            except ValueError:
                values[key] = value
    named = {"name": values.get("NAME", ""), "version": values.get("VERSION_ID", "")}
    return {key: value for key, value in named.items() if value}
