"""Records as JSON: the manifest's own keys, one object a line (docs/cli.md, "JSON").

Digests become lowercase hexadecimal text. A path or argument that is not UTF-8 becomes
`{"hex": "…"}`, so that it is told from text and nothing is lost. What could move a cursor or hide
letters on a terminal stands as an escape.
"""

import json
from collections.abc import Mapping
from typing import Any

from gitprov.model.wording import is_unsafe

_DIGEST_KEYS = frozenset({"digest", "previous"})


def json_line(document: Mapping[str, Any]) -> str:
    """Return a document as one line of JSON."""
    line = json.dumps(_plain(document, is_digest=False), ensure_ascii=False, allow_nan=False)
    if line.isascii() and "\x7f" not in line:
        return line
    # Such letters stand in text only, where JSON takes an escape for any letter.
    return "".join(json.dumps(letter)[1:-1] if is_unsafe(letter) else letter for letter in line)


def _plain(value: Any, *, is_digest: bool) -> Any:
    if isinstance(value, bytes):
        return value.hex() if is_digest else {"hex": value.hex()}
    if isinstance(value, Mapping):
        return {
            key: _plain(item, is_digest=is_digest or key in _DIGEST_KEYS)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item, is_digest=False) for item in value]
    return value
