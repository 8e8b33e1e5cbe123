"""Documents whose text all has a UTF-8 form, as the format wants it.

Arguments, variables and file names come from the operating system as bytes, and Python hands over
those that are not UTF-8 as lone surrogates. Where the format has no place for bytes (a message, a
parameter, a reason) they become escapes: a run must not go unrecorded for a letter.
"""

from collections.abc import Mapping
from typing import Any

from gitprov.codec.canonical import Document
from gitprov.model.wording import encodable


def encodable_document(document: Mapping[str, Any]) -> Document:
    """Return the document, its keys and texts made encodable."""
    return {encodable(key): _encodable(value) for key, value in document.items()}


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return encodable_document(value)
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value
