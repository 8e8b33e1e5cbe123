"""Environments without secrets: digests are none, tokens are, wherever they stand."""

from secrets import token_hex

from gitprov.capture.environments import CapturedEnvironment
from gitprov.capture.environments.without_secrets import without_secrets
from gitprov.capture.secrets.allowed import Allowed
from gitprov.capture.secrets.redaction import Redactor
from gitprov.capture.secrets.scanner import Scanner
from gitprov.codec.environment_text import text
from tests.support.secrets import github_token

LOCK = "conda-explicit.txt"


def captured(files: dict[str, bytes], *locks: str) -> CapturedEnvironment:
    return CapturedEnvironment(files=files, python=None, platform="x", locks=locks, missing={})


def redacted(environment: CapturedEnvironment) -> CapturedEnvironment:
    redactor = Redactor(Scanner(Allowed()), lambda: bytes(32), allowed=Allowed())
    return without_secrets(environment, redactor)


def digits(count: int) -> str:
    return token_hex(count)[:count]


def test_digests_and_commits_are_no_secrets() -> None:
    host = "https://conda.example/lab/linux-64"
    conda = [
        {
            "name": f"token{number}",
            "version": "1.0",
            "build": f"py311h{digits(7)}_0",
            "md5": digits(32),
            "sha256": digits(64),
            "url": f"{host}/token{number}-1.0-py311h{digits(7)}_0.conda",
        }
        for number in range(40)
    ]
    lines = [f"{item['url']}#{item['md5']}\n" for item in conda]
    lines += [f"{item['url']}#sha256:{item['sha256']}\n" for item in conda]
    editable = {"name": "secrets", "path": "/home/ada/secrets", "dirty": True}
    editable |= {"commit": digits(40), "tree": digits(40)}
    package = {"name": "password", "version": "1", "source": f"github::lab/x@{digits(40)}"}
    image = {"image": "lab/x", "digest": f"sha256:{digits(64)}", "labels": {"image_id": digits(64)}}
    files = {
        "conda.json": text("conda.1", {"packages": conda, "prefix": "/opt/token"}),
        LOCK: ("@EXPLICIT\n" + "".join(lines)).encode(),
        "editables.json": text("editables.1", {"editables": [editable]}),
        "r.json": text("r.1", {"packages": [package]}),
        "julia.json": text("julia.1", {"packages": [package | {"source": f"tree {digits(40)}"}]}),
        "container.json": text("container.1", {"runtime": "podman", **image}),
    }
    environment = captured(files, LOCK)
    assert redacted(environment) == environment


def test_a_token_in_what_a_user_says_is_kept_out() -> None:
    token = github_token()
    labels = {"note": f"built with {token}"}
    files = {
        "container.json": text("container.1", {"runtime": "docker", "labels": labels}),
        LOCK: f"@EXPLICIT\nhttps://conda.example/{token}/x.conda\n".encode(),
    }
    found = redacted(captured(files, LOCK))
    assert set(found.files) == {"container.json"}
    assert b"{secret:" in found.files["container.json"]
    assert token.encode() not in found.files["container.json"]
    assert found.locks == ()
    assert found.missing[f"environment.locks.{LOCK}"].startswith("left out: it holds a secret")
