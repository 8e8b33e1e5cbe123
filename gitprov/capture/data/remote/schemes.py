"""Which URIs are read, and the drivers of fsspec that read them.

A URI that a user has typed may name any store that fsspec knows, and a member of a local archive
(`zip://member::/path.zip`). One that stands in a record may come from anybody: it may name remote
stores alone, so that it never leads to files of this machine. Wrappers of fsspec around other
stores are refused in both.
"""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from gitprov.capture.url_credentials import without_credentials
from gitprov.errors import InputError, MissingDependency

_CHAIN = "::"
_ARCHIVES = frozenset({"libarchive", "tar", "zip"})
_FILE_URI = "file://"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")

# What to install for a scheme; the driver itself says it only in passing.
_PACKAGES = {
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "az": "adlfs",
    "box": "boxfs",
    "dropbox": "dropboxdrivefs",
    "gcs": "gcsfs",
    "gdrive": "gdrive_fs",
    "github": "requests",
    "gs": "gcsfs",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
    "lakefs": "lakefs-spec",
    "oci": "ocifs",
    "oss": "ossfs",
    "s3": "s3fs",
    "s3a": "s3fs",
    "sftp": "sshfs",
    "smb": "smbprotocol",
    "ssh": "sshfs",
    "tos": "tosfs",
    "wandb": "wandbfs",
    "webdav": "webdav4",
    "webhdfs": "requests",
}
_STORES = frozenset({*_PACKAGES, "ftp"})
_LOCAL_STORES = _ARCHIVES | {"memory"}
_SSH = frozenset({"sftp", "ssh"})


class Opened(NamedTuple):
    """A driver's file system, the path in it, and what makes URIs of its paths."""

    fs: Any
    scheme: str
    path: str
    before: str
    behind: str = ""

    def uri(self, path: str) -> str:
        """Return the URI of a path of this file system, credentials included."""
        return self.before + path + self.behind


def opened(uri: str, *, typed: bool, cwd: Path | None = None, shared: bool = False) -> Opened:
    """Return the file system and path that a URI stands for; `typed` says that a user named it.

    Archives are looked for from `cwd` on. With `shared`, a file system may be one that was opened
    before, with the settings of then. Objects are not asked for yet. Raises InputError,
    MissingDependency.
    """
    scheme = uri.partition("://")[0].lower()
    outer, chain, inner = uri.partition(_CHAIN)
    if chain:
        inner = _archive(uri, scheme, inner, (cwd or Path.cwd()) if typed else None)
    _check_scheme(scheme, uri, typed=typed)
    # Late: fsspec takes 80 ms to import, and most runs read local files.
    import fsspec  # noqa: PLC0415

    _use_driver(scheme, uri)
    try:
        options = {"skip_instance_cache": not shared}
        if scheme not in _SSH:  # whose driver hands options on, and keeps no listings
            options["use_listings_cache"] = False
        if chain:
            fs = fsspec.filesystem(scheme, fo=inner, **options)
            path = fs._strip_protocol(outer)  # noqa: SLF001 -- the only way to ask for it
        else:
            fs, path = fsspec.core.url_to_fs(_trimmed(uri), **options)
    except ImportError as error:
        raise _missing(scheme, uri) from error
    except Exception as error:
        raise InputError(f"cannot open it: {words(error, uri)}") from error
    plain = _trimmed(outer)
    before = plain.removesuffix(path) if path and plain.endswith(path) else f"{scheme}://"
    return Opened(fs, scheme, path, before, chain + inner)


def is_known(scheme: str) -> bool:
    """Say whether a URI of a record may have this scheme."""
    return scheme.lower() in _STORES


def words(error: BaseException, uri: str) -> str:
    """Return in one line what a driver says, without the credentials of `uri`."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    text = _URL.sub(lambda match: without_credentials(match[0]), text)
    for secret in _secrets(uri):
        text = text.replace(secret, "…")
    return text


def _trimmed(uri: str) -> str:
    """Return a URI without slashes at its end, unless they end its scheme."""
    found = uri.rstrip("/")
    return uri if found.endswith(":") else found


def _secrets(uri: str) -> set[str]:
    """Return what stands in a URI and not in the one that is shown."""
    shown = without_credentials(uri)
    found = {part for part in re.split(r"[/?&#=:@]", uri) if part and part not in shown}
    return found | {unquote(part) for part in found}


def _archive(uri: str, scheme: str, inner: str, cwd: Path | None) -> str:
    """Return the absolute path of the local archive in a chained URI; with no folder, refuse."""
    path = unquote(inner.removeprefix(_FILE_URI)) if inner.startswith(_FILE_URI) else inner
    if cwd is None or scheme not in _ARCHIVES or not path or _CHAIN in path or "://" in path:
        raise InputError(
            f"chained URIs are not read ({without_credentials(uri)}); name the object itself"
        )
    absolute = cwd / path
    if not absolute.is_file():
        raise InputError(f"there is no archive {absolute}")
    return str(absolute)


def _check_scheme(scheme: str, uri: str, *, typed: bool) -> None:
    if scheme in _STORES or (typed and scheme in _LOCAL_STORES):
        return
    shown = without_credentials(uri)
    if not typed:
        raise InputError(f"{shown} is not fetched: {scheme}:// is no remote store")
    # Late, as above.
    from fsspec.registry import known_implementations, registry  # noqa: PLC0415

    others = {"local", "file", *_wrappers(known_implementations)}
    if scheme in others:
        raise InputError(f"{scheme}:// is not read ({shown}); name the object itself")
    if scheme not in known_implementations and scheme not in registry:
        near = get_close_matches(scheme, [*_STORES, *_LOCAL_STORES, *known_implementations], 1, 0.5)
        meant = f"; did you mean {near[0]}://?" if near else ""
        raise InputError(f"no driver of fsspec reads {scheme}:// ({shown}){meant}")


def _wrappers(implementations: dict[str, dict[str, str]]) -> set[str]:
    """Return the schemes that read through other stores, or what is no store."""
    modules = ("fsspec.generic", "fsspec.implementations.", "morefs")
    return {
        name
        for name, found in implementations.items()
        if found["class"].startswith(modules) and name not in _STORES | _LOCAL_STORES
    }


def _use_driver(scheme: str, uri: str) -> None:
    """Import the driver of a scheme; raise MissingDependency."""
    from fsspec import get_filesystem_class  # noqa: PLC0415 -- late, as above

    if scheme in _SSH:
        try:
            # It takes the scheme over from paramiko, which is fifty times slower.
            import sshfs  # noqa: F401, PLC0415

            return  # noqa: TRY300
        except ImportError:
            pass
    try:
        get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        raise _missing(scheme, uri) from error


def _missing(scheme: str, uri: str) -> MissingDependency:
    from fsspec.registry import known_implementations  # noqa: PLC0415 -- late, as above

    found = known_implementations.get(scheme, {}).get("class", scheme)
    package = _PACKAGES.get(scheme) or found.partition(".")[0]
    return MissingDependency(f"{without_credentials(uri)} needs {package}: pip install {package}")
