"""Hardware, read from laid out /proc and /sys folders and from this machine."""

import os
from pathlib import Path

import pytest

from gitprov.capture.hardware import capture_hardware


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_shows_itself() -> None:
    hardware, missing = capture_hardware()
    assert hardware.cores is not None
    assert 1 <= hardware.cores <= (os.cpu_count() or 1)
    assert hardware.memory_bytes is not None
    assert hardware.memory_bytes > 1 << 20
    assert (hardware.cpu is None) == ("hardware.cpu" in missing)
    assert (not hardware.accelerators) == ("hardware.accelerators" in missing)


@pytest.mark.parametrize(
    ("cpuinfo", "cpu"),
    [
        ("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC  7B13\n", "AMD EPYC 7B13"),
        ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", "POWER9, altivec supported"),
        ("processor\t: 0\n\nModel\t\t: Raspberry Pi 4 Model B\n", "Raspberry Pi 4 Model B"),
        (
            "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
            "ARM implementer 0x41 part 0xd0c",
        ),
    ],
)
def test_cpu_of_several_architectures(tmp_path: Path, cpuinfo: str, cpu: str) -> None:
    hardware, missing = capture_hardware(lay_out(tmp_path, {"proc/cpuinfo": cpuinfo}))
    assert hardware.cpu == cpu
    assert "hardware.cpu" not in missing


def test_memory_is_bytes(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"proc/meminfo": "MemTotal:       65536 kB\nMemFree: 1 kB\n"})
    assert capture_hardware(root)[0].memory_bytes == 64 << 20


@pytest.mark.parametrize("limit", ["100000 100000", "50000 100000"])
def test_cores_are_limited_by_the_cgroup_and_those_above(tmp_path: Path, limit: str) -> None:
    files = {
        "proc/self/cgroup": "1:cpu:/old\n0::/slice/job\n",
        "sys/fs/cgroup/slice/job/cpu.max": "max 100000\n",
        "sys/fs/cgroup/slice/cpu.max": limit,
    }
    assert capture_hardware(lay_out(tmp_path, files))[0].cores == 1


def test_a_wide_or_damaged_limit_changes_nothing(tmp_path: Path) -> None:
    expected = capture_hardware(tmp_path)[0].cores
    for number, limit in enumerate(["99900000 100000", "max 100000", "", "1 0", "nonsense"]):
        files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": limit}
        root = lay_out(tmp_path / str(number), files)
        assert capture_hardware(root)[0].cores == expected


def test_nvidia_gpus_with_their_driver(tmp_path: Path) -> None:
    information = "Model: \t\t {}\nIRQ:   \t\t 42\nGPU UUID: \t GPU-0\n"
    version = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n"
        "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
    )
    gpus = "proc/driver/nvidia/gpus"
    files = {
        "proc/driver/nvidia/version": version,
        f"{gpus}/0000:41:00.0/information": information.format("Tesla V100-SXM2-16GB"),
        f"{gpus}/0000:01:00.0/information": information.format("NVIDIA A100-SXM4-80GB"),
    }
    hardware, missing = capture_hardware(lay_out(tmp_path, files))
    assert hardware.accelerators == (
        "NVIDIA A100-SXM4-80GB (driver 535.129.03)",
        "NVIDIA Tesla V100-SXM2-16GB (driver 535.129.03)",
    )
    assert "hardware.accelerators" not in missing


def test_amd_gpus_without_the_processor_nodes(tmp_path: Path) -> None:
    nodes = "sys/class/kfd/kfd/topology/nodes"
    files = {
        f"{nodes}/0/name": "\n",
        f"{nodes}/0/properties": "cpu_cores_count 64\ngfx_target_version 0\n",
        f"{nodes}/10/name": "navi31\n",
        f"{nodes}/10/properties": "simd_count 192\ngfx_target_version 110000\n",
        f"{nodes}/2/name": "aldebaran\n",
        f"{nodes}/2/properties": "simd_count 416\ngfx_target_version 90010\n",
    }
    hardware, _ = capture_hardware(lay_out(tmp_path, files))
    assert hardware.accelerators == ("AMD aldebaran gfx90a", "AMD navi31 gfx1100")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"proc/uptime": "1"}, "no NVIDIA or AMD driver is loaded"),
        (
            {"proc/driver/nvidia/version": "NVRM version: 550.54.14"},
            "the NVIDIA driver is loaded but shows no device",
        ),
        ({}, "the system has no /proc to read accelerators from"),
    ],
)
def test_why_there_is_no_accelerator(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    hardware, missing = capture_hardware(lay_out(tmp_path, files))
    assert hardware.accelerators == ()
    assert missing["hardware.accelerators"] == reason


def test_an_empty_root_is_no_error(tmp_path: Path) -> None:
    hardware, missing = capture_hardware(tmp_path)
    assert hardware.cpu is None
    assert "hardware.cpu" in missing
