"""One line for who starts a run: its lock files say something else than is installed."""

from collections.abc import Mapping

from gitprov.codec.environment_text import AGREEMENT
from gitprov.errors import MalformedRecord

# As `agreement.json` has it where there are any.
_SOME = b'"disagreements": [\n'


def lock_warning(files: Mapping[str, bytes]) -> str | None:
    """Return the line for the captured files of an environment; None where all agree."""
    data = files.get(AGREEMENT)
    if data is None or _SOME not in data:
        return None
    # Late: most locks agree, and the classes of the model take 10 ms to make.
    from gitprov.codec.environment_files import read_environment  # noqa: PLC0415
    from gitprov.model.environment_wording import disagreement_text  # noqa: PLC0415
    from gitprov.model.wording import plural  # noqa: PLC0415

    try:
        first, *others = read_environment({AGREEMENT: data}, ()).disagreements
    except (MalformedRecord, ValueError):  # it is only a hint, and no run is lost for it
        return None
    more = f", and {plural(len(others), 'more disagreement')}" if others else ""
    return f"{disagreement_text(first)}{more}; see: git prov env show"
