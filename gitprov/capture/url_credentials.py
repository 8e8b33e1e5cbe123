"""URLs without the secrets that people put into them: users and passwords, signatures, tokens."""

import re
from urllib.parse import unquote_plus

from gitprov.capture.secrets.excuses import may_be_secret
from gitprov.capture.secrets.names import is_secret

_AUTHORITY = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/?#]*)@")
# What signed URLs of object stores carry; whoever has it has the object.
_SIGNATURES = frozenset(
    """
    awsaccesskeyid sig signature x-amz-credential x-amz-security-token x-amz-signature
    x-goog-credential x-goog-signature
    """.split()
)
_MIN_SIGNATURE = 16


def without_credentials(url: str) -> str:
    """Return `url` with no password, and for http(s) with no user either: tokens stand there.

    Parameters are left out that are signatures or tokens.
    """
    match = _AUTHORITY.match(url)
    if match is not None:
        scheme, rest = match["scheme"], url[match.end() :]
        user = match["user"].partition(":")[0]
        if not user or scheme.lower().endswith(("http", "https")):
            url = f"{scheme}://{rest}"
        else:
            url = f"{scheme}://{user}@{rest}"
    place, question, rest = url.partition("?")
    if not question:
        return url
    query, hash_sign, fragment = rest.partition("#")
    if not any(map(_is_secret_item, query.split("&"))):
        return url
    kept = "&".join(item for item in query.split("&") if not _is_secret_item(item))
    return place + (question + kept if kept else "") + hash_sign + fragment


def is_secret_parameter(name: str, value: str) -> bool:
    """Say whether a parameter of a URL is a secret: a signature, or one whose name says so."""
    name = unquote_plus(name)
    is_signature = name.lower() in _SIGNATURES and len(value) >= _MIN_SIGNATURE
    return is_secret(name, value) or (is_signature and may_be_secret(value))


def _is_secret_item(item: str) -> bool:
    name, _, value = item.partition("=")
    return is_secret_parameter(name, value)
