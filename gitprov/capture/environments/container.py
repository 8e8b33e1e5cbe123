"""`container.json`: the container around the run, as far as it shows itself.

Runtimes tell little of themselves inside. What they leave out, a user can say, in
GITPROV_CONTAINER_IMAGE and GITPROV_CONTAINER_DIGEST. Ids and names of containers, of jobs and of
hosts are not recorded: equal environments give equal bytes.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import text_or_nothing
from gitprov.capture.url_credentials import without_credentials
from gitprov.codec.environment_text import CONTAINER, text

_IMAGE, _DIGEST = "GITPROV_CONTAINER_IMAGE", "GITPROV_CONTAINER_DIGEST"
_DIGEST_FORM = r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}"
_MAX_LABELS = 100
_MAX_TEXT = 1000
# What stands in /proc/self/cgroup or in the source of the topmost mount, inside.
_TRACES = {
    "kubernetes": ("/kubepods", "/kubelet/"),
    "podman": ("/libpod-", "/containers/storage/"),
    "docker": ("/docker/", "/docker-"),
    "containerd": ("/containerd/", "/cri-containerd"),
    "enroot": ("/pyxis_", "/enroot/", "/enroot-data/"),
    "lxc": ("/lxc/", "/lxc.payload"),
}
# The runtime, the image, and its labels.
_Seen = tuple[str | None, str | None, dict[str, str]]


def capture(request: Request, /) -> Findings:
    """Return container.json and the container in short; nothing where there is none."""
    return describe(Path("/"), request.env)


def describe(root: Path, env: Mapping[str, str]) -> Findings:
    """Return what the files under `root` and the variables say of the container."""
    runtime, image, labels = _runtime(root, env)
    image = env.get(_IMAGE) or image
    if runtime is None and image is None and not env.get(_DIGEST):
        return Findings()
    image = _clean(image) if image else None
    missing = {}
    digest = env.get(_DIGEST) or (image.rpartition("@")[2] if image and "@" in image else None)
    if digest and not re.fullmatch(_DIGEST_FORM, digest):
        if env.get(_DIGEST):
            reason = f"{_DIGEST} is no digest, which is as in sha256:0123…"
            missing["environment.container.digest"] = reason
        digest = None
    if image is None:
        reason = f"the runtime does not say which it is; {_IMAGE} can"
        missing["environment.container.image"] = reason
    document = known(runtime=runtime or "unknown", image=image, digest=digest, labels=labels)
    return Findings(
        files={CONTAINER: text("container.1", document)},
        container=_in_short(runtime, image, digest),
        missing=missing,
    )


def _in_short(runtime: str | None, image: str | None, digest: str | None) -> str:
    if image and digest and not image.endswith(f"@{digest}"):
        image = f"{image}@{digest}"
    return " ".join(word for word in (runtime, image or digest) if word)


def _runtime(root: Path, env: Mapping[str, str]) -> _Seen:
    """Return what runs the container, of which image, and the image's labels."""
    for look in (_apptainer, _podman, _told_by_variables):
        if seen := look(root, env):
            return seen
    if (root / ".dockerenv").exists():
        return "docker", None, {}
    return _by_traces(root), None, {}


def _apptainer(root: Path, env: Mapping[str, str]) -> _Seen | None:
    # Singularity is what it was called; the newer one sets the variables of both.
    for name in ("apptainer", "singularity"):
        prefix = name.upper()
        if image := env.get(f"{prefix}_CONTAINER") or env.get(f"{prefix}_NAME"):
            return name, image, _apptainer_labels(root)
    if (root / ".singularity.d").is_dir():
        return "apptainer", None, _apptainer_labels(root)
    return None


def _podman(root: Path, _env: Mapping[str, str]) -> _Seen | None:
    # The file is empty where the container has few rights.
    file = root / "run/.containerenv"
    if not file.is_file():
        return None
    values = dict(re.findall(r'^(\w+)="([^"\n]*)"$', text_or_nothing(file), re.MULTILINE))
    return "podman", values.get("image"), known(image_id=values.get("imageid"))


def _told_by_variables(_root: Path, env: Mapping[str, str]) -> _Seen | None:
    if image := env.get("PYXIS_CONTAINER_IMAGE"):
        return "enroot", image, {}
    if env.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes", None, {}
    return None


def _by_traces(root: Path) -> str | None:
    # systemd and LXC leave a word of their own for the programs inside.
    said = text_or_nothing(root / "run/systemd/container").strip()
    if said and re.fullmatch(r"[a-z][a-z0-9-]{0,30}", said):
        return said
    traces = text_or_nothing(root / "proc/self/cgroup") + _topmost_mount(root)
    for name, words in _TRACES.items():
        if any(word in traces for word in words):
            return name
    return None


def _topmost_mount(root: Path) -> str:
    """Return the line about the mount of `/`, which says where the runtime keeps its layers."""
    for line in text_or_nothing(root / "proc/self/mountinfo").splitlines():
        words = line.split(" ")
        if len(words) > 4 and words[4] == "/":  # noqa: PLR2004 -- proc(5): the mount point
            return line
    return ""


def _apptainer_labels(root: Path) -> dict[str, str]:
    try:
        document = json.loads(text_or_nothing(root / ".singularity.d/labels.json"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict):
        return {}
    labels = {name: value for name, value in sorted(document.items()) if isinstance(value, str)}
    short = {name: _clean(value) for name, value in labels.items() if len(name) <= _MAX_TEXT}
    return dict(list(short.items())[:_MAX_LABELS])


def _clean(said: str) -> str:
    return without_credentials(said.strip())[:_MAX_TEXT]
