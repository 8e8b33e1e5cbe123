"""What a store says of an object, without its being read: hints, never identity.

Each driver of fsspec has names of its own for the same things; here they become those of
`Artifact.remote`: `etag`, `version_id`, `checksum` (`sha256:…`, `md5:…`, `crc32c:…`, in hexadecimal
digits) and `last_modified` (UTC).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

# An object that has another one of these has other content, as far as its store can tell.
_TELLING = frozenset({"checksum", "etag", "version_id"})
_WEAK = "W/"
# What other content may have, too: weak etags (RFC 9110, 8.8.1), and checksums against accidents.
_VAGUE = (_WEAK, "crc")

_TIMES = ("LastModified", "last_modified", "Last-Modified", "updated", "mtime", "modified")
_DIGESTS = re.compile(r"(?P<name>[A-Za-z0-9-]+)\s*=\s*:?(?P<value>[A-Za-z0-9+/]+=*):?")
_STRONGEST = ("sha256", "sha512", "sha1", "md5", "crc64nvme", "crc32c", "crc32")


class Said(NamedTuple):
    """What a store says of an object, or of a folder."""

    path: str
    size: int | None = None
    remote: Mapping[str, str] = {}
    is_folder: bool = False

    def still_holds(self, now: "Said") -> bool:
        """Say whether nothing that was said before is said otherwise now."""
        sizes = {self.size, now.size} - {None}
        shared = self.remote.keys() & now.remote.keys()
        return len(sizes) < 2 and all(self.remote[key] == now.remote[key] for key in shared)  # noqa: PLR2004

    def vouches_for(self, now: "Said") -> bool:
        """Say whether the object is the one of before, by more than its size and time."""
        return bool(_telling(self.remote) & _telling(now.remote)) and self.still_holds(now)

    def outlasts_seconds(self) -> bool:
        """Say whether what is written within the second would have another version or checksum.

        An etag does not say so: many servers make it of size and time.
        """
        return bool(_telling(self.remote) - {"etag"})


def _telling(remote: Mapping[str, str]) -> set[str]:
    """Return which hints other content does not share."""
    return {key for key in _TELLING & remote.keys() if not remote[key].startswith(_VAGUE)}


def said(path: str, info: Mapping[str, Any]) -> Said:
    """Return what the information of a driver of fsspec says."""
    if info.get("type") == "directory":
        return Said(path, is_folder=True)
    found = {
        "etag": etag(info.get("ETag") or info.get("etag") or info.get("blob_id")),
        "version_id": _text(info.get("version_id") or info.get("generation")),
        "checksum": strongest(_checksums(info)),
        "last_modified": next((moment(info[key]) for key in _TIMES if info.get(key)), None),
    }
    return Said(path, info.get("size"), {key: value for key, value in found.items() if value})


def etag(value: object) -> str | None:
    """Return an entity tag without its quotes; a weak one stays marked as such."""
    text = _text(value)
    return text.strip('"') if text and is_strong(text) else text


def is_strong(tag: str | None) -> bool:
    """Say whether an entity tag is of the very bytes."""
    return tag is not None and not tag.startswith(_WEAK)


def moment(value: object) -> str | None:
    """Return a time in whole seconds: drivers differ in what they know below."""
    match value:
        case datetime():
            at = value if value.tzinfo else value.replace(tzinfo=UTC)
        case int() | float():
            at = datetime.fromtimestamp(value, UTC)
        case str():
            try:
                at = datetime.fromisoformat(value)
            except ValueError:
                try:
                    at = parsedate_to_datetime(value)
                except ValueError:
                    return value
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
        case _:
            return None
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def strongest(checksums: Iterable[tuple[str, bytes]]) -> str | None:
    """Return the one checksum that says most, as text."""
    found = dict(checksums)
    name = next((name for name in _STRONGEST if found.get(name)), None)
    return f"{name}:{found[name].hex()}" if name else None


def header_checksums(headers: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield the checksums that headers of HTTP have."""
    for header in ("Repr-Digest", "Digest"):
        for match in _DIGESTS.finditer(headers.get(header, "")):
            name = match["name"].lower()
            name = name.replace("-", "", 1) if name.startswith("sha-") else name
            yield from _decoded("sha1" if name == "sha" else name, match["value"])
    yield from _decoded("md5", headers.get("Content-MD5"))


def _checksums(info: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    lfs = info.get("lfs")
    sha256 = lfs.get("sha256") if isinstance(lfs, Mapping) else getattr(lfs, "sha256", None)
    if sha256:
        yield "sha256", bytes.fromhex(sha256)
    yield from _decoded("md5", info.get("md5Hash"))
    yield from _decoded("crc32c", info.get("crc32c"))
    settings = info.get("content_settings")
    yield from _decoded("md5", settings.get("content_md5") if settings else None)
    if isinstance(info.get("CRC"), int):  # a member of a zip archive
        yield "crc32", info["CRC"].to_bytes(4, "big")


def _decoded(name: str, value: object) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, bytes | bytearray):
        yield name, bytes(value)
    elif isinstance(value, str) and value:
        try:
            yield name, base64.b64decode(value, validate=True)
        except binascii.Error:
            return


def _text(value: object) -> str | None:
    return str(value) if value not in {None, "", "null"} else None
