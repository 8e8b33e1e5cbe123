"""The environment without secrets: a file that holds one is left out, or is of our making.

A lock file is kept byte for byte or not at all; what gitprov has written itself gets commitments.
"""

from dataclasses import replace

from gitprov.capture.environments import CapturedEnvironment
from gitprov.capture.secrets.redaction import Redactor


def without_secrets(captured: CapturedEnvironment, redactor: Redactor) -> CapturedEnvironment:
    """Return what may be recorded of an environment, and in `missing` what may not."""
    files: dict[str, bytes] = {}
    missing = dict(captured.missing)
    for path, data in captured.files.items():
        place = f"environment.locks.{path}" if path in captured.locks else f"environment.{path}"
        text = data.decode("utf-8", "surrogateescape")
        if path in captured.locks and redactor.allowed.allows_path(path):
            files[path] = data
            continue
        redacted = redactor.text(text, place, file=path)
        if path not in captured.locks:
            files[path] = redacted.encode("utf-8", "surrogateescape")
        elif redacted == text:
            files[path] = data
        else:
            missing[place] = f"left out: it holds a secret ({redactor.found[place]})"
    locks = tuple(path for path in captured.locks if path in files)
    return replace(captured, files=files, locks=locks, missing=missing)
