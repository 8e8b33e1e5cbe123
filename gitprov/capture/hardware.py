"""The machine: processor, usable cores, memory and accelerators, read from /proc and /sys.

Starts no process and loads no driver's library, so it costs about a millisecond and cannot hang
on a broken GPU. What does not show itself is named with the reason.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gitprov.model.run import Hardware

_CPUINFO_BYTES = 16384  # the first processor; the kernel takes milliseconds to write all of many
_NVIDIA = "proc/driver/nvidia"
_AMD_NODES = "sys/class/kfd/kfd/topology/nodes"


class Device(NamedTuple):
    """An accelerator, and the version of its driver."""

    name: str
    driver: str | None


def capture_hardware(root: Path = Path("/")) -> tuple[Hardware, dict[str, str]]:
    """Return the hardware that the files under `root` tell of, and why fields are absent."""
    cpu, memory = processor_name(processor(root)), memory_bytes(root)
    accelerators = tuple(_in_words(device) for device in devices(root))
    missing = {}
    if cpu is None:
        missing["hardware.cpu"] = "the system has no /proc/cpuinfo that names a processor"
    if memory is None:
        missing["hardware.memory_bytes"] = "neither /proc/meminfo nor sysconf tells the memory"
    if not accelerators:
        missing["hardware.accelerators"] = _why_no_accelerator(root)
    hardware = Hardware(
        cpu=cpu,
        cores=_cores(root),
        memory_bytes=memory,
        accelerators=accelerators,
    )
    return hardware, missing


def processor(root: Path) -> dict[str, str]:
    """Return what the kernel says of the first processor, by its own names."""
    try:
        with (root / "proc/cpuinfo").open("rb", buffering=0) as file:
            text = file.read(_CPUINFO_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), " ".join(value.split()))
    return fields


def processor_name(fields: Mapping[str, str]) -> str | None:
    """Return the model of a processor, from what the kernel says of it."""
    for name in ("model name", "cpu model", "cpu", "Model", "Hardware"):
        if fields.get(name):
            return fields[name]
    if "CPU part" in fields:  # ARM servers give numbers only
        return f"ARM implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"
    return None


def memory_bytes(root: Path) -> int | None:
    """Return how much memory the machine has."""
    match = re.search(r"^MemTotal:\s*(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE)
    if match:
        return int(match[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def devices(root: Path) -> list[Device]:
    """Return the accelerators that drivers show, those of NVIDIA first."""
    return [*_nvidia(root), *_amd(root)]


def _read(path: Path) -> str:
    """Return a file's text; nothing where it is absent or may not be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _cores(root: Path) -> int | None:
    """Return how many cores the process may keep busy: its affinity, and its cgroup's share."""
    if hasattr(os, "sched_getaffinity"):
        cores: int | None = len(os.sched_getaffinity(0))
    else:  # macOS
        cores = os.cpu_count()
    shares = [math.ceil(share) for share in _cgroup_shares(root)]
    return min([cores, *shares]) if cores and shares else cores


def _cgroup_shares(root: Path) -> Iterator[float]:
    """Yield the limits, in cores, of the process's cgroup (version 2) and of those above it."""
    match = re.search(r"^0::/(.*)$", _read(root / "proc/self/cgroup"), re.MULTILINE)
    if match is None:
        return
    top = root / "sys/fs/cgroup"
    own = top / match[1]
    for folder in (own, *own.parents):
        words = _read(folder / "cpu.max").split()
        if len(words) == 2 and words[0].isdecimal() and words[1].isdecimal() and int(words[1]):  # noqa: PLR2004 -- "$MAX $PERIOD"
            yield max(int(words[0]) / int(words[1]), 1.0)
        if folder == top:
            return


def _in_words(device: Device) -> str:
    return f"{device.name} (driver {device.driver})" if device.driver else device.name


def _nvidia(root: Path) -> Iterator[Device]:
    """Yield each NVIDIA GPU with the driver's version, by PCI address."""
    version = re.search(r"\b\d{2,}\.\d+(\.\d+)*\b", _read(root / _NVIDIA / "version"))
    driver = version[0] if version else None
    for file in sorted((root / _NVIDIA / "gpus").glob("*/information")):
        model = re.search(r"^Model:[ \t]*(\S.*?)\s*$", _read(file), re.MULTILINE)
        if model:
            name = model[1]
            yield Device(name if name.startswith("NVIDIA") else f"NVIDIA {name}", driver)


def _amd(root: Path) -> Iterator[Device]:
    """Yield each AMD GPU that the compute driver knows, in its own order."""
    driver = _read(root / "sys/module/amdgpu/version").strip() or None
    nodes = [node for node in (root / _AMD_NODES).glob("*") if node.name.isdecimal()]
    for node in sorted(nodes, key=lambda node: int(node.name)):
        properties = _read(node / "properties")
        target = re.search(r"^gfx_target_version (\d+)$", properties, re.MULTILINE)
        if target and int(target[1]):  # processors are nodes too, with target 0
            name = _read(node / "name").strip()
            words = " ".join(word for word in ("AMD", name, _gfx(int(target[1]))) if word)
            yield Device(words, driver)


def _gfx(target: int) -> str:
    """Return the name of an AMD instruction set: 90010 is gfx90a, 110000 is gfx1100."""
    rest, stepping = divmod(target, 100)
    major, minor = divmod(rest, 100)
    return f"gfx{major}{minor:x}{stepping:x}"


def _why_no_accelerator(root: Path) -> str:
    if not (root / "proc").is_dir():
        return "the system has no /proc to read accelerators from"
    loaded = [
        name
        for name, place in (("NVIDIA", _NVIDIA), ("AMD", _AMD_NODES))
        if (root / place).is_dir()
    ]
    if loaded:
        return f"the {' and '.join(loaded)} driver is loaded but shows no device"
    return "no NVIDIA or AMD driver is loaded"
