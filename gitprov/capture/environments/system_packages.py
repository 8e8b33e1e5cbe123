"""`system-packages.json`: the packages of the operating system. Recorded on request only.

They are many, they change with every update, and few of them touch results. Who wants them says so
in `.gitprov.toml` (`[environment] system-packages = true`) or in git's configuration
(`prov.environment.systemPackages`). dpkg and apk are read from their files; rpm's database changes
its form from one release to the next, so rpm itself is asked.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gitprov.capture.environments.commands.programs import ProgramError, output_of
from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import read_plain
from gitprov.capture.settings_file import read_settings
from gitprov.codec.environment_text import SYSTEM_PACKAGES, text
from gitprov.errors import InputError
from gitprov.store.repository import Config

_SETTING = "prov.environment.systempackages"
_FIELD = "environment.system-packages"
_DPKG = "var/lib/dpkg/status"
_DPKG_FOLDER = "var/lib/dpkg/status.d"  # of images that are made without dpkg
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_RPM = ("usr/lib/sysimage/rpm", "var/lib/rpm")
_MAX_BYTES = 128 << 20
_RPM_FORMAT = r"%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n"

_Row = dict[str, str]


class _UnreadableError(Exception):
    """The packages cannot be told; the message says why."""


def are_wanted(top: Path | None, config: Config) -> bool:
    """Whether runs of this work tree list the packages of the system."""
    with suppress(InputError):  # the redactor tells of it
        if read_settings(top).environment.system_packages:
            return True
    return config.flag(_SETTING, default=False)


def capture(request: Request, /) -> Findings:
    """Return system-packages.json, where it is asked for."""
    return describe(Path("/"), request.env) if request.system_packages else Findings()


def describe(root: Path, env: Mapping[str, str]) -> Findings:
    """Return the packages of the system whose files lie under `root`."""
    try:
        manager, rows = _listing(root, env)
    except _UnreadableError as error:
        return Findings(missing={_FIELD: str(error)})
    # Of a package for two architectures there are two rows.
    unique = {tuple(sorted(row.items())): row for row in rows}
    packages = sorted(
        unique.values(), key=lambda row: (row["name"], row["version"], row.get("architecture", ""))
    )
    document = {"manager": manager, "packages": packages}
    return Findings(files={SYSTEM_PACKAGES: text("system-packages.1", document)})


def _listing(root: Path, env: Mapping[str, str]) -> tuple[str, list[_Row]]:
    if (root / _DPKG).exists() or (root / _DPKG_FOLDER).is_dir():
        return "dpkg", list(_dpkg(root))
    for place in _APK:
        if (root / place).exists():
            return "apk", list(_apk(_content(root / place)))
    if any((root / place).is_dir() for place in _RPM):
        return "rpm", list(_rpm(root, env))
    raise _UnreadableError("neither dpkg nor apk nor rpm keeps this system's packages")


def _content(path: Path) -> str:
    try:
        return read_plain(path, _MAX_BYTES).decode("utf-8", "replace")
    except OSError as error:
        raise _UnreadableError(f"{path} cannot be read: {error.strerror}") from error


def _dpkg(root: Path) -> Iterator[_Row]:
    files = [root / _DPKG] if (root / _DPKG).exists() else []
    with suppress(OSError):
        parts = sorted((root / _DPKG_FOLDER).iterdir())
        files += [part for part in parts if part.is_file() and part.suffix != ".md5sums"]
    for file in files:
        for paragraph in _content(file).split("\n\n"):
            fields = _fields(paragraph, ": ")
            # Removed packages stay as long as their settings do. Images have no status.
            if fields.get("Status", "installed").rsplit(" ", 1)[-1] == "installed":
                yield from _row(fields, "Package", "Version", "Architecture")


def _apk(listing: str) -> Iterator[_Row]:
    for paragraph in listing.split("\n\n"):
        yield from _row(_fields(paragraph, ":"), "P", "V", "A")


def _fields(paragraph: str, separator: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in paragraph.split("\n"):
        if not line.startswith((" ", "\t")):
            name, _, value = line.partition(separator)
            fields.setdefault(name, value.strip())
    return fields


def _row(fields: Mapping[str, str], name: str, version: str, architecture: str) -> Iterator[_Row]:
    row = known(
        name=fields.get(name), version=fields.get(version), architecture=fields.get(architecture)
    )
    if "name" in row and "version" in row:
        yield row


def _rpm(root: Path, env: Mapping[str, str]) -> Iterator[_Row]:
    command = ["rpm", "--root", str(root), "-qa", "--qf", _RPM_FORMAT]
    try:
        output = output_of(command, cwd=root, env={**env, "LC_ALL": "C"})
    except ProgramError as error:
        raise _UnreadableError(str(error)) from error
    for line in output.decode("utf-8", "replace").splitlines():
        name, version, architecture = (*line.split("\t"), "", "")[:3]
        if name != "gpg-pubkey":  # a key, which rpm keeps as if it were a package
            yield from _row({"N": name, "V": version, "A": architecture}, "N", "V", "A")
