"""The container around a run, as runtimes show themselves in laid out folders."""

import json
from pathlib import Path

import pytest

from gitprov.capture.environments import container
from gitprov.capture.environments.kind import Findings
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import Container
from tests.unit.test_hardware import lay_out

DIGEST = f"sha256:{'ab' * 32}"
ID = "0123456789abcdef" * 4
UNKNOWN = "environment.container.image"


def said(findings: Findings) -> Container:
    found = read_environment(findings.files, findings.locks).container
    assert found is not None
    return found


def test_no_container(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user.slice/user-1000.slice\n",
        "proc/self/mountinfo": "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"40 22 0:3 / /var/lib/docker/overlay2/{ID}/merged rw - overlay overlay rw\n",
    }
    assert container.describe(lay_out(tmp_path, files), {}) == Findings()


@pytest.mark.parametrize(
    ("files", "env", "runtime"),
    [
        ({".dockerenv": ""}, {}, "docker"),
        ({"proc/self/cgroup": f"12:memory:/docker/{ID}\n"}, {}, "docker"),
        (
            {"proc/self/mountinfo": f"1 0 0:5 / / rw - overlay o lower=/var/lib/docker/o/{ID}\n"},
            {},
            "docker",
        ),
        ({"run/.containerenv": ""}, {}, "podman"),
        ({"proc/self/cgroup": f"0::/kubepods/burstable/pod1/{ID}\n"}, {}, "kubernetes"),
        ({".dockerenv": ""}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        ({"run/systemd/container": "lxc\n"}, {}, "lxc"),
        ({"proc/self/mountinfo": "1 0 0:5 /data/pyxis_77.0 / rw - ext4 /dev/x rw\n"}, {}, "enroot"),
        ({".singularity.d/env/x.sh": ""}, {}, "apptainer"),
    ],
)
def test_what_runs_it(
    tmp_path: Path, files: dict[str, str], env: dict[str, str], runtime: str
) -> None:
    found = container.describe(lay_out(tmp_path, files), env)
    assert said(found) == Container(runtime=runtime)
    assert found.container == runtime
    assert "GITPROV_CONTAINER_IMAGE can" in found.missing[UNKNOWN]
    text = found.files["container.json"]
    assert ID.encode() not in text
    assert b"10.0.0.1" not in text
    assert b"77" not in text


def test_podman_tells_the_image(tmp_path: Path) -> None:
    text = (
        'engine="podman-4.3.1"\nname="eager_turing"\n'
        f'id="{ID}"\nimage="docker.io/library/python:3.11"\nimageid="{"cd" * 32}"\nrootless=1\n'
    )
    found = container.describe(lay_out(tmp_path, {"run/.containerenv": text}), {})
    image = "docker.io/library/python:3.11"
    labels = {"image_id": "cd" * 32}
    assert said(found) == Container(runtime="podman", image=image, labels=labels)
    assert found.container == f"podman {image}"
    assert found.missing == {}
    assert b"turing" not in found.files["container.json"]


def test_apptainer_with_the_labels_of_its_image(tmp_path: Path) -> None:
    labels = {"org.label-schema.usage.singularity.deffile.from": "debian:12", "odd": 3}
    root = lay_out(tmp_path, {".singularity.d/labels.json": json.dumps(labels)})
    env = {"APPTAINER_CONTAINER": "/images/lab.sif", "SINGULARITY_CONTAINER": "/images/lab.sif"}
    found = container.describe(root, env)
    assert said(found) == Container(
        runtime="apptainer",
        image="/images/lab.sif",
        labels={"org.label-schema.usage.singularity.deffile.from": "debian:12"},
    )
    assert said(container.describe(root, {"SINGULARITY_NAME": "x.sif"})).runtime == "singularity"
    for damage in ("", "[1]", "{", "[" * 100_000):
        lay_out(tmp_path, {".singularity.d/labels.json": damage})
        assert said(container.describe(root, env)).labels == {}


def test_pyxis(tmp_path: Path) -> None:
    found = container.describe(tmp_path, {"PYXIS_CONTAINER_IMAGE": "nvcr.example#lab/torch:1"})
    assert said(found) == Container(runtime="enroot", image="nvcr.example#lab/torch:1")


def test_the_user_knows_better(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {".dockerenv": ""})
    env = {"GITPROV_CONTAINER_IMAGE": "lab/torch:1", "GITPROV_CONTAINER_DIGEST": DIGEST}
    found = container.describe(root, env)
    assert said(found) == Container(runtime="docker", image="lab/torch:1", digest=DIGEST)
    assert found.container == f"docker lab/torch:1@{DIGEST}"
    assert found.missing == {}
    pinned = container.describe(root, {"GITPROV_CONTAINER_IMAGE": f"lab/torch@{DIGEST}"})
    assert said(pinned).digest == DIGEST
    assert pinned.container == f"docker lab/torch@{DIGEST}"
    alone = container.describe(tmp_path / "nowhere", {"GITPROV_CONTAINER_DIGEST": DIGEST})
    assert said(alone) == Container(runtime="unknown", digest=DIGEST)
    assert alone.container == DIGEST


def test_what_is_no_digest_is_named(tmp_path: Path) -> None:
    for digest in ("latest", "sha256:", "sha256:xyz", f"{DIGEST}\n", "\udcff"):
        env = {"GITPROV_CONTAINER_IMAGE": "lab/torch", "GITPROV_CONTAINER_DIGEST": digest}
        found = container.describe(tmp_path, env)
        assert said(found) == Container(runtime="unknown", image="lab/torch")
        assert "is no digest" in found.missing["environment.container.digest"]


def test_credentials_are_left_out(tmp_path: Path) -> None:
    env = {"GITPROV_CONTAINER_IMAGE": "https://ada:hunter2secret@registry.example/lab"}
    assert said(container.describe(tmp_path, env)).image == "https://registry.example/lab"
