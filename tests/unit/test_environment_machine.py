"""The machine, read from laid out folders and from this one."""

import json
from pathlib import Path

from gitprov.capture.environments import machine
from gitprov.capture.environments.kind import Findings
from gitprov.capture.hardware import capture_hardware
from gitprov.codec.environment_files import read_environment
from gitprov.model.environment import Accelerator, Machine
from tests.unit.test_hardware import lay_out

CPUINFO = """\
processor\t: 0
model name\t: Fast  CPU
cpu MHz\t\t: 2999.998
flags\t\t: sse2 avx fpu avx
bogomips\t: 5999.99

processor\t: 1
flags\t\t: other
"""


def said(findings: Findings) -> Machine:
    found = read_environment(findings.files, findings.locks).machine
    assert found is not None
    return found


def test_this_machine_says_the_same_again() -> None:
    first = machine.describe(Path("/"), {})
    assert machine.describe(Path("/"), {}) == first
    hardware, _ = capture_hardware()
    found = said(first)
    assert (found.cpu, found.memory_bytes) == (hardware.cpu, hardware.memory_bytes)
    assert len(found.accelerators) == len(hardware.accelerators)


def test_processor_memory_and_flags(tmp_path: Path) -> None:
    files = {"proc/cpuinfo": CPUINFO, "proc/meminfo": "MemTotal:  2048 kB\nMemFree: 7 kB\n"}
    found = machine.describe(lay_out(tmp_path, files), {})
    assert said(found) == Machine(
        cpu="Fast CPU", flags=("avx", "fpu", "sse2"), memory_bytes=2048 << 10
    )
    # No frequency, and one flag a line.
    assert b"MHz" not in found.files["machine.json"]
    assert b'\n  "avx",\n' in found.files["machine.json"]


def test_flags_of_arm_and_of_many_words(tmp_path: Path) -> None:
    flags = [f"flag{number:04}" for number in range(900)]
    text = f"processor : 0\nFeatures : {' '.join(flags)}\nCPU part : 0xd0c\n\n"
    root = lay_out(tmp_path, {"proc/cpuinfo": text * 8})
    assert said(machine.describe(root, {})).flags == tuple(flags)


def test_accelerators_with_their_drivers(tmp_path: Path) -> None:
    nodes = "sys/class/kfd/kfd/topology/nodes"
    files = {
        "proc/driver/nvidia/version": "NVRM version: NVIDIA Kernel Module  535.129.03  Thu\n",
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t Tesla V100\nIRQ: 4\n",
        f"{nodes}/1/name": "navi31\n",
        f"{nodes}/1/properties": "gfx_target_version 110000\n",
    }
    found = machine.describe(lay_out(tmp_path, files), {})
    assert said(found).accelerators == (
        Accelerator(name="NVIDIA Tesla V100", driver="535.129.03"),
        Accelerator(name="AMD navi31 gfx1100"),
    )
    assert b"0000:01" not in found.files["machine.json"]


def test_toolkits(tmp_path: Path) -> None:
    version = json.dumps({"cuda": {"name": "CUDA SDK", "version": "12.1.1"}})
    files = {
        "usr/local/cuda/version.json": version,
        "opt/old/version.txt": "CUDA Version 10.2.89\n",
        "opt/torn/version.json": "[" * 10_000,
        "opt/odd/version.json": '{"cuda": ["12.9"]}',
        "opt/rocm/.info/version": "5.7.1-98\n",
        "opt/rocm-6/.info/version": "6.0.2\n",
    }
    root = lay_out(tmp_path, files)
    assert said(machine.describe(root, {})).toolkits == {"CUDA": "12.1.1", "ROCm": "5.7.1"}
    env = {"CUDA_HOME": "/opt/old", "ROCM_PATH": "/opt/rocm-6"}
    assert said(machine.describe(root, env)).toolkits == {"CUDA": "10.2.89", "ROCm": "6.0.2"}
    for place in ("/opt/torn", "/opt/odd", "/nowhere", "a\0b", "/a\0b", ""):
        env = {"CUDA_HOME": place, "CUDA_PATH": place}
        assert said(machine.describe(root, env)).toolkits["CUDA"] == "12.1.1"


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    found = said(machine.describe(tmp_path, {}))
    assert (found.cpu, found.flags, found.accelerators, found.toolkits) == (None, (), (), {})
