"""`machine.json`: processor, memory, accelerators, and the toolkits that drive these.

Nothing in it differs between two runs on one machine: no load, no frequency, no address of a
device. Which cores and devices a run may use stands elsewhere, in its record.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import text_or_nothing
from gitprov.capture.hardware import devices, memory_bytes, processor, processor_name
from gitprov.codec.environment_text import MACHINE, text

_CUDA_PLACES = ("CUDA_HOME", "CUDA_PATH")
_ROCM_PLACES = ("ROCM_PATH", "ROCM_HOME")
_VERSION = r"\d+(\.\d+)+"


def capture(request: Request, /) -> Findings:
    """Return machine.json."""
    return describe(Path("/"), request.env)


def describe(root: Path, env: Mapping[str, str]) -> Findings:
    """Return what the files under `root` say; `env` says where toolkits are."""
    fields = processor(root)
    document = known(
        cpu=processor_name(fields),
        # Of x86 and of ARM.
        flags=sorted(set((fields.get("flags") or fields.get("Features") or "").split())),
        memory_bytes=memory_bytes(root),
        accelerators=[known(name=name, driver=driver) for name, driver in devices(root)],
        toolkits=known(CUDA=_cuda(root, env), ROCm=_rocm(root, env)),
    )
    return Findings(files={MACHINE: text("machine.1", document)})


def _cuda(root: Path, env: Mapping[str, str]) -> str | None:
    """Return the version of the toolkit; what frameworks bring themselves is not seen here."""
    for folder in _places(root, env, _CUDA_PLACES, "/usr/local/cuda"):
        try:
            version = str(json.loads(text_or_nothing(folder / "version.json"))["cuda"]["version"])
        except (ValueError, KeyError, TypeError, RecursionError):
            # Up to 10.2 it was `CUDA Version 10.2.89`.
            version = text_or_nothing(folder / "version.txt")
        if found := re.search(_VERSION, version):
            return found[0]
    return None


def _rocm(root: Path, env: Mapping[str, str]) -> str | None:
    for folder in _places(root, env, _ROCM_PLACES, "/opt/rocm"):
        if found := re.match(_VERSION, text_or_nothing(folder / ".info" / "version")):
            return found[0]
    return None


def _places(
    root: Path, env: Mapping[str, str], names: tuple[str, ...], usual: str
) -> Iterator[Path]:
    for place in (*(env.get(name, "") for name in names), usual):
        if place.startswith("/"):
            yield root / place.lstrip("/")
