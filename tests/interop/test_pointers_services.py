"""Versions that services name: lakeFS and the Hugging Face hub, each with its own client beside.

No package brings a server of either: `tests.support.services` stands in.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitprov.capture.data.pointers import identity_of, pinned
from tests.support.services import File, Service, basic, service

COMMIT = "c0ffee" + "0" * 58
REVISION = "5f" * 20
_LAKE = "/api/v1/repositories/lake"


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    commit = {
        "id": COMMIT,
        "parents": [],
        "committer": "ada",
        "message": "data",
        "creation_date": 1,
        "meta_range_id": "",
    }
    answers = {
        f"{_LAKE}/commits/main": commit,
        f"{_LAKE}/commits/main~1": commit | {"id": "d" * 64},
        f"{_LAKE}/commits/{COMMIT}": commit,
        f"{_LAKE}/branches/main/diff": {"results": [], "pagination": {}},
    }
    for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"LAKECTL_SERVER_{name}", raising=False)
        monkeypatch.delenv(f"LAKECTL_CREDENTIALS_{name}", raising=False)
    with service(answers, basic("key", "secret")) as serving:
        config = tmp_path / "lakectl.yaml"
        config.write_text(
            "credentials:\n  access_key_id: key\n  secret_access_key: secret\n"
            f"server:\n  endpoint_url: {serving.url}\n"
        )
        monkeypatch.setenv("LAKECTL_CONFIG_FILE", str(config))
        yield serving


def test_lakefs_branches_are_pinned(lake: Service) -> None:
    assert pinned("lakefs://lake/main/a b/part-0?.parquet") == (
        f"lakefs://lake/{COMMIT}/a b/part-0?.parquet",
        {"lakefs.repository": "lake", "lakefs.ref": "main", "lakefs.commit": COMMIT},
    )
    assert pinned("lakefs://lake/main~1/")[0] == f"lakefs://lake/{'d' * 64}/"
    assert pinned("lakefs://lake/main")[0] == f"lakefs://lake/{COMMIT}"
    again = pinned(f"lakefs://lake/{COMMIT}/x")
    assert again[0] == f"lakefs://lake/{COMMIT}/x"
    assert again[1]["lakefs.commit"] == COMMIT


def test_lakefs_changes_that_are_not_committed_are_told(lake: Service) -> None:
    lake.answers[f"{_LAKE}/branches/main/diff"] = {"results": [{"path": "x", "type": "added"}]}
    assert pinned("lakefs://lake/main/x")[1]["lakefs.uncommitted"].startswith("yes")
    assert lake.asked[-1].endswith("/branches/main/diff?prefix=x&amount=1")


def test_lakefs_variables_come_before_the_file(
    lake: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKECTL_CREDENTIALS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", "wrong")
    place, said = pinned("lakefs://lake/main/x")
    assert place == "lakefs://lake/main/x"
    assert said["lakefs.error"].startswith("the service answers 401")
    monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", f"{lake.url}/api/v1/")
    monkeypatch.setenv("LAKECTL_CREDENTIALS_SESSION_TOKEN", "token")
    lake.authorization = "Bearer token"
    assert pinned("lakefs://lake/main/x")[1]["lakefs.commit"] == COMMIT


@pytest.mark.data
def test_the_client_of_lakefs_hears_the_same(lake: Service) -> None:
    client: Any = pytest.importorskip("lakefs", reason="needs the group `data`")
    asking = client.Client(host=lake.url, username="key", password="secret")  # noqa: S106
    reference = client.Repository("lake", client=asking).ref("main")
    assert reference.get_commit().id == pinned("lakefs://lake/main/x")[1]["lakefs.commit"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    about = {"id": "ada/iris", "sha": REVISION, "siblings": [], "private": False}
    answers = {
        "/api/datasets/ada/iris/revision/main": about,
        "/api/datasets/ada/iris/revision/v1.0%2Fx": about | {"sha": "6a" * 20},
        "/api/datasets/ada/iris/revision/refs%2Fconvert%2Fparquet": about | {"sha": "7b" * 20},
        "/api/models/ada/net/revision/main": about | {"id": "ada/net"},
    }
    with service(answers) as serving:
        monkeypatch.setenv("HF_ENDPOINT", serving.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
            monkeypatch.delenv(name, raising=False)
        yield serving


@pytest.mark.parametrize(
    ("uri", "place", "ref", "sha"),
    [
        ("datasets/ada/iris/a b.csv", "datasets/ada/iris@{}/a b.csv", "main", REVISION),
        ("datasets/ada/iris@v1.0%2Fx/a", "datasets/ada/iris@{}/a", "v1.0/x", "6a" * 20),
        (
            "datasets/ada/iris@refs/convert/parquet/a/b",
            "datasets/ada/iris@{}/a/b",
            "refs/convert/parquet",
            "7b" * 20,
        ),
        ("ada/net/model.bin", "ada/net@{}/model.bin", "main", REVISION),
        ("models/ada/net", "ada/net@{}", "main", REVISION),
    ],
)
def test_revisions_are_pinned(hub: Service, uri: str, place: str, ref: str, sha: str) -> None:
    repo = place.partition("@")[0]
    assert pinned(f"hf://{uri}") == (
        f"hf://{place.format(sha)}",
        {"hf.repo": repo, "hf.ref": ref, "hf.revision": sha},
    )


def test_a_commit_is_pinned_without_asking(hub: Service) -> None:
    uri = f"hf://datasets/ada/iris@{REVISION}/a"
    assert pinned(uri)[0] == uri
    assert hub.asked == []


def test_who_is_offline_is_not_asked_for(hub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in pinned("hf://datasets/ada/iris/a")[1]["hf.error"]
    assert hub.asked == []


def test_the_token_stays_with_the_hub(hub: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent where the user has logged in, not to where that redirects to."""
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    hub.authorization = "Bearer hf_token"
    assert pinned("hf://datasets/ada/iris/a")[1]["hf.revision"] == REVISION
    with service({"/elsewhere": {"sha": "8c" * 20}}, "Bearer hf_token") as other:
        hub.answers["/api/datasets/ada/iris/revision/main"] = f"{other.url}/elsewhere"
        place, said = pinned("hf://datasets/ada/iris/a")
        assert place == "hf://datasets/ada/iris/a"
        assert said["hf.error"].startswith("the service answers 401")
        assert other.asked == ["/elsewhere"]


@pytest.mark.parametrize("answer", [404, 500, "not json", [1], {"sha": "short"}, "[" * 100_000])
def test_answers_that_are_none(hub: Service, answer: Any) -> None:
    hub.answers["/api/datasets/ada/iris/revision/main"] = answer
    place, said = pinned("hf://datasets/ada/iris/a")
    assert place == "hf://datasets/ada/iris/a"
    assert list(said) == ["hf.error"]


def test_services_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "does not answer" in pinned("hf://datasets/ada/iris/a")[1]["hf.error"]
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert "http" in pinned("hf://datasets/ada/iris/a")[1]["hf.error"]
    assert pinned("hf://one")[1]["hf.error"].startswith("not like hf://")


def test_other_uris_are_left_alone(hub: Service) -> None:
    for uri in ("s3://bucket/key", "zip://a::hf://datasets/ada/iris/b.zip", "data/x"):
        assert pinned(uri) == (uri, {})
    assert hub.asked == []


@pytest.mark.data
def test_the_client_of_the_hub_reads_pinned_uris_alike(hub: Service) -> None:
    client: Any = pytest.importorskip("huggingface_hub", reason="needs the group `data`")
    about = client.HfApi(endpoint=hub.url, token=False).dataset_info("ada/iris", revision="main")
    place, said = pinned("hf://datasets/ada/iris/data/a.csv")
    assert said["hf.revision"] == about.sha
    hub.answers[f"/api/datasets/ada/iris/revision/{about.sha}"] = {
        "id": "ada/iris",
        "sha": about.sha,
    }
    found = client.HfFileSystem(endpoint=hub.url, token=False).resolve_path(place)
    assert (found.repo_id, found.repo_type, found.revision) == ("ada/iris", "dataset", about.sha)
    assert found.path_in_repo == "data/a.csv"


@pytest.mark.data
@pytest.mark.parametrize("size", ["small", "large"])
def test_files_that_the_client_of_the_hub_has_fetched(
    size: str, hub: Service, tmp_path: Path
) -> None:
    client: Any = pytest.importorskip("huggingface_hub", reason="needs the group `data`")
    data = b"sepal,petal\n"
    sha256 = hashlib.sha256(data)
    blob = hashlib.sha1(b"blob %d\0%s" % (len(data), data), usedforsecurity=False)
    etag = (sha256 if size == "large" else blob).hexdigest()
    headers = {"ETag": f'"{etag}"', "X-Repo-Commit": REVISION}
    for revision in ("main", REVISION):
        hub.answers[f"/datasets/ada/iris/resolve/{revision}/sub/a.csv"] = File(data, headers)
    fetched = client.hf_hub_download(
        "ada/iris",
        "sub/a.csv",
        repo_type="dataset",
        endpoint=hub.url,
        token=False,
        cache_dir=tmp_path / "cache",
    )
    assert identity_of(Path(fetched), None, {"sha256": sha256.digest()}) == {
        "hf.repo": "datasets/ada/iris",
        "hf.revision": REVISION,
        "hf.etag": etag,
        "hf.matches": "yes",
    }


def test_files_of_the_local_cache(tmp_path: Path) -> None:
    """Laid out as the hub's client does: a link to a blob that is named by its etag."""
    data = b"content"
    sha256, blob = hashlib.sha256(data), hashlib.sha1(b"blob 7\0content", usedforsecurity=False)
    cache = tmp_path / "hub/datasets--ada--iris"
    snapshot = cache / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    known = {"hf.repo": "datasets/ada/iris", "hf.revision": REVISION}
    for name, digest in (("large", sha256), ("small", blob)):
        path = snapshot / name
        (cache / "blobs" / digest.hexdigest()).write_bytes(data)
        path.symlink_to(f"../../blobs/{digest.hexdigest()}")
        etag = {"hf.etag": digest.hexdigest()}
        ours = {"sha256": sha256.digest()}
        assert identity_of(path, None, ours) == known | etag | {"hf.matches": "yes"}
        path.write_bytes(b"altered")
        altered = identity_of(path, None, {"sha256": hashlib.sha256(b"altered").digest()})
        assert altered["hf.matches"] == "no: the content has another digest"
    assert identity_of(snapshot, None, {}) == known
    elsewhere = tmp_path / "snapshots" / REVISION
    elsewhere.mkdir(parents=True)
    assert identity_of(elsewhere, None, {}) == {}
