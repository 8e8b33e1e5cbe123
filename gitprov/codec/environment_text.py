"""The documents that gitprov writes beside lock files into an environment, as text.

Each is JSON in a form of its own: equal facts give equal bytes, and a line holds one package, so
that git's diffs are short. `schema` names the kind of document and its version. Specification:
section 4.4. `gitprov.codec.environment_files` reads them; this module is what a run pays for.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

PACKAGES, SYSTEM = "packages.json", "system.json"
EDITABLES, CONDA, MACHINE = "editables.json", "conda.json", "machine.json"
LINEAR_ALGEBRA, CONTAINER = "linear-algebra.json", "container.json"
SYSTEM_PACKAGES, AGREEMENT = "system-packages.json", "agreement.json"
LANGUAGES = {"r.json": "R", "julia.json": "Julia"}
# Pythons that a run started besides: each has its own packages.json in a folder here.
INTERPRETERS = "interpreters"


def text(kind: str, document: Mapping[str, Any]) -> bytes:
    """Return the text of a document of kind `packages.1` and the like: one item a line."""
    whole = {"schema": kind, **document}
    lines = [f" {_json(key)}: {_value(whole[key])}" for key in sorted(whole)]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _value(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        rows = ",\n".join(f"  {_json(item)}" for item in value)
        return f"[\n{rows}\n ]"
    if isinstance(value, Mapping) and value:
        return json.dumps(value, indent=1, sort_keys=True).replace("\n", "\n ")
    return _json(value)
