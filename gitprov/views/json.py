"""Records as JSON: the manifest's own keys, one object a line (docs/cli.md, "JSON").

Digests become lowercase hexadecimal text. A path or argument that is not UTF-8 becomes
`{"hex": "…"}`, so that it is told from text and nothing is lost.
"""

import json
from collections.abc import Mapping
from typing import Any

_DIGEST_KEYS = frozenset({"digest", "previous"})


def json_line(document: Mapping[str, Any]) -> str:
    """Return a document as one line of JSON."""
    return json.dumps(_plain(document, is_digest=False), ensure_ascii=False, allow_nan=False)


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
