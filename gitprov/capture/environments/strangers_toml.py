"""TOML that strangers have written: whatever it is, it is read soon or refused."""

import re
import tomllib
from typing import Any

_MAX_DEPTH = 32
# tomllib takes time with the square of the length of a dotted key, so long ones are refused.
_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_MAX_DEPTH}}}")


def parsed(text: str) -> dict[str, Any]:
    """Return what a TOML document says; raise ValueError, which says why it is refused."""
    if _LONG_KEY.search(text):
        raise ValueError("is nested too deeply")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except ValueError as error:
        raise ValueError("is not TOML") from error
