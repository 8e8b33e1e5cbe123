"""A Dockerfile that installs what was recorded: one file, with the lists of packages inside.

It starts from the image that the run was in, if its digest is known; else from an image of the same
Python, or for a conda environment, from one of micromamba. It holds no variables of the run and no
source: both may hold what is not to be shared, and the source has its own way back.
"""

import re

from gitprov.errors import InputError
from gitprov.exchange.environments import conda_explicit, words
from gitprov.exchange.environments.exported import Exported
from gitprov.exchange.environments.pins import Pin, sorted_out
from gitprov.exchange.environments.requirements import requirement_lines
from gitprov.exchange.environments.resolving import resolved
from gitprov.model.environment import Container, Environment
from gitprov.model.wording import plural, printable

FILE_NAME = "Dockerfile"

_END = "END_OF_LIST"
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/-]{0,254}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(?:(?:a|b|rc)[0-9]+)?")
_MICROMAMBA = "mambaorg/micromamba:2"
_GIT = (
    "RUN apt-get update \\\n"
    "    && apt-get install --yes --no-install-recommends git \\\n"
    "    && rm -rf /var/lib/apt/lists/*"
)
_INSTALL = (
    "RUN micromamba install --yes --name base --file /tmp/conda-explicit.txt \\\n"
    "    && micromamba clean --all --yes"
)


def export(environment: Environment, /, *, resolve: bool) -> Exported:
    """Return a file that builds an image with these packages."""
    if environment.python is None and environment.conda is None:
        raise InputError("neither Python nor conda was recorded with this run")
    notes: list[str] = []
    base, is_python_image = _base(environment, notes)
    parts = ["# syntax=docker/dockerfile:1", f"# {words.python_of(environment)}", f"FROM {base}"]
    if environment.conda is not None:
        listed = conda_explicit.export(environment, resolve=False)
        parts += _conda(listed.text)
    if environment.python is not None:
        pinned, left_out = sorted_out(environment)
        found = [pin for pin in pinned if not _is_condas(pin, environment)]
        if resolve:
            found = list(resolved(found, environment.python.interpreter))
        parts += _python(found, notes, needs_git=is_python_image)
        if left_out:
            notes.append(f"left out: {words.names(left_out)}")
        notes += words.broken(environment.python)
    parts.append("WORKDIR /work")
    notes += _not_covered(environment)
    return Exported(text="\n".join(parts) + "\n", file_name=FILE_NAME, notes=tuple(notes))


def _base(environment: Environment, notes: list[str]) -> tuple[str, bool]:
    """Return the image to start from, and whether it is one of Python's own."""
    image = _image(environment.container)
    if image is not None and environment.conda is None:
        notes.append("it starts from the image of the run, which may have some of this already")
        return image, False
    if environment.container is not None:
        what = image or environment.container.image or environment.container.runtime
        notes.append(f"not covered: the container of the run, {printable(what)}")
    if environment.conda is not None:
        notes.append(f"{_MICROMAMBA} is a tag that moves: put a digest in its place")
        return _MICROMAMBA, False
    if environment.python is None:
        raise InputError("no Python was recorded with this run")
    interpreter = environment.python.interpreter
    version = interpreter.version.rstrip("+")
    if not _VERSION.fullmatch(version):
        raise InputError(
            f"there is no image of Python {printable(interpreter.version)}; "
            "use --format requirements"
        )
    if interpreter.implementation != "cpython":
        short = ".".join(version.split(".")[:2])
        if interpreter.implementation != "pypy":
            raise InputError(
                f"there is no image of {printable(interpreter.implementation)}; "
                "use --format requirements"
            )
        notes.append(f"images of PyPy go by {short}, not by {version}")
        return f"pypy:{short}-slim", True
    return f"python:{version}-slim", True


def _image(container: Container | None) -> str | None:
    """Return `image@sha256:…`, where both are known."""
    if container is None or not container.image:
        return None
    name, _, digest = container.image.partition("@")
    digest = digest or container.digest or ""
    fits = _IMAGE.fullmatch(name) and _DIGEST.fullmatch(digest) and not name.startswith("sha256:")
    return f"{name}@{digest}" if fits else None


def _conda(listed: str) -> list[str]:
    return [
        *_file("/tmp/conda-explicit.txt", listed),  # noqa: S108 -- in the image
        _INSTALL,
        "ARG MAMBA_DOCKERFILE_ACTIVATE=1",
    ]


def _python(found: list[Pin], notes: list[str], *, needs_git: bool) -> list[str]:
    lines, said = requirement_lines(found)
    notes += said
    if not any(not line.startswith("#") for line in lines):
        return []
    has_repositories = any(pin.origin is not None and pin.origin.vcs == "git" for pin in found)
    return [
        *([_GIT] if needs_git and has_repositories else []),
        *_file("/tmp/requirements.txt", "\n".join(lines) + "\n"),  # noqa: S108 -- in the image
        "RUN python -m pip install --no-cache-dir --no-deps --requirement /tmp/requirements.txt",
    ]


def _file(path: str, content: str) -> list[str]:
    # The quotes keep variables in the list from being filled in.
    return [f"COPY <<'{_END}' {path}", content.removesuffix("\n"), _END]


def _is_condas(pin: Pin, environment: Environment) -> bool:
    return environment.conda is not None and pin.installer == "conda"


def _not_covered(environment: Environment) -> list[str]:
    notes = []
    system = environment.system_packages
    if system is not None and system.packages:
        notes.append(
            f"not covered: {plural(len(system.packages), 'package')} of the operating system"
        )
    for language, found in sorted(environment.languages.items()):
        if found.packages:
            packages = plural(len(found.packages), "package")
            notes.append(f"not covered: {packages} of {printable(language)}")
    if environment.others:
        notes.append(f"not covered: {plural(len(environment.others), 'other Python')} of the run")
    if environment.machine is not None and environment.machine.accelerators:
        devices = words.names(sorted({item.name for item in environment.machine.accelerators}))
        notes.append(f"not covered: {devices}, whose driver is the host's")
    return notes
