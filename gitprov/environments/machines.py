"""What two environments differ in below what is installed for a language: system, machine."""

from collections import Counter
from collections.abc import Iterator

from gitprov.environments.named_changes import (
    come_or_gone,
    value_change,
    value_changes,
    version_changes,
)
from gitprov.model.environment import (
    Accelerator,
    Container,
    Environment,
    LinearAlgebra,
    Machine,
    SystemPackages,
)
from gitprov.model.environment_changes import Change
from gitprov.model.environment_wording import container_text
from gitprov.model.wording import size_text

# Kernels of one machine differ in what they take of it for themselves.
_MEMORY_TOLERANCE = 0.01


def system_changes(before: Environment, after: Environment) -> Iterator[Change]:
    """Yield how the operating systems differ, and the containers around them."""
    if before.system and after.system:
        yield from value_changes("system", before.system, after.system)
    if before.system_packages is not None and after.system_packages is not None:
        yield from _system_packages(before.system_packages, after.system_packages)
    # Where no machine was recorded, containers and libraries were not asked for either.
    if before.machine is not None and after.machine is not None:
        yield from _container(before.container, after.container)


def hardware_changes(before: Environment, after: Environment) -> Iterator[Change]:
    """Yield how the machines differ, and what computes on them."""
    if before.machine is not None and after.machine is not None:
        yield from _machine(before.machine, after.machine)
        sides = [
            {item.user: _library(item) for item in side.linear_algebra} for side in (before, after)
        ]
        yield from value_changes("linear-algebra", *sides)


def _library(item: LinearAlgebra) -> str:
    return f"{item.library} {item.version}" if item.version else item.library


def _container(before: Container | None, after: Container | None) -> Iterator[Change]:
    one, two = (container_text(side) if side else None for side in (before, after))
    if one != two:
        yield value_change("container", "container", one, two)


def _system_packages(before: SystemPackages, after: SystemPackages) -> Iterator[Change]:
    if before.manager != after.manager:
        yield value_change("system-packages", "manager", before.manager, after.manager)
    versions = [
        {
            f"{item.name}:{item.architecture}" if item.architecture else item.name: item.version
            for item in side.packages
        }
        for side in (before, after)
    ]
    yield from version_changes("system-packages", *versions)


def _machine(before: Machine, after: Machine) -> Iterator[Change]:
    if before.cpu != after.cpu:
        yield value_change("hardware", "cpu", before.cpu, after.cpu)
    one, two = set(before.flags), set(after.flags)
    if one and two and one != two:
        come, gone = (
            (f"+{flag}" for flag in sorted(two - one)),
            (f"-{flag}" for flag in sorted(one - two)),
        )
        yield Change(section="hardware", kind="changed", name="flags", details=(*come, *gone))
    sizes = before.memory_bytes, after.memory_bytes
    if (
        sizes[0]
        and sizes[1]
        and abs(sizes[0] - sizes[1]) > _MEMORY_TOLERANCE * max(sizes[0], sizes[1])
    ):
        yield value_change("hardware", "memory", size_text(sizes[0]), size_text(sizes[1]))
    devices = [Counter(map(_device, side.accelerators)) for side in (before, after)]
    for device in sorted((devices[0] - devices[1]).elements()):
        yield come_or_gone("hardware", "accelerator", device, None)
    for device in sorted((devices[1] - devices[0]).elements()):
        yield come_or_gone("hardware", "accelerator", None, device)
    yield from version_changes("hardware", before.toolkits, after.toolkits)


def _device(device: Accelerator) -> str:
    return f"{device.name} (driver {device.driver})" if device.driver else device.name
