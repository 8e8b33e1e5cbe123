"""The environment of a run, as native files: what was installed, on what, locked by what.

Equal environments give equal bytes, so that git stores them once. A new kind is a module with a
`capture` function (see `kind`) and one line in `KINDS`. They are asked in the order of the table,
and later ones may build on the files of those before.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitprov.capture.environments import (
    agreement,
    conda,
    container,
    editables,
    julia_session,
    linear_algebra,
    lock_files,
    machine,
    python_packages,
    r_session,
    system,
    system_packages,
)
from gitprov.capture.environments.kind import Findings, Kind, Request

KINDS: Mapping[str, Kind] = {
    "packages": python_packages.capture,
    "system": system.capture,
    "conda": conda.capture,
    "locks": lock_files.capture,
    "agreement": agreement.capture,
    "editables": editables.capture,
    "linear-algebra": linear_algebra.capture,
    "r": r_session.capture,
    "julia": julia_session.capture,
    "container": container.capture,
    "machine": machine.capture,
    "system-packages": system_packages.capture,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedEnvironment:
    """The files of the environment lock, their summary, and why anything is absent."""

    files: Mapping[str, bytes]
    python: str | None
    platform: str
    locks: tuple[str, ...]
    missing: Mapping[str, str]
    container: str | None = None
    # What each kind has found, for another capture of the same run.
    findings: Mapping[str, Findings] = field(default_factory=dict, compare=False)


def capture_environment(
    argv: Sequence[str],
    *,
    cwd: Path,
    top: Path | None,
    env: Mapping[str, str],
    cache: Path | None,
    system_packages: bool = False,
    given: Mapping[str, Findings] | None = None,
) -> CapturedEnvironment:
    """Return the environment that `argv` would run in, started in `cwd` with `env`.

    Never raises for what the machine holds: what cannot be read is named in `missing`. `cache`
    is a folder for answers that are costly to get again, made when needed. Packages of the
    operating system are listed where `system_packages` asks for them. Kinds of which there are
    findings in `given` are not asked again.
    """
    request = Request(
        argv=argv,
        cwd=cwd.resolve(),
        top=top.resolve() if top is not None else None,
        env=env,
        cache=cache,
        system_packages=system_packages,
    )
    files: dict[str, bytes] = {}
    missing: dict[str, str] = {}
    locks: list[str] = []
    python = platform = container = None
    findings: dict[str, Findings] = dict(given or {})
    for name, kind in KINDS.items():
        if name not in findings:
            is_guess = python_packages.INTERPRETER_FIELD in missing
            now = replace(request, found=dict(files), is_guess=is_guess)
            findings[name] = _ask(name, kind, now)
        found = findings[name]
        missing |= found.missing
        python = python or found.python
        platform = platform or found.platform
        container = container or found.container
        for path, data in found.files.items():
            if _clashes(path, files):
                missing[f"environment.{name}.{path}"] = "another file has this name already"
                continue
            files[path] = data
            if path in found.locks:
                locks.append(path)
    return CapturedEnvironment(
        files=dict(sorted(files.items())),
        python=python,
        platform=platform or "unknown",
        locks=tuple(sorted(locks)),
        missing=dict(sorted(missing.items())),
        container=container,
        findings=findings,
    )


def _ask(name: str, kind: Kind, request: Request) -> Findings:
    try:
        return kind(request)
    except OSError as error:
        return Findings(missing={f"environment.{name}": f"not readable: {error}"})
    except Exception as error:
        # Files of strangers are read here; no run is lost for what they make a kind do.
        if os.environ.get("GITPROV_DEBUG") == "1":
            raise
        fault = f"a fault in gitprov, please report it: {type(error).__name__}: {error}"
        return Findings(missing={f"environment.{name}": fault})


def _clashes(path: str, files: Mapping[str, bytes]) -> bool:
    """Whether a git tree cannot hold `path` beside `files`: the same name, or file and folder."""
    return any(
        path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/")
        for other in files
    )
