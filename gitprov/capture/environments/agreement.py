"""`agreement.json`: whether the lock files agree with what is installed.

It names the locks that were compared, and what differs, by the rules of `lock_comparison`. Reading
locks takes time, so the outcome is kept, under the digest of all that it depends on.
"""

import hashlib
import json
from collections.abc import Mapping

from gitprov.capture.environments.cache import Cache
from gitprov.capture.environments.kind import Findings, Request
from gitprov.capture.environments.locks import has_reader
from gitprov.codec.environment_text import AGREEMENT, CONDA, PACKAGES

_VERSION = 1  # raise it when the comparison changes: older answers are then ignored
_OUR_OWN = ("conda-explicit.txt",)


def capture(request: Request, /) -> Findings:
    """Return agreement.json; nothing where there is no lock, or nothing to compare one with.

    Nor where it is a guess which Python the command uses: a false alarm is worse than none.
    """
    if request.is_guess:
        return Findings()
    locks = {
        path: data
        for path, data in request.found.items()
        if has_reader(path) and path not in _OUR_OWN
    }
    sides = {path: request.found[path] for path in (PACKAGES, CONDA) if path in request.found}
    if not locks or not sides:
        return Findings()
    cache, key = Cache(request.cache), _key({**locks, **sides})
    outcome = cache.read(key)
    if outcome is None:
        # Late: few runs have new locks.
        from gitprov.capture.environments.lock_comparison import compared  # noqa: PLC0415

        outcome = compared(locks, sides)
        cache.write(key, outcome)
    missing = {str(path): str(reason) for path, reason in outcome["missing"].items()}
    if not outcome["text"]:
        return Findings(missing=missing)
    return Findings(files={AGREEMENT: str(outcome["text"]).encode()}, missing=missing)


def _key(files: Mapping[str, bytes]) -> str:
    parts = [(path, hashlib.sha256(files[path]).hexdigest()) for path in sorted(files)]
    return hashlib.sha256(json.dumps(["agreement", _VERSION, parts]).encode()).hexdigest()
