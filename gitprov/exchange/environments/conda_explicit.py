"""conda-explicit.txt, for `conda create --file` and `micromamba create --file`."""

import re

from gitprov.errors import InputError
from gitprov.exchange.environments import words
from gitprov.exchange.environments.exported import Exported
from gitprov.model.environment import CondaEnvironment, CondaPackage, Environment
from gitprov.model.wording import plural

FILE_NAME = "conda-explicit.txt"

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+", re.IGNORECASE)
_PLATFORM = re.compile(r"[a-z0-9-]{1,32}")
_MD5, _SHA256 = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}")


def export(environment: Environment, /, *, resolve: bool) -> Exported:  # noqa: ARG001 -- protocol
    """Return the packages of the conda environment."""
    conda = environment.conda
    if conda is None:
        raise InputError(
            "this run was in no conda environment; use --format requirements, or pylock"
        )
    unplaced = [item.name for item in conda.packages if not _is_url(item)]
    if unplaced:
        raise InputError(
            f"where {words.names(unplaced)} came from was not recorded, so no list of URLs "
            "rebuilds this environment; `git prov env show` has the versions"
        )
    notes = []
    if bare := [item.name for item in conda.packages if not _digest(item)]:
        has = "has" if len(bare) == 1 else "have"
        notes.append(f"{plural(len(bare), 'package')} {has} no digest: {words.names(bare)}")
    if others := python_packages_beside(environment):
        notes.append(
            f"not in it, as pip installed them: {words.names(others)}; "
            "use --format requirements for these, or dockerfile for both"
        )
    return Exported(text=_text(conda), file_name=FILE_NAME, notes=tuple(notes))


def python_packages_beside(environment: Environment) -> list[str]:
    """Return the names of Python packages that conda did not install."""
    packages = environment.python.packages if environment.python else ()
    return sorted(item.name for item in packages if item.installer != "conda")


def _text(conda: CondaEnvironment) -> str:
    platform = conda.platform if conda.platform and _PLATFORM.fullmatch(conda.platform) else None
    lines = ["# $ conda create --name <env> --file <this file>"]
    if platform:
        lines.append(f"# platform: {platform}")
    lines.append("@EXPLICIT")
    for item in conda.packages:
        digest = _digest(item)
        lines.append(f"{item.url}#{digest}" if digest else f"{item.url}")
    return "\n".join(lines) + "\n"


def _is_url(item: CondaPackage) -> bool:
    return item.url is not None and "#" not in item.url and _URL.fullmatch(item.url) is not None


def _digest(item: CondaPackage) -> str | None:
    if item.md5 and _MD5.fullmatch(item.md5):
        return item.md5
    return f"sha256:{item.sha256}" if item.sha256 and _SHA256.fullmatch(item.sha256) else None
