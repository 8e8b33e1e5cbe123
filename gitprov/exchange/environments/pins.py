"""What has to be installed to have the packages of a recorded environment again, one by one.

A lock counts for a package where it names the very version that was installed; its files and their
hashes are then those of the pin.
"""

from dataclasses import dataclass

from gitprov.capture.environments.locks import LockedFile
from gitprov.model.environment import Environment, Origin, PythonEnvironment


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A package and its version; `name` is in the form of PEP 503.

    `hashes` are `sha256:…` of the files that a lock has for this version, and `urls` where these
    are; both are empty where no lock names them. `files` are the same in full. `origin` is set
    where it came from no index: a version control system, an archive, a directory. `commit` is
    that of an editable installation's work tree, and `dirty` says that this was changed.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    files: tuple[LockedFile, ...] = ()
    origin: Origin | None = None
    editable: bool = False
    commit: str | None = None
    dirty: bool | None = None


def pins(environment: Environment, python: PythonEnvironment | None = None) -> tuple[Pin, ...]:
    """Return a pin for each package of `python` (by default the environment's own), by name."""
    raise NotImplementedError
