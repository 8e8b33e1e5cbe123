"""How what stands in an environment is put into words; all of them safe for a terminal."""

from gitprov.model.environment import Container, Disagreement, Interpreter, Origin
from gitprov.model.wording import printable

_IMPLEMENTATIONS = {"cpython": "CPython", "graalpy": "GraalPy", "pypy": "PyPy"}
_SHORT_COMMIT = 9
_MAX_WORD = 200


def disagreement_text(said: Disagreement) -> str:
    """Return `uv.lock says numpy 2.1, 2.0 is installed`."""
    lock, name = word(said.lock), word(said.name)
    if said.locked is None:
        return f"{lock} does not have {name}, {word(said.installed or 'it')} is installed"
    installed = f"{word(said.installed)} is installed" if said.installed else "it is not installed"
    return f"{lock} says {name} {word(said.locked)}, {installed}"


def interpreter_text(interpreter: Interpreter) -> str:
    """Return `CPython 3.11.7 (venv)`."""
    name = _IMPLEMENTATIONS.get(interpreter.implementation, interpreter.implementation)
    kind = f" ({word(interpreter.kind)})" if interpreter.kind else ""
    return f"{word(name)} {word(interpreter.version)}{kind}"


def container_text(container: Container) -> str:
    """Return `docker: image@sha256:0a1b…`, as far as it is known."""
    image = container.image or ""
    if container.digest and container.digest not in image:
        image = f"{image}@{container.digest}" if image else container.digest
    return word(f"{container.runtime}: {image}" if image else container.runtime)


def origin_text(origin: Origin) -> str:
    """Return where a package came from: `git+https://…@0a1b2c3d4`, or an archive's or folder's."""
    url = f"{origin.vcs}+{origin.url}" if origin.vcs else origin.url
    if origin.commit:
        url += f"@{origin.commit[:_SHORT_COMMIT]}"
    if origin.subdirectory:
        url += f"#subdirectory={origin.subdirectory}"
    return word(url)


def commit_text(commit: str | None, *, dirty: bool | None) -> str:
    """Return `0a1b2c3d4 with uncommitted changes`."""
    if commit is None:
        return "no commit"
    return word(commit[:_SHORT_COMMIT]) + (" with uncommitted changes" if dirty else "")


def word(text: str) -> str:
    """Return a word of a record: in one line, printable, and no longer than a line of text."""
    shown = printable(text if len(text) <= _MAX_WORD else text[:_MAX_WORD])
    return shown if len(text) <= _MAX_WORD else f"{shown}…"
