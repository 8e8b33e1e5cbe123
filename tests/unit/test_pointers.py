"""Pointers that are broken, or meant to do harm; and inputs that are none."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.pointers import identity_of, pinned
from gitprov.capture.data.pointers.dvc_md5 import md5_of_file, md5_of_folder, md5_of_listing
from gitprov.capture.pointer_files import annex_key, lfs_pointer

_ONE = hashlib.md5(b"1", usedforsecurity=False).hexdigest()


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def said(path: Path, top: Path | None = None) -> Mapping[str, str]:
    return identity_of(path, top, {})


def test_what_nobody_points_at_is_nobodys(tmp_path: Path) -> None:
    write(tmp_path / "table.csv", "a,b\n")
    (tmp_path / "link").symlink_to("table.csv")
    os.mkfifo(tmp_path / "pipe")
    assert said(Path("/")) == {}
    for name in ("", "table.csv", "link", "pipe", "missing", "\0"):
        assert said(tmp_path / name) == {}
        assert said(tmp_path / name, tmp_path) == {}


def test_an_ordinary_input_costs_no_imports(tmp_path: Path) -> None:
    write(tmp_path / "table.csv", "a,b\n")
    program = (
        "import sys; from pathlib import Path\n"
        "from gitprov.capture.data.pointers import identity_of\n"
        "assert identity_of(Path('table.csv'), Path.cwd(), {}) == {}\n"
        "print([name for name in ('yaml', 'urllib.request', 'fsspec') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout == "[]\n"


def test_md5_of_an_empty_folder_is_that_of_an_empty_list(tmp_path: Path) -> None:
    assert md5_of_folder(tmp_path) == md5_of_listing([]) == "d751713988987e9331980363e24189ce.dir"
    assert md5_of_file(bytes(write(tmp_path / "one", "1"))) == _ONE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "X.dvc is not a map"),
        ("{", "X.dvc is not YAML"),
        ("\x00", "X.dvc is not YAML"),
        (b"\xff\xff", "X.dvc is not YAML"),
        ("- " * 100_000, "X.dvc is nested too deeply"),
        ("[" * 100_000, "X.dvc is nested too deeply"),
        ("{a: " * 100_000, "X.dvc is nested too deeply"),
        ("# " + "x" * (5 << 20), "X.dvc is larger than 4194304 bytes"),
        ("outs: []", "X.dvc names no output"),
        ("outs: 1", "X.dvc names no output"),
        ("a: &a [*a]\nouts: *a", "X.dvc names no output"),
        ("outs: [{md5: 1}]", "an output has no path"),
        ("outs: [{path: X, md5: no}]", "an md5 is none"),
        ('outs: [{path: "X\\0"}]', "a path is none"),
        ("outs: [{path: ../../X}]", "a path leads out of the repository"),
        ("outs: [{path: /etc/passwd}]", "a path leads out of the repository"),
        ("wdir: /\nouts: [{path: etc/passwd}]", "a path leads out of the repository"),
        ("outs: [{path: s3://bucket/key}]", "it tracks what is not local"),
        ("outs: [{path: X, files: [{relpath: a, md5: no}]}]", "the listing of a folder is damaged"),
        ('outs: [{path: X, version_id: "a\\e[2J"}]', "a field of dvc is no text of a line"),
    ],
)
def test_broken_pointers_of_dvc(text: str | bytes, reason: str, tmp_path: Path) -> None:
    top = tmp_path / "top"
    write(top / ".dvc/config", "")
    write(top / "X", "1")
    pointer = write(top / "X.dvc", text)
    assert said(pointer, top) == {"dvc.error": reason}
    assert said(top / "X", top) == {"dvc.error": reason}


def test_pointers_of_dvc_that_lead_out_by_a_link(tmp_path: Path) -> None:
    write(tmp_path / "secret", "1")
    top = tmp_path / "top"
    write(top / ".dvc/config", "")
    (top / "X").symlink_to("../secret")
    pointer = write(top / "X.dvc", f"outs: [{{path: X, hash: md5, md5: {_ONE}}}]")
    assert said(pointer, top) == {"dvc.error": "a path leads out of the repository"}
    # This one the user has named.
    assert said(top / "X", top)["dvc.matches"] == "yes"


def test_pointers_of_dvc_that_are_pipes(tmp_path: Path) -> None:
    write(tmp_path / ".dvc/config", "")
    write(tmp_path / "X", "1")
    os.mkfifo(tmp_path / "X.dvc")
    os.mkfifo(tmp_path / "dvc.lock")
    assert said(tmp_path / "X", tmp_path) == {}


@pytest.mark.parametrize(
    ("ignored", "reason"),
    [
        ("", None),
        (Path(os.devnull), ".dvcignore is not a file"),
        ("#" * 65_537, ".dvcignore is larger than 65536 bytes"),
        ("a\n" * 257, "there are more than 256 patterns in .dvcignore"),
    ],
    ids=["none", "device", "large", "many"],
)
def test_no_dvcignore_takes_all_memory(
    ignored: str | Path, reason: str | None, tmp_path: Path
) -> None:
    """A link in a repository may lead it anywhere."""
    top = tmp_path
    write(top / ".dvc/config", "")
    write(top / "X/file", "1")
    md5 = md5_of_folder(top / "X")
    write(top / "X.dvc", f"outs: [{{path: X, hash: md5, md5: {md5}}}]")
    if isinstance(ignored, Path):
        (top / ".dvcignore").symlink_to(ignored)
    else:
        write(top / ".dvcignore", ignored)
    assert said(top / "X", top)["dvc.matches"] == (f"unknown: {reason}" if reason else "yes")


def test_what_dvc_2_wrote(tmp_path: Path) -> None:
    """It took the md5 of text after changing its line ends: a difference means nothing."""
    write(tmp_path / "X", "1")
    pointer = write(tmp_path / "X.dvc", f"outs: [{{path: X, md5: {_ONE}}}]")
    assert said(pointer)["dvc.matches"] == "yes"
    write(tmp_path / "X", "2")
    assert said(pointer)["dvc.matches"].startswith("unknown: DVC 2")


# As DVC 3.67 writes it after a push to a remote with `version_aware`.
_CLOUD = """\
outs:
- hash: md5
  path: data
  files:
  - relpath: a
    md5: 60b725f10c9c85c70d97880dfe8191b3
    size: 2
    cloud:
      store:
        etag: 60b725f10c9c85c70d97880dfe8191b3
        version_id: 745005b9-1a32-40c4-9c72-861bd3c8e704
  - relpath: sub/b
    md5: 3b5d5c3712955042212316173ccf37be
    size: 2
    cloud:
      store:
        etag: 3b5d5c3712955042212316173ccf37be
        version_id: 078e037b-af27-4f97-91c3-7f65d02c6bc5
"""
_CLOUD_FILE = """\
outs:
- md5: 5bbf5a52328e7439ae6e719dfe712200
  size: 4
  hash: md5
  path: one.csv
  cloud:
    store:
      etag: 5bbf5a52328e7439ae6e719dfe712200
      version_id: 70da6276-3219-4747-8b04-3521ef224edf
"""


def test_versions_in_a_cloud(tmp_path: Path) -> None:
    write(tmp_path / "data/a", "a\n")
    write(tmp_path / "data/sub/b", "b\n")
    write(tmp_path / "data.dvc", _CLOUD)
    whole = md5_of_folder(tmp_path / "data")
    assert said(tmp_path / "data", tmp_path) == {
        "dvc.path": "data",
        "dvc.md5": whole,
        "dvc.matches": "yes",
    }
    (tmp_path / ".dvc").mkdir()
    assert said(tmp_path / "data/sub/b", tmp_path) == {
        "dvc.path": "data",
        "dvc.folder_md5": whole,
        "dvc.remote": "store",
        "dvc.etag": "3b5d5c3712955042212316173ccf37be",
        "dvc.version_id": "078e037b-af27-4f97-91c3-7f65d02c6bc5",
        "dvc.md5": "3b5d5c3712955042212316173ccf37be",
        "dvc.matches": "yes",
    }
    write(tmp_path / "one.csv", "one\n")
    write(tmp_path / "one.csv.dvc", _CLOUD_FILE)
    assert said(tmp_path / "one.csv", tmp_path) == {
        "dvc.path": "one.csv",
        "dvc.md5": "5bbf5a52328e7439ae6e719dfe712200",
        "dvc.remote": "store",
        "dvc.etag": "5bbf5a52328e7439ae6e719dfe712200",
        "dvc.version_id": "70da6276-3219-4747-8b04-3521ef224edf",
        "dvc.matches": "yes",
    }


def test_sources_are_recorded_without_passwords(tmp_path: Path) -> None:
    source = {"path": "https://ada:secret@example.org/x?X-Amz-Signature=0123456789abcdef0123"}
    write(
        tmp_path / "X.dvc",
        json.dumps({"deps": [source], "outs": [{"path": "X", "md5": _ONE}]}),
    )
    assert said(tmp_path / "X.dvc")["dvc.source"] == "https://example.org/x"


def test_listings_in_dvcs_cache_are_checked(tmp_path: Path) -> None:
    listing = md5_of_listing([("a", _ONE)])
    write(tmp_path / "data/a", "1")
    write(tmp_path / "data.dvc", f"outs: [{{path: data, hash: md5, md5: {listing}}}]")
    cached = tmp_path / ".dvc/cache/files/md5" / listing[:2] / listing[2:]
    write(cached, json.dumps([{"md5": _ONE, "relpath": "a"}]))
    assert said(tmp_path / "data/a")["dvc.md5"] == _ONE
    for damaged in ("[]", "{", "[" * 100_000, '[{"md5": 1}]', "[1]", '{"a": 1}'):
        write(cached, damaged)
        assert list(said(tmp_path / "data/a")) == ["dvc.error"]


def test_lock_files_of_another_schema(tmp_path: Path) -> None:
    write(tmp_path / ".dvc/config", "")
    write(tmp_path / "X", "1")
    write(tmp_path / "dvc.lock", "schema: '3.0'\nstages: {}\n")
    assert said(tmp_path / "X") == {"dvc.error": "dvc.lock has the schema 3.0, not 2.0"}


@pytest.mark.parametrize(
    "text",
    [
        b"version https://git-lfs.github.com/spec/v1\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize -1\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"0" * 64
        + b"\nsize 1\n"
        + b"\n" * 1024,
    ],
)
def test_what_only_begins_like_a_pointer_of_lfs(text: bytes, tmp_path: Path) -> None:
    assert lfs_pointer(text) is None
    assert said(write(tmp_path / "file", text)) == {}


def test_keys_of_git_annex() -> None:
    key = annex_key("SHA256E-s3-m12-S1-C1--98ea.tar.gz")
    assert key is not None
    assert (key.backend, key.name) == ("SHA256E", "98ea.tar.gz")
    assert annex_key("no-key") is None


def commit(log: Path, number: int, *actions: Any) -> None:
    write(log / f"{number:020}.json", "\n".join(map(json.dumps, actions)))


def test_delta_logs(tmp_path: Path) -> None:
    log = tmp_path / "_delta_log"
    log.mkdir()
    assert said(tmp_path) == {"delta.error": "the log of the table is empty"}
    commit(log, 0, {"protocol": {}}, {"metaData": {"id": "first"}})
    commit(log, 1, {"add": {"path": '"metaData"'}})
    assert said(tmp_path) == {"delta.version": "1", "delta.table_id": "first"}
    commit(log, 2, {"metaData": {"id": "replaced"}})
    assert said(tmp_path) == {"delta.version": "2", "delta.table_id": "replaced"}
    write(log / f"{7:020}.checkpoint.parquet", "")
    assert said(tmp_path)["delta.version"] == "7"
    write(log / f"{8:020}.json", '{"metaData')
    assert said(tmp_path)["delta.version"] == "8"
    write(log / f"{9:020}.json", '"metaData" {')
    assert said(tmp_path) == {"delta.error": "the log of the table is damaged"}


def test_delta_logs_whose_commits_were_cleaned_up(tmp_path: Path) -> None:
    log = tmp_path / "_delta_log"
    write(log / f"{7:020}.checkpoint.parquet", "")
    write(
        log / "_last_checkpoint",
        json.dumps({"version": 7, "v2Checkpoint": {"nonFileActions": [{"metaData": {"id": "x"}}]}}),
    )
    assert said(tmp_path) == {"delta.version": "7", "delta.table_id": "x"}


def metadata(path: Path, snapshot: int | None, *, packed: bool = False) -> None:
    text = json.dumps({"table-uuid": "uuid", "current-snapshot-id": snapshot}).encode()
    write(path, gzip.compress(text) if packed else text)


def test_metadata_of_iceberg(tmp_path: Path) -> None:
    folder = tmp_path / "metadata"
    write(folder / "notes.json", "{}")
    assert said(tmp_path) == {}
    metadata(folder / "00009-a.metadata.json", 1)
    metadata(folder / "00010-b.gz.metadata.json", 2, packed=True)
    assert said(tmp_path) == {
        "iceberg.metadata": "metadata/00010-b.gz.metadata.json",
        "iceberg.table_uuid": "uuid",
        "iceberg.snapshot_id": "2",
    }
    metadata(folder / "00010-c.metadata.json", -1)
    assert said(tmp_path) == {"iceberg.error": "several files of metadata have the highest number"}


def test_the_hint_of_iceberg(tmp_path: Path) -> None:
    folder = tmp_path / "metadata"
    metadata(folder / "v1.metadata.json", None)
    metadata(folder / "v2.metadata.json", 2)
    write(folder / "version-hint.text", "1\n")
    assert said(tmp_path)["iceberg.metadata"] == "metadata/v1.metadata.json"
    for hint in ("3", "../../etc", "", "\u0663"):
        write(folder / "version-hint.text", hint)
        assert said(tmp_path) == {"iceberg.error": "the version hint names no metadata"}


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\x1f\x8b\0", b"[" * 100_000])
def test_damaged_metadata_of_iceberg(data: bytes, tmp_path: Path) -> None:
    write(tmp_path / "metadata/v1.metadata.json", data)
    assert said(tmp_path) == {"iceberg.error": "the metadata of the table is damaged"}


def test_servers_that_are_not_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKECTL_SERVER_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("LAKECTL_CONFIG_FILE", str(tmp_path / "none"))
    uri = "lakefs://lake/main/x"
    assert pinned(uri) == (
        uri,
        {"lakefs.error": "no server is configured; run: lakectl config"},
    )
    assert list(pinned("lakefs://lake")[1]) == ["lakefs.error"]
