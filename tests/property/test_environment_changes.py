"""Laws of comparing environments, whatever stands in them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gitprov.environments.comparison import compare
from gitprov.environments.versions import direction
from gitprov.model.environment import (
    CondaEnvironment,
    CondaPackage,
    Environment,
    Interpreter,
    Machine,
    Origin,
    Package,
    PythonEnvironment,
)
from gitprov.model.environment_changes import Change
from gitprov.model.wording import is_unsafe
from gitprov.views.environment_changes import difference_lines
from gitprov.views.environments import summary
from gitprov.views.style import Style

NAMES = st.sampled_from(["a", "b", "B", "c-d", "c_d"])
VERSIONS = st.one_of(
    st.text(max_size=12),
    st.from_regex(
        r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(rc[0-9]|\.dev[0-9]|\+[a-z]{1,3}|[a-z])?", fullmatch=True
    ),
)
DIGESTS = st.none() | st.sampled_from(["aa", "bb"])
ORIGINS = st.none() | st.builds(
    Origin,
    url=st.sampled_from(["file:///a", "https://index.example/a"]),
    vcs=st.none() | st.just("git"),
    commit=st.none() | st.sampled_from(["1" * 40, "2" * 40]),
)
PACKAGES = st.builds(
    Package, name=NAMES, version=VERSIONS, purl=st.just(""), content_sha256=DIGESTS,
    origin=ORIGINS, editable=st.booleans(),
)  # fmt: skip
INTERPRETERS = st.builds(Interpreter, version=VERSIONS, implementation=st.text(max_size=5))
PYTHONS = st.builds(
    PythonEnvironment, interpreter=INTERPRETERS, packages=st.lists(PACKAGES, max_size=4).map(tuple)
)
CONDA_PACKAGES = st.builds(CondaPackage, name=NAMES, version=VERSIONS, build=st.text(max_size=3))
ENVIRONMENTS = st.builds(
    Environment,
    python=st.none() | PYTHONS,
    others=st.dictionaries(NAMES, PYTHONS, max_size=2),
    conda=st.none()
    | st.builds(
        CondaEnvironment,
        prefix=st.text(max_size=3),
        packages=st.lists(CONDA_PACKAGES, max_size=3).map(tuple),
    ),
    system=st.dictionaries(NAMES, st.text(max_size=3), max_size=3),
    machine=st.none()
    | st.builds(
        Machine,
        cpu=st.none() | st.text(max_size=3),
        memory_bytes=st.none() | st.integers(0, 1 << 40),
        toolkits=st.dictionaries(NAMES, VERSIONS, max_size=2),
    ),
    locks=st.dictionaries(NAMES, st.binary(max_size=5), max_size=2),
)
MIRRORED = {"upgraded": "downgraded", "added": "removed", "changed": "changed"}
MIRRORED |= {other: kind for kind, other in MIRRORED.items()}


@settings(max_examples=30)
@given(ENVIRONMENTS)
def test_an_environment_is_equal_to_itself(environment: Environment) -> None:
    difference = compare(environment, environment)
    assert not difference
    assert difference.unrecorded == {}


@settings(max_examples=60)
@given(ENVIRONMENTS, ENVIRONMENTS)
def test_the_other_way_round_all_is_mirrored(one: Environment, two: Environment) -> None:
    there, back = compare(one, two), compare(two, one)
    assert {key(change) for change in there.changes} == {
        (*key(change)[:-3], MIRRORED[change.kind], change.after, change.before)
        for change in back.changes
    }
    assert there.unrecorded.keys() == back.unrecorded.keys()


def key(change: Change) -> tuple[str | None, ...]:
    """Return what tells a change: names of Python packages are written in several ways."""
    name = change.name.lower().replace("_", "-")
    return (change.section, change.within, name, change.kind, change.before, change.after)


@settings(max_examples=40)
@given(ENVIRONMENTS, ENVIRONMENTS)
def test_what_is_printed_is_printable(one: Environment, two: Environment) -> None:
    lines = [*difference_lines(compare(one, two), Style(colour=False)), summary(one)]
    assert not [letter for line in lines for letter in line if is_unsafe(letter)]


@given(one=VERSIONS, two=VERSIONS, three=VERSIONS, pep440=st.booleans())
def test_versions_are_in_one_order(one: str, two: str, three: str, *, pep440: bool) -> None:
    assert direction(one, two, pep440=pep440) == -direction(two, one, pep440=pep440)
    if not pep440 and direction(one, two) >= 0 and direction(two, three) >= 0:
        assert direction(one, three) >= 0
