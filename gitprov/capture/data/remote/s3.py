"""S3: listings page by page, and reads of one version each.

An object is read with one GET that names its version, or the etag that it must have: what is read
is what was asked for, or nothing. Listings of a flat prefix are never held as a whole.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any

from gitprov.capture.data.remote.said import Said, etag, moment, strongest
from gitprov.capture.data.remote.stores import ChangedMeanwhile, Store

_CHUNK_BYTES = 1 << 20
_CHECKSUM = "Checksum"
_PRECONDITION = 412


class S3Store(Store):
    """Buckets, as `s3fs` reaches them."""

    is_pinned = True

    def stat(self, path: str) -> Said | None:
        """Return what the store says of a key, or of a prefix that ends in a slash."""
        bucket, key, version = self._fs.split_path(path)
        if key:
            try:
                answer = self._call("head_object", bucket, Key=key, **_version(version))
            except FileNotFoundError:
                pass
            else:
                return _said(path, answer)
        page = self._call("list_objects_v2", bucket, Prefix=key and f"{key}/", MaxKeys=1)
        found = page.get("Contents") or not key
        return Said(path, is_folder=True) if found else None

    def version(self, path: str, version: str) -> Said | None:
        """Return what the store says of a version; None where it does not have it any more."""
        bucket, key, _ = self._fs.split_path(path)
        try:
            return _said(path, self._call("head_object", bucket, Key=key, VersionId=version))
        except FileNotFoundError:
            return None

    def below(self, top: str) -> Iterator[Said]:
        """Yield the objects below a prefix, and the folders that are kept by a marker."""
        bucket, key, _ = self._fs.split_path(top)
        after: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", bucket, Prefix=key and f"{key}/", **after)
            for item in page.get("Contents", ()):
                path = f"{bucket}/{item['Key']}"
                if not path.endswith("/") or item["Size"]:
                    yield _said(path, item)
                elif (folder := path[:-1]) != top:
                    yield Said(folder, is_folder=True)
            if not page.get("IsTruncated"):
                return
            after = {"ContinuationToken": page["NextContinuationToken"]}

    def chunks(self, of: Said) -> Iterator[bytes]:
        """Yield the bytes of the version, or of what has the etag."""
        from fsspec.asyn import sync  # noqa: PLC0415 -- late: fsspec takes 80 ms to import

        bucket, key, version = self._fs.split_path(of.path)
        wanted = _version(version or of.remote.get("version_id"))
        if not wanted and "etag" in of.remote:
            wanted = {"IfMatch": f'"{of.remote["etag"]}"'}
        try:
            answer = self._call("get_object", bucket, Key=key, **wanted)
        except OSError as error:
            if _is_refused(error):
                raise ChangedMeanwhile from error
            raise
        body = answer["Body"]
        try:
            if not of.still_holds(_said(of.path, answer)):
                raise ChangedMeanwhile
            while chunk := sync(self._fs.loop, body.read, _CHUNK_BYTES):
                yield chunk
        finally:
            body.close()

    def _call(self, method: str, bucket: str, **arguments: Any) -> Any:
        if method != "list_objects_v2":
            arguments |= {"ChecksumMode": "ENABLED"}
        return self._fs.call_s3(method, self._fs.kwargs, Bucket=bucket, **arguments)


def _said(path: str, item: Mapping[str, Any]) -> Said:
    """Return what an answer says of an object, or an item of a listing."""
    size = item["Size"] if "Size" in item else item.get("ContentLength")
    found = {
        "etag": etag(item.get("ETag")),
        "version_id": item.get("VersionId") if item.get("VersionId") != "null" else None,
        "checksum": strongest(_checksums(item)),
        "last_modified": moment(item.get("LastModified")),
    }
    return Said(path, size, {key: value for key, value in found.items() if value})


def _checksums(item: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the checksums of whole objects: those of parts say nothing to others."""
    if item.get("ChecksumType") == "COMPOSITE":
        return
    for name, value in item.items():
        if name.startswith(_CHECKSUM) and isinstance(value, str):
            try:
                yield name.removeprefix(_CHECKSUM).lower(), b64decode(value, validate=True)
            except binascii.Error:
                continue


def _version(version: str | None) -> dict[str, str]:
    return {"VersionId": version} if version else {}


def _is_refused(error: OSError) -> bool:
    """Say whether an object has another etag than it must have."""
    response = getattr(error.__cause__, "response", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return bool(status == _PRECONDITION)
