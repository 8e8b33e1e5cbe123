"""`linear-algebra.json`: which BLAS and LAPACK numpy, scipy and torch use.

Results of equal packages differ in their last digits where these differ, and a package's version
does not tell. Learnt from files alone, without importing anything: what the package was built
with, what its wheel brings, which one a conda environment chose, which one Debian's alternatives
lead to.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gitprov.capture.environments.kind import Findings, Request, known
from gitprov.capture.environments.plain_files import text_or_nothing
from gitprov.capture.environments.python.folders import interpreter_of, package_folders
from gitprov.codec.environment_text import CONDA, LINEAR_ALGEBRA, PACKAGES, text

_USERS = ("numpy", "scipy", "torch")
_PARTS = ("blas", "lapack")
# Names under which whichever is there is linked at run time.
_INTERFACES = frozenset({"blas", "cblas", "lapack", "liblapack", "libblas", "netlib", "unknown"})
_BUNDLED = r"lib((?:scipy_)?openblas|flexiblas|blis|mkl)[0-9_a-z]*[.-]"
_ALTERNATIVES = "etc/alternatives"
_MKL = "\n#define AT_MKL_ENABLED() 1\n"
# What conda packages that are an implementation are called.
_CONDA_LIBRARIES = {
    "accelerate": "accelerate",
    "blis": "blis",
    "mkl": "mkl",
    "netlib": "libblas",
    "newaccelerate": "accelerate",
    "openblas": "libopenblas",
}

_Row = dict[str, str]


def capture(request: Request, /) -> Findings:
    """Return linear-algebra.json; nothing where none of the packages is installed."""
    return describe(Path("/"), request)


def describe(root: Path, request: Request) -> Findings:
    """Return what the files under `root` say of the packages that the request has found."""
    listing = request.found.get(PACKAGES, b"")
    users = [name for name in _USERS if f'"name": "{name}"'.encode() in listing]
    if not users:
        return Findings()
    folders = package_folders(interpreter_of(listing), cwd=request.cwd, env=request.env, root=root)
    chosen = _chosen_by_conda(request.found.get(CONDA, b""))
    rows = []
    for user in users:
        place = next((folder for folder in folders if (folder / user).is_dir()), None)
        if place is not None:
            found = _torch(place) if user == "torch" else _numeric(place, user)
            rows += [_at_run_time(row, chosen, root) for row in found]
    # One row where LAPACK is of the same library.
    unique = {(row["user"], row["library"], row.get("version", "")): row for row in rows}
    if not unique:
        return Findings()
    document = {"libraries": [unique[key] for key in sorted(unique)]}
    return Findings(files={LINEAR_ALGEBRA: text("linear-algebra.1", document)})


def _numeric(folder: Path, user: str) -> Iterator[_Row]:
    """Yield what numpy or scipy were built with: one row, or two where LAPACK is another's."""
    source = text_or_nothing(folder / user / "__config__.py")
    for part, (library, version) in _configured(source).items():
        yield known(user=user, library=library, version=version, part=part)
    if not source:
        yield from _bundled(folder, user, f"{user}.libs")


def _torch(folder: Path) -> Iterator[_Row]:
    """Yield what torch brings: MKL in one piece with it, or another as a library beside it."""
    if _MKL in text_or_nothing(folder / "torch/include/ATen/Config.h"):
        yield {"user": "torch", "library": "mkl"}
    else:
        yield from _bundled(folder, "torch", "torch/lib", "torch.libs")


def _bundled(folder: Path, user: str, *names: str) -> Iterator[_Row]:
    for name in names:
        try:
            files = sorted(path.name for path in (folder / name).iterdir())
        except OSError:
            continue
        for file in files:
            if match := re.match(_BUNDLED, file):
                yield {"user": user, "library": match[1].replace("_", "-")}
                return


def _configured(source: str) -> dict[str, tuple[str, str | None]]:
    """Return library and version by part, from a __config__.py, which is not run."""
    found: dict[str, tuple[str, str | None]] = {}
    _, _, dependencies = source.partition('"Build Dependencies"')
    for part, body in re.findall(r'"(blas|lapack)": \{([^{}]*)\}', dependencies):
        values = dict(re.findall(r'^\s*"(name|version)": r?"([^"\\]*)",?$', body, re.MULTILINE))
        if values.get("name"):
            found.setdefault(part, (values["name"], values.get("version") or None))
    # Up to numpy 1.25: blas_ilp64_opt_info={'libraries': ['openblas64_', …], …}
    older = r"^(blas|lapack)(?:_ilp64)?_opt_info *= *\{[^{}]*'libraries': \['([^']+)'"
    for part, name in re.findall(older, source, re.MULTILINE):
        found.setdefault(part, (re.sub(r"(64)?_?$", "", name), None))
    return found


def _at_run_time(row: _Row, chosen: Mapping[str, _Row], root: Path) -> _Row:
    """Return the row with the library that an interface leads to, where that can be told."""
    part = row.pop("part", "blas")
    if row["library"].lower() not in _INTERFACES:
        return row
    if part in chosen:
        return {"user": row["user"], **chosen[part]}
    if name := _alternative(root, part):
        return {"user": row["user"], "library": name}
    return row


def _chosen_by_conda(listing: bytes) -> dict[str, _Row]:
    """Return what conda's libblas and liblapack stand for: the end of their build says so."""
    if b'"libblas"' not in listing:
        return {}
    document: dict[str, Any] = json.loads(listing)
    packages = {package["name"]: package for package in document.get("packages", ())}
    found = {}
    for part in _PARTS:
        build = packages.get(f"lib{part}", {}).get("build", "")
        name = build.rpartition("_")[2]
        if name in _CONDA_LIBRARIES:
            package = packages.get(_CONDA_LIBRARIES[name], {})
            found[part] = known(library=name, version=package.get("version"))
    return found


def _alternative(root: Path, part: str) -> str | None:
    """Return the name of the folder that Debian's alternative leads to: openblas-pthread, atlas."""
    for link in sorted((root / _ALTERNATIVES).glob(f"lib{part}.so.3-*")):
        try:
            name = link.readlink().parent.name
        except OSError:
            continue
        # The reference implementation lies in folders named as its parts.
        return "reference" if name in _PARTS else name
    return None
