"""URLs without the secrets that people put into them."""

import re

_AUTHORITY = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<user>[^/?#]*)@")


def without_credentials(url: str) -> str:
    """Return `url` with no password, and for http(s) with no user either: tokens stand there."""
    match = _AUTHORITY.match(url)
    if match is None:
        return url
    scheme, rest = match["scheme"], url[match.end() :]
    user = match["user"].partition(":")[0]
    if not user or scheme.lower().endswith(("http", "https")):
        return f"{scheme}://{rest}"
    return f"{scheme}://{user}@{rest}"
