"""Package URLs, by the rules of each type.

The library that writes them comes with that of CycloneDX, so they are asked for by its exporter
alone. None stands for what cannot have one.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gitprov.capture.environments.python.distributions import normalised
from gitprov.model.environment import CondaPackage, LibraryPackage, Package

if TYPE_CHECKING:
    from packageurl import PackageURL

_LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128, "blake3": 64}
_HEX = re.compile("[0-9a-f]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+")
_MANAGERS = {"dpkg": "deb", "rpm": "rpm", "apk": "apk"}
_LANGUAGES = {"R": "cran", "Julia": "julia"}


def python(package: Package) -> "PackageURL | None":
    """Return `pkg:pypi/name@version`, with where it came from if that was no index."""
    origin = package.origin
    said: dict[str, str] = {}
    if origin is not None and origin.vcs and origin.commit:
        said["vcs_url"] = f"{origin.vcs}+{origin.url}@{origin.commit}"
    elif origin is not None and not origin.is_directory and not origin.url.startswith("file:"):
        said["download_url"] = origin.url
    return _purl("pypi", normalised(package.name), package.version, said=said)


def conda(package: CondaPackage) -> "PackageURL | None":
    """Return `pkg:conda/name@version?build=…&channel=…&subdir=…&type=…`."""
    kind = "tar.bz2" if (package.url or "").endswith(".tar.bz2") else "conda"
    said = {
        "build": package.build,
        "channel": _channel(package.channel),
        "subdir": package.subdir or "",
        "type": kind if package.url else "",
    }
    return _purl("conda", package.name, package.version, said=said)


def library(language: str, package: LibraryPackage) -> "PackageURL | None":
    """Return the one of a package of R or Julia."""
    kind = _LANGUAGES.get(language, "generic")
    # Julia's packages are told apart by the uuid that stands as their source.
    said = {"uuid": package.source or ""} if kind == "julia" else {}
    return _purl(kind, package.name, package.version, said=said)


def system(manager: str, package: LibraryPackage, facts: Mapping[str, str]) -> "PackageURL | None":
    """Return the one of a package of the operating system, whose name stands among the facts."""
    distribution = (facts.get("distribution") or "").split(" ")
    name = distribution[0].lower() if distribution[0] else None
    said = {"arch": package.architecture or ""}
    return _purl(
        _MANAGERS.get(manager, "generic"), package.name, package.version, namespace=name, said=said
    )


def generic(name: str, version: str) -> "PackageURL | None":
    """Return `pkg:generic/name@version`."""
    return _purl("generic", name, version)


def is_digest(algorithm: str, value: str) -> bool:
    """Whether a text is a digest of this algorithm."""
    return _LENGTHS.get(algorithm) == len(value) and _HEX.fullmatch(value) is not None


def is_uri(text: str) -> bool:
    """Whether a text is a URI that validators accept."""
    return _URI.fullmatch(text) is not None


def _channel(channel: str | None) -> str:
    """Return the name of a channel; of one that is a URL, the part behind the host."""
    if not channel or "://" not in channel:
        return channel or ""
    return urlsplit(channel).path.strip("/")


def _purl(
    kind: str,
    name: str,
    version: str,
    *,
    namespace: str | None = None,
    said: Mapping[str, str] | None = None,
) -> "PackageURL | None":
    from packageurl import PackageURL  # noqa: PLC0415 -- an extra

    qualifiers = {key: value for key, value in (said or {}).items() if value}
    try:
        purl = PackageURL(kind, namespace, name, version or None, qualifiers)
        str(purl)
    except (TypeError, ValueError):  # it finds out late that nothing is left of a name
        return None
    return purl
