"""What is said of secrets that were kept out: where they stood and of what kind, never which."""

import re
from collections.abc import Mapping

from gitprov.capture.settings_file import SETTINGS_FILE

_NUMBER = re.compile(r"\[[0-9]+\]")
_MAX_NAMED = 3


def reasons(found: Mapping[str, str]) -> dict[str, str]:
    """Return what `missing` says of places and kinds."""
    return {place: f"a secret ({kind}) stands as a commitment" for place, kind in found.items()}


def without_numbers(found: Mapping[str, str]) -> dict[str, str]:
    """Return the places without their numbers, which are those of a part of the list."""
    return {_NUMBER.sub("", place): kind for place, kind in found.items()}


def kept_out(found: Mapping[str, str]) -> str:
    """Return the one line that tells the user what was found, and how to allow it."""
    named = [f"{place} ({kind})" for place, kind in list(found.items())[:_MAX_NAMED]]
    if more := len(found) - len(named):
        named.append(f"{more} more")
    return (
        f"kept out of the record, for holding secrets: {', '.join(named)}; "
        f"see: git prov scan; allow what is none in {SETTINGS_FILE}"
    )
