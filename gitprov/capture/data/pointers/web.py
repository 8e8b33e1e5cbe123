"""Asking a service for one document of JSON."""

import json
from collections.abc import Mapping
from typing import Any

from gitprov.capture.data.pointers.kind import BrokenPointer

_TIMEOUT_SECONDS = 20.0
_MAX_BYTES = 16 << 20
_NOT_FOUND = 404


class NotThere(BrokenPointer):
    """The service does not have it."""


def ask(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the map that a service answers with.

    Raises BrokenPointer, with the status or the system's words. Headers go to the service alone,
    not to where it redirects to.
    """
    # Late: it takes longer to import than most runs take to capture.
    from http.client import HTTPException  # noqa: PLC0415
    from urllib.error import HTTPError, URLError  # noqa: PLC0415
    from urllib.request import Request, urlopen  # noqa: PLC0415

    if not url.startswith(("http://", "https://")):
        raise BrokenPointer("the service has no http(s) address")
    try:
        request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 -- http(s)
        for name, value in headers.items():
            request.add_unredirected_header(name, value)
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            data = answer.read(_MAX_BYTES + 1)
        document = json.loads(data) if len(data) <= _MAX_BYTES else None
    except HTTPError as error:
        error.close()
        kind = NotThere if error.code == _NOT_FOUND else BrokenPointer
        raise kind(f"the service answers {error.code} {error.reason}") from error
    except URLError as error:
        raise BrokenPointer(f"the service does not answer: {error.reason}") from error
    except (OSError, HTTPException) as error:
        raise BrokenPointer("the service does not answer") from error
    except (ValueError, RecursionError) as error:
        raise BrokenPointer("the service's answer cannot be understood") from error
    if not isinstance(document, dict):
        raise BrokenPointer("the service's answer cannot be understood")
    return document
