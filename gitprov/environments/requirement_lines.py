"""Lines for installers from what a record says of a package, and nothing but what it means.

A record may be a stranger's. Installers take a line for more than a name: options, variables to be
filled in, other lines. So every part is of a form that can say one thing only, or is refused.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,200}")
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}  # what pip and uv take
_HEX = re.compile(r"[0-9a-f]+")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# No white space, quotes or `$`: installers fill variables in, which would send them away.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._~:/?\[\]@!&()*+,;=%-]*")
_ARCHIVE_SCHEMES = frozenset({"file", "http", "https"})
_GIT_SCHEMES = frozenset({"file", "git", "http", "https", "ssh"})
_FOLDER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./+-]*")


class RefusedError(Exception):
    """Something that is not handed to an installer; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something comes from: a URL, and its host for people, empty on this machine."""

    url: str
    host: str

    @property
    def path(self) -> Path:
        """The path on this machine, where there is no host."""
        return Path(unquote(urlsplit(self.url).path))

    @property
    def file_name(self) -> str:
        """The last part of its path."""
        return self.path.name


def pinned(name: str, version: str, hashes: Iterable[str] = ()) -> str:
    """Return the line for a package of an index; `hashes` are `sha256:…` and the like."""
    return _with_hashes(f"{_named(name)}=={_versioned(version)}", hashes)


def from_archive(name: str, place: Place, hashes: Iterable[str] = ()) -> str:
    """Return the line for a wheel or a source distribution at a URL."""
    return _with_hashes(f"{_named(name)} @ {place.url}", hashes)


def from_git(name: str, place: Place, commit: str | None, subdirectory: str | None) -> str:
    """Return the line for a commit of a git repository."""
    if commit is None or not _COMMIT.fullmatch(commit):
        raise RefusedError("its commit is not known")
    line = f"{_named(name)} @ git+{place.url}@{commit}"
    return f"{line}#subdirectory={folder(subdirectory)}" if subdirectory else line


def archive_place(url: str) -> Place:
    """Return where an archive is; raise RefusedError for what is no plain URL of one."""
    return _place(url, _ARCHIVE_SCHEMES)


def git_place(url: str) -> Place:
    """Return where a git repository is; raise RefusedError for what is no plain URL of one."""
    return _place(url, _GIT_SCHEMES)


def hashes_of(digests: Mapping[str, str]) -> tuple[str, ...]:
    """Return those of some digests that installers can compare: `sha256:…` and the like."""
    return tuple(
        f"{name}:{digest}"
        for name, digest in sorted(digests.items())
        if _DIGEST_LENGTHS.get(name) == len(digest) and _HEX.fullmatch(digest)
    )


def folder(path: str) -> str:
    """Return a folder below another one; raise RefusedError for one that may lead elsewhere."""
    if not _FOLDER.fullmatch(path) or ".." in path.split("/"):
        raise RefusedError(f"its folder {path[:80]!r} is not followed")
    return path


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RefusedError("no package can have this name")
    return name


def _versioned(version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise RefusedError("no package can have this version")
    return version


def _with_hashes(line: str, hashes: Iterable[str]) -> str:
    known = hashes_of_lock(hashes)
    return line + "".join(f" --hash={one}" for one in known)


def hashes_of_lock(hashes: Iterable[str]) -> tuple[str, ...]:
    """Return those of `sha256:…` and the like that installers can compare."""
    pairs = (one.partition(":") for one in dict.fromkeys(hashes))
    return tuple(found for name, _, digest in pairs for found in hashes_of({name: digest}))


def _place(url: str, schemes: frozenset[str]) -> Place:
    if not _URL.fullmatch(url):
        raise RefusedError("its URL has letters that installers may take for something else")
    try:
        parts = urlsplit(url)
        host, user = parts.hostname or "", parts.username or ""
    except ValueError as error:
        raise RefusedError("its URL is none") from error
    scheme = parts.scheme.lower()
    if scheme not in schemes:
        raise RefusedError(f"nothing is fetched by {scheme}")
    # A host or user that begins so is an option to ssh.
    if host.startswith("-") or user.startswith("-") or (scheme == "file") != (host == ""):
        raise RefusedError("its URL names no host")
    return Place(url, host)
