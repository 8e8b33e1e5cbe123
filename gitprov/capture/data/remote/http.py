"""HTTP: one object a URI.

It is read as one answer, so that its bytes are of one version even where the server says nothing
that tells versions apart. Where the connection breaks, and the server has a strong etag and knows
ranges, the rest of the same version is asked for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gitprov.capture.data.remote.said import (
    Said,
    etag,
    header_checksums,
    is_strong,
    moment,
    strongest,
)
from gitprov.capture.data.remote.stores import ChangedMeanwhile, Store

_CHUNK_BYTES = 1 << 20
_ATTEMPTS = 5
_SILENT_SECONDS = 60
_ABSENT = frozenset({404, 410})
_PARTIAL, _FAILED = 206, 400
# Sizes and checksums are to be those of the object itself.
_HEADERS = {"Accept-Encoding": "identity", "Want-Repr-Digest": "sha-256=1"}


class HttpStore(Store):
    """What servers give for URLs. There are no folders, and `*` and `?` are just characters."""

    def stat(self, path: str) -> Said | None:
        """Return what the server says of a URL; one that does not answer HEAD is asked by GET."""
        for method in ("HEAD", "GET") if self.may_read else ("HEAD",):
            answer = self._ask(method, path, _HEADERS)
            answer.close()
            if answer.status in _ABSENT:
                return None
            if answer.status < _FAILED:
                return _said(path, answer.headers)
        answer.raise_for_status()
        return None

    def glob(self) -> list[str]:
        """Return nothing: servers do not say what they have."""
        return []

    def below(self, _: str) -> Iterator[Said]:
        """Yield nothing, as above."""
        yield from ()

    def chunks(self, of: Said) -> Iterator[bytes]:
        """Yield the bytes of one answer, and of what continues it."""
        done = 0
        for attempt in range(_ATTEMPTS):
            try:
                for chunk in self._part(of, done):
                    done += len(chunk)
                    yield chunk
            except self._interruptions() as error:
                if not done:
                    raise
                if attempt == _ATTEMPTS - 1 or not is_strong(of.remote.get("etag")):
                    raise OSError(f"the connection broke after {done} bytes") from error
            else:
                return

    def _part(self, of: Said, start: int) -> Iterator[bytes]:
        """Yield the bytes from one on; raise ChangedMeanwhile where they are not of this object."""
        from fsspec.asyn import sync  # noqa: PLC0415 -- late: fsspec takes 80 ms to import

        wanted = {}
        if start:
            wanted = {"Range": f"bytes={start}-", "If-Range": f'"{of.remote["etag"]}"'}
        answer = self._ask("GET", of.path, _HEADERS | wanted)
        try:
            answer.raise_for_status()
            if start:
                same = answer.status == _PARTIAL and _continues(of, answer.headers, start)
            else:
                same = of.still_holds(_said(of.path, answer.headers))
            if not same:
                raise ChangedMeanwhile
            while chunk := sync(self._fs.loop, answer.content.read, _CHUNK_BYTES):
                yield chunk
        finally:
            answer.close()

    def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> Any:
        import aiohttp  # noqa: PLC0415 -- late: it is the driver
        from fsspec.asyn import sync  # noqa: PLC0415 -- late, as above

        # Large objects take as long as they take.
        limit = aiohttp.ClientTimeout(total=None, connect=30, sock_read=_SILENT_SECONDS)

        async def ask() -> Any:
            session = await self._fs.set_session()
            options = {"timeout": limit, "allow_redirects": True} | self._fs.kwargs
            options["headers"] = {**options.get("headers", {}), **headers}
            return await session.request(method, self._fs.encode_url(url), **options)

        return sync(self._fs.loop, ask)

    @staticmethod
    def _interruptions() -> tuple[type[Exception], ...]:
        import aiohttp  # noqa: PLC0415 -- late, as above

        return (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, TimeoutError)


def _said(path: str, headers: Mapping[str, str]) -> Said:
    length = headers.get("Content-Length", "")
    found = {
        "etag": etag(headers.get("ETag")),
        "checksum": strongest(header_checksums(headers)),
        "last_modified": moment(headers.get("Last-Modified")),
    }
    remote = {key: value for key, value in found.items() if value}
    return Said(path, int(length) if length.isdigit() and _is_plain(headers) else None, remote)


def _is_plain(headers: Mapping[str, str]) -> bool:
    return headers.get("Content-Encoding", "identity") == "identity"


def _continues(of: Said, headers: Mapping[str, str], start: int) -> bool:
    """Say whether an answer has the bytes of this version from one on, not those of an encoding."""
    begins = headers.get("Content-Range", "").startswith(f"bytes {start}-")
    same = etag(headers.get("ETag")) in {None, of.remote["etag"]}
    return begins and same and _is_plain(headers)
