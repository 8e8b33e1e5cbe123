"""Whether a version that was locked and one that is installed are the same.

Python's are compared in the normal form of PEP 440: `1.0` and `1.0.0` are one, and so are `1.0rc1`
and `1.0.RC-1`. What a lock says without a local part (`2.1`) allows any (`2.1+cpu`), as for
installers. Everything else is compared letter by letter.
"""

import re

_PEP_440 = re.compile(
    r"""v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<stage>a|b|c|rc|alpha|beta|pre|preview)[-_.]?(?P<candidate>[0-9]*))?
    (?P<post>-(?P<implicit>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<after>[0-9]*))?
    (?P<dev>[-_.]?dev[-_.]?(?P<build>[0-9]*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_STAGES = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_MAX_LENGTH = 200
_ANY = ".*"


def same_python(locked: str, installed: str) -> bool:
    """Whether the installed version of a distribution is the locked one."""
    if locked.endswith(_ANY):
        beginning = normal_form(locked.removesuffix(_ANY), keep_zeros=True)
        return _begins(normal_form(installed, keep_zeros=True), beginning)
    allowed, found = normal_form(locked), normal_form(installed)
    return allowed == found or ("+" not in allowed and allowed == found.partition("+")[0])


def same_conda(locked: str, installed: str) -> bool:
    """Whether the installed version of a conda package is the locked one."""
    if locked.endswith(_ANY):
        return _begins(installed.lower(), locked.removesuffix(_ANY).lower())
    return locked.lower() == installed.lower()


def normal_form(version: str, *, keep_zeros: bool = False) -> str:
    """Return a version in the form of PEP 440 in which equal ones are equal.

    `keep_zeros` keeps those at the end of the release, which count where only its beginning is
    compared. What is no version of PEP 440 stays as it is.
    """
    found = _PEP_440.fullmatch(version) if len(version) <= _MAX_LENGTH else None
    if found is None:
        return version
    release = [str(int(number)) for number in found["release"].split(".")]
    while not keep_zeros and len(release) > 1 and release[-1] == "0":
        release.pop()
    text = ".".join(release)
    if found["epoch"] and int(found["epoch"]):
        text = f"{int(found['epoch'])}!{text}"
    if stage := found["stage"]:
        text += f"{_STAGES.get(stage.lower(), stage.lower())}{int(found['candidate'] or 0)}"
    if found["post"]:
        text += f".post{int(found['implicit'] or found['after'] or 0)}"
    if found["dev"]:
        text += f".dev{int(found['build'] or 0)}"
    if local := found["local"]:
        text += f"+{re.sub('[-_.]', '.', local.lower())}"
    return text


def _begins(version: str, beginning: str) -> bool:
    return (
        version == beginning or re.match(rf"{re.escape(beginning)}(?![0-9])", version) is not None
    )
