"""Conda environments from the very packages that they had, without solving anything.

By conda, mamba or micromamba where one is installed, else by the library rattler. Scripts that
packages bring for their installation are run by the programs, not by rattler. Each package has to
have the digest that was recorded.
"""

import asyncio
import hashlib
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gitprov.environments.requirement_lines import archive_place
from gitprov.environments.tools import ToolFailedError, call
from gitprov.errors import MissingDependency
from gitprov.model.environment import CondaPackage

if TYPE_CHECKING:
    from rattler import RepoDataRecord

_PROGRAMS = ("micromamba", "mamba", "conda")
_BUILD_NUMBER = re.compile(r"(?:^|_)(\d+)$")
_HEX_LENGTHS = {"md5": 32, "sha256": 64}


class CondaTool(Protocol):
    """What makes a conda environment."""

    @property
    def name(self) -> str:
        """The name for people."""
        ...

    def make(self, packages: Sequence[CondaPackage], folder: Path, *, offline: bool) -> None:
        """Make the environment; raises ToolFailedError."""
        ...


def conda_tool() -> CondaTool:
    """Return the first that is installed; raise MissingDependency where none is."""
    for name in _PROGRAMS:
        if program := shutil.which(name):
            return CondaProgram(name, program)
    try:
        import rattler  # noqa: F401, PLC0415 -- an extra, and large
    except ImportError as error:
        raise MissingDependency(
            "conda environments are rebuilt by conda, mamba or micromamba, or by a Python "
            "package; install that with: pip install 'gitprov[conda]'"
        ) from error
    return Rattler()


class CondaProgram:
    """Conda, or one of those that take its command line."""

    def __init__(self, name: str, program: str) -> None:
        self.name = name
        self._program = program

    def make(self, packages: Sequence[CondaPackage], folder: Path, *, offline: bool) -> None:
        """Make the environment from an explicit list."""
        with tempfile.TemporaryDirectory(prefix="gitprov-") as private:
            file = Path(private, "explicit.txt")
            file.write_text(explicit_list(packages), "utf-8")
            call(self.command(folder, file, offline=offline))

    def command(self, folder: Path, file: Path, *, offline: bool) -> list[str]:
        """Return the command line."""
        options = ["--yes", "--quiet", "--prefix", str(folder), "--file", str(file)]
        return [self._program, "create", *options, *(["--offline"] if offline else [])]


class Rattler:
    """The library py-rattler."""

    name = "rattler"

    def make(self, packages: Sequence[CondaPackage], folder: Path, *, offline: bool) -> None:
        """Make the environment; nothing is fetched that is not named."""
        try:
            asyncio.run(_install(packages, folder, offline=offline))
        except ToolFailedError:
            raise
        except Exception as error:  # its errors have no class in common
            raise ToolFailedError(" ".join(str(error).split())) from error


def explicit_list(packages: Sequence[CondaPackage]) -> str:
    """Return what `conda create --file` takes: URLs with digests."""
    lines = []
    for package in packages:
        digest = _checked(package.md5, "md5") or _checked(package.sha256, "sha256", "sha256:")
        lines.append(f"{package.url}#{digest}" if digest else str(package.url))
    return "".join(f"{line}\n" for line in ("@EXPLICIT", *lines))


def _checked(digest: str | None, kind: str, prefix: str = "") -> str:
    is_one = digest is not None and re.fullmatch(f"[0-9a-f]{{{_HEX_LENGTHS[kind]}}}", digest)
    return f"{prefix}{digest}" if is_one else ""


async def _install(packages: Sequence[CondaPackage], folder: Path, *, offline: bool) -> None:
    from rattler import Gateway, RepoDataRecord, Subdir, install  # noqa: PLC0415 -- as above

    by_channel: dict[str, list[CondaPackage]] = defaultdict(list)
    for package in packages:
        if offline and not str(package.url).startswith("file:"):
            raise ToolFailedError(f"{package.name} would have to be fetched (--offline)")
        _require_same_file(package)
        by_channel[_channel(package)].append(package)
    records: dict[str, RepoDataRecord] = {}
    gateway = Gateway()
    for channel, wanted in by_channel.items():
        platforms = sorted({_subdir(package) for package in wanted})
        names = sorted({package.name for package in wanted})
        try:
            found = await gateway.query(
                [channel], [Subdir(name) for name in platforms], names, recursive=False
            )
        except Exception:  # noqa: BLE001, S112 -- the channel has no listing: the packages may do
            continue
        records |= {record.url: record for listed in found for record in listed}
    chosen = [_record(package, records.get(str(package.url))) for package in packages]
    await install(chosen, target_prefix=folder, show_progress=False, execute_link_scripts=False)


def _record(package: CondaPackage, listed: "RepoDataRecord | None") -> "RepoDataRecord":
    """Return what the channel says of a package, if it is still the same, else what we know."""
    from rattler import PackageRecord, RepoDataRecord  # noqa: PLC0415 -- as above

    sha256, md5 = _checked(package.sha256, "sha256"), _checked(package.md5, "md5")
    if listed is not None:
        for ours, theirs in ((sha256, listed.sha256), (md5, listed.md5)):
            if ours and theirs and bytes.fromhex(ours) != theirs:
                raise ToolFailedError(f"{package.url} is another file now than was recorded")
        return listed
    number = _BUILD_NUMBER.search(package.build)
    known = PackageRecord(
        name=package.name,
        version=package.version,
        build=_build(package.build),
        build_number=int(number[1]) if number else 0,
        subdir=_subdir(package),
        noarch="python" if _subdir(package) == "noarch" and "py" in package.build else None,
        sha256=bytes.fromhex(sha256) if sha256 else None,
        md5=bytes.fromhex(md5) if md5 else None,
    )
    url = str(package.url)
    return RepoDataRecord(known, url.rpartition("/")[2], url, _channel(package))


def _require_same_file(package: CondaPackage) -> None:
    """Look at the digest of a file on this machine: rattler does for what it downloads alone."""
    url = str(package.url)
    if not url.startswith("file:"):
        return
    sha256, md5 = _checked(package.sha256, "sha256"), _checked(package.md5, "md5")
    data = archive_place(url).path.read_bytes()
    if sha256:
        same = hashlib.sha256(data).hexdigest() == sha256
    else:
        same = not md5 or hashlib.md5(data, usedforsecurity=False).hexdigest() == md5
    if not same:
        raise ToolFailedError(f"{url} is another file now than was recorded")


def _build(text: str) -> "Any":
    import rattler  # noqa: PLC0415 -- as above

    return getattr(rattler, "BuildString", str)(text)  # a class of its own since 0.28


def _channel(package: CondaPackage) -> str:
    """Return the URL of the channel: that of the package, without file name and subdir."""
    return str(package.url).rpartition("/")[0].rpartition("/")[0]


def _subdir(package: CondaPackage) -> str:
    return str(package.url).rpartition("/")[0].rpartition("/")[2]
