"""lakeFS: `lakefs://repository/ref/path` pinned to the commit.

Endpoint and credentials are those of lakectl: `LAKECTL_*` variables before `~/.lakectl.yaml` (or
`LAKECTL_CONFIG_FILE`). What is on a branch and not committed is not in the commit: the record says
so where the branch has such changes at or below the path.
"""

import base64
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from gitprov.capture.data.pointers.kind import BrokenPointer
from gitprov.capture.data.pointers.reading import read_yaml, text_of
from gitprov.capture.data.pointers.web import NotThere, ask

_URI = re.compile(r"lakefs://(?P<repo>[^/]+)/(?P<ref>[^/]+)(?P<path>/.*)?")
_COMMIT = re.compile("[0-9a-f]{16,128}")
_API = "/api/v1"


def pinned(uri: str) -> tuple[str, Mapping[str, str]]:
    """Return the URI of the commit that a branch, tag or expression means now."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise BrokenPointer("not like lakefs://REPOSITORY/REF/PATH")
    repo, ref, path = match["repo"], match["ref"], match["path"] or ""
    endpoint, headers = _server()
    repository = f"{endpoint}/repositories/{quote(repo, safe='')}"
    commit = ask(f"{repository}/commits/{quote(ref, safe='')}", headers).get("id")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise BrokenPointer("the server names no commit")
    said = {"lakefs.repository": repo, "lakefs.ref": ref, "lakefs.commit": commit}
    if ref != commit:
        query = urlencode({"prefix": path.removeprefix("/"), "amount": 1})
        try:
            changes = ask(f"{repository}/branches/{quote(ref, safe='')}/diff?{query}", headers)
        except NotThere:  # no branch
            changes = {}
        if changes.get("results"):
            said["lakefs.uncommitted"] = "yes: the branch has changes that the commit has not"
    return f"lakefs://{repo}/{commit}{path}", said


def _server() -> tuple[str, dict[str, str]]:
    """Return the URL of the API, and the headers that a request needs."""
    variables = os.environ
    place = Path(variables.get("LAKECTL_CONFIG_FILE", "~/.lakectl.yaml")).expanduser()
    config = read_yaml(place) if place.is_file() else {}
    server = config.get("server") if isinstance(config, dict) else None
    credentials = config.get("credentials") if isinstance(config, dict) else None
    endpoint = variables.get("LAKECTL_SERVER_ENDPOINT_URL") or text_of(server, "endpoint_url")
    if not endpoint:
        raise BrokenPointer("no server is configured; run: lakectl config")
    endpoint = endpoint.rstrip("/").removesuffix(_API) + _API
    token = variables.get("LAKECTL_CREDENTIALS_SESSION_TOKEN")
    if token:
        return endpoint, {"Authorization": f"Bearer {token}"}
    key = variables.get("LAKECTL_CREDENTIALS_ACCESS_KEY_ID") or text_of(
        credentials, "access_key_id"
    )
    secret = variables.get("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY") or text_of(
        credentials, "secret_access_key"
    )
    if not key or not secret:
        return endpoint, {}
    basic = base64.b64encode(f"{key}:{secret}".encode()).decode()
    return endpoint, {"Authorization": f"Basic {basic}"}
