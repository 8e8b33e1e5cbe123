"""Which commitments of a run a value opens: who has the clone's key can prove what a secret was."""

import hmac
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from gitprov.capture.secrets.commitments import commitment
from gitprov.codec.records import Decoded
from gitprov.errors import PayloadMissing
from gitprov.store.payload import open_listing, read_payload
from gitprov.store.refs import PAYLOAD, list_refs
from gitprov.store.store import Store


def opened(store: Store, run: Decoded, value: bytes, salt: bytes) -> list[str]:
    """Return where in a run a value stands as a commitment: fields, and files of its payload.

    The value may be a secret, in any form that commitments are made of, or all of a file that the
    snapshot has left out. The line end behind it counts for a file alone.
    """
    text = value.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    forms = {text, quote(text, safe="", errors="surrogateescape")}
    forms |= {line.strip() for line in text.splitlines()}
    commitments = [commitment(salt, form) for form in forms if form]
    digest = hmac.digest(salt, value, "sha256")
    places = [
        place
        for place, found in _leaves(run.document, "")
        if found == digest or (isinstance(found, str) and any(one in found for one in commitments))
    ]
    for name, data in _payload(store, run):
        if name not in places and any(one.encode() in data for one in commitments):
            places.append(name)
    return places


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of a document by their places, and the names in it that are the users'."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            here = f"{place}.{name}" if place else str(name)
            if "{secret:" in name:
                yield here, name
            yield from _leaves(item, here)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{place}[{number}]")
    else:
        yield place, value.decode("utf-8", "replace") if _is_raw(value, place) else value


def _is_raw(value: Any, place: str) -> bool:
    """Say whether bytes are text that is not UTF-8, and no digest."""
    return isinstance(value, bytes) and ".digest." not in place


def _payload(store: Store, run: Decoded) -> Iterator[tuple[str, bytes]]:
    tips = list(list_refs(store.repository.git, PAYLOAD).values())
    for item in run.record.byproducts:
        if item.name and (sha256 := item.digest.get("sha256")):
            with suppress(PayloadMissing):
                yield (
                    item.name,
                    read_payload(store.objects, tips, run.record.id, item.name, sha256),
                )
    for item in (*run.record.inputs, *run.record.outputs):
        if item.listing:
            with suppress(PayloadMissing):
                listing = open_listing(store.objects, tips, run.record.id, item.listing)
                for path, found in listing.items():
                    yield item.listing, path + b"\n" + (found.target or b"")
