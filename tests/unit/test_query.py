"""The query language, against a real store; a plain evaluator in Python is the oracle."""

import operator
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitprov.errors import QueryError
from gitprov.index.history import History
from gitprov.index.query import COLUMNS, compile_query
from gitprov.model.run import Run
from tests.support import runs
from tests.support.repositories import Clone

RUNS = 36


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Return runs that differ in every field; each third lacks params, each fifth metrics."""
    store = Clone.make(tmp_path_factory.mktemp("query") / "repo").store()
    for number in range(RUNS):
        fields: dict[str, Any] = {}
        if number % 3:
            fields["params"] = {
                "lr": number / 10,
                "n": number,
                "flag": number % 2 == 0,
                "model": ("svm", "tree", 'a "b" \\c', "12")[number % 4],
                "net/layers.0": number % 5,
            }
        if number % 5:
            fields["metrics"] = [
                {"name": "acc", "value": number / RUNS},
                {"name": "loss", "value": "nan" if number % 7 == 0 else float(number % 4)},
            ]
        if number % 4:
            fields["tags"] = [("draft", "paper")[number % 2], f"t{number % 6}"]
        if number % 6:
            fields["message"] = f"message {number}"
            fields["source"] = {
                "commit": f"{number % 3:040x}",
                "dirty": number % 2 == 1,
                "object_format": "sha1",
            }
        failed = number % 8 == 0
        runs.finish(
            store,
            name=f"name-{number}",
            status="failed" if failed else "completed",
            exit_code=int(failed),
            started_ns=runs.STARTED_NS + number,
            ended_ns=runs.STARTED_NS + 2 * number,
            agent={"type": "person", "name": ("Ada", "Grace")[number % 2]},
            **fields,
        )
    from gitprov.store.drain import drain

    assert len(drain(store).recorded) == RUNS
    yield History(store)
    store.close()


def numbers(history: History, query: str) -> list[int]:
    """Return the numbers of the runs that a query picks, in order."""
    return sorted(int(run.record.name.split("-")[1]) for run in history.runs(where=query))


def where(condition: Callable[[int], object]) -> list[int]:
    return [number for number in range(RUNS) if condition(number)]


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("params.n = 7", lambda n: n == 7),
        ("params.n == 7", lambda n: n == 7),
        ("params.n != 7", lambda n: n % 3 and n != 7),
        ("params.n < 8", lambda n: n % 3 and n < 8),
        ("params.n <= 8", lambda n: n % 3 and n <= 8),
        ("params.n > 20", lambda n: n % 3 and n > 20),
        ("params.n >= 20.0", lambda n: n % 3 and n >= 20),
        ("params.n>=2e1", lambda n: n % 3 and n >= 20),
        ("params.lr = .5", lambda n: n == 5),
        ("params.lr < +1.", lambda n: n % 3 and n < 10),
        ("params.n > -1", lambda n: n % 3),
        ("params.net/layers.0 = 3", lambda n: n % 3 and n % 5 == 3),
        ("params.flag = true", lambda n: n % 3 and n % 2 == 0),
        ("params.flag != TRUE", lambda n: n % 3 and n % 2),
        ("params.flag = false", lambda n: n % 3 and n % 2),
        ('params.model = "svm"', lambda n: n % 3 and n % 4 == 0),
        ("params.model = 'svm'", lambda n: n % 3 and n % 4 == 0),
        (r'params.model = "a \"b\" \\c"', lambda n: n % 3 and n % 4 == 2),
        (
            r"""params.model = 'a "b" \\c'""",
            lambda n: n % 3 and n % 4 == 2,
        ),
        ('params.model = "12"', lambda n: n % 3 and n % 4 == 3),
        ("params.model = 12", lambda _: False),
        ('params.model ~ "^(svm|tree)$"', lambda n: n % 3 and n % 4 < 2),
        ("metrics.acc > 0.5", lambda n: n % 5 and n / RUNS > 0.5),
        ('metrics.loss = "nan"', lambda n: n % 5 and n % 7 == 0),
        ("metrics.loss >= 0", lambda n: n % 5 and n % 7),
        ('tag = "draft"', lambda n: n % 4 and n % 2 == 0),
        ('tag ~ "t[12]"', lambda n: n % 4 and n % 6 in (1, 2)),
        ('status = "failed"', lambda n: n % 8 == 0),
        ("exit_code != 0", lambda n: n % 8 == 0),
        ('name ~ "-1.$"', lambda n: 10 <= n < 20),
        ("source.dirty = true", lambda n: n % 6 and n % 2),
        ("source.dirty = false", lambda n: n % 6 and n % 2 == 0),
        (f'source.commit = "{1:040x}"', lambda n: n % 6 and n % 3 == 1),
        ('agent.name = "Grace"', lambda n: n % 2),
        (f"started_ns <= {runs.STARTED_NS + 3}", lambda n: n <= 3),
        ('command = "true"', lambda _: True),
        ('message ~ "."', lambda n: n % 6),
        ('not message ~ "."', lambda n: n % 6 == 0),
        ("not params.n = 7", lambda n: n != 7),
        ("not not params.n = 7", lambda n: n == 7),
        # and binds closer than or, not closer than both
        ("params.n = 1 or params.n = 2 and params.n = 4", lambda n: n == 1),
        ("(params.n = 1 or params.n = 2) and params.n < 2", lambda n: n == 1),
        ("not params.n = 1 and params.n < 3", lambda n: n == 2),
        ("not (params.n = 1 or params.n > 2)", lambda n: n == 2 or n % 3 == 0),
        ("params.n=1 OR params.n=2 Or params.n=4", lambda n: n in (1, 2, 4)),
        ("\n  params.n\t=  1 ", lambda n: n == 1),
        ("((((params.n = 1))))", lambda n: n == 1),
    ],
)
def test_what_a_query_picks(
    history: History, query: str, condition: Callable[[int], object]
) -> None:
    assert numbers(history, query) == where(condition)


@pytest.mark.parametrize("query", ['name = "x\' OR 1=1 --"', "name = 'x\"); DROP TABLE runs'"])
def test_text_stays_text(history: History, query: str) -> None:
    assert numbers(history, query) == []
    assert history.count() == RUNS


@pytest.mark.parametrize("field", sorted(COLUMNS))
def test_every_field_can_be_asked_for(history: History, field: str) -> None:
    present = numbers(history, f'{field} ~ ""')
    assert present == numbers(history, f'not not {field} ~ ""')
    assert sorted([*present, *numbers(history, f'not {field} ~ ""')]) == list(range(RUNS))


@pytest.mark.parametrize(
    ("query", "position", "rest"),
    [
        ("params.n >", 11, "»the end"),
        ("params.n > > 3", 12, "»> 3"),
        ("params.n = 1 params.n = 2", 14, "»params.n = 2"),
        ("params.n = adam", 12, "»adam"),
        ("(params.n = 1", 14, "»the end"),
        ("params.n = 1)", 13, "»)"),
        ("= 3", 1, "»= 3"),
        ("", 1, "»the end"),
        ('name = "open', 8, '»"open'),
        ("and", 1, "»and"),
        ("params.n = 1 and", 17, "»the end"),
        ("params.n & 1", 10, "»& 1"),
        ("metrics.a = 1\nor or", 18, "»or"),
    ],
)
def test_errors_point_at_the_place(query: str, position: int, rest: str) -> None:
    with pytest.raises(QueryError) as caught:
        compile_query(query)
    message = str(caught.value)
    assert f"at position {position}: " in message
    assert rest in message
    assert "it looks like: metrics.accuracy > 0.9" in message


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("nam = 1", "no field is called nam; did you mean name?"),
        ("metric.acc > 1", "did you mean metrics.NAME?"),
        ("zzzzz = 1", "there are agent.email, "),
        ("name ~ 3", "~ wants a regular expression in quotes"),
        ('name ~ "("', "is not valid: missing )"),
        ('name ~ "a" and name ~ true', "~ wants"),
    ],
)
def test_errors_say_what_to_do(query: str, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        compile_query(query)
    assert words in str(caught.value)


def test_parentheses_cost_nothing(history: History) -> None:
    assert numbers(history, "(" * 5000 + "params.n = 1" + ")" * 5000) == [1]


def test_the_largest_queries(history: History) -> None:
    assert numbers(history, " and ".join(["not params.n = 1"] * 100)) == where(lambda n: n != 1)
    assert numbers(history, "not " * 15 + "params.n = 1") == where(lambda n: n != 1)
    nested = "params.n = 1"
    for level in range(14):
        nested = f"({nested}) {'or' if level % 2 else 'and'} not params.n = 2"
    assert 1 in numbers(history, nested)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (" and ".join(["not params.n = 1"] * 101), "more than 200 terms"),
        ("not " * 16 + "params.n = 1", "nested deeper than 15 levels"),
    ],
)
def test_larger_ones_are_refused(query: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        compile_query(query)


# The oracle: a query as text, and as a function of a run.

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Question = tuple[str, Callable[[Run], bool]]


def metric_number(run: Run, name: str) -> float | None:
    value = run.metric(name)
    return None if value is None or value != value else value  # noqa: PLR0124 -- nan has no order


def params(name: str) -> Callable[[Run], Any]:
    return lambda run: run.params.get(name)


NUMBERS: dict[str, Callable[[Run], Any]] = {
    "params.lr": params("lr"),
    "params.n": params("n"),
    "params.none": params("none"),
    "metrics.acc": lambda run: metric_number(run, "acc"),
    "metrics.loss": lambda run: metric_number(run, "loss"),
    "exit_code": lambda run: run.exit_code,
}
TEXTS: dict[str, Callable[[Run], Any]] = {
    "params.model": params("model"),
    "name": lambda run: run.name,
    "message": lambda run: run.message,
    "status": lambda run: run.status,
    "agent.name": lambda run: run.agent and run.agent.name,
}


@st.composite
def comparison(draw: st.DrawFn) -> Question:
    if draw(st.booleans()):
        field, get = draw(st.sampled_from(sorted(NUMBERS.items(), key=lambda item: item[0])))
        wanted: Any = draw(st.integers(-2, RUNS) | st.sampled_from([0.1, 0.5, 1.7, 3.0]))
        written = str(wanted)
    else:
        field, get = draw(st.sampled_from(sorted(TEXTS.items(), key=lambda item: item[0])))
        words = ["svm", 'a "b" \\c', "name-3", "Ada", "failed", "12", ""]
        wanted = draw(st.sampled_from(words))
        quote = draw(st.sampled_from("\"'"))
        written = quote + re.sub(rf"([\\{quote}])", r"\\\1", wanted) + quote
    symbol = draw(st.sampled_from(sorted(COMPARISONS)))

    def holds(run: Run) -> bool:
        value = get(run)
        return value is not None and COMPARISONS[symbol](value, wanted)

    return f"{field} {symbol} {written}", holds


def combined(children: st.SearchStrategy[Question]) -> st.SearchStrategy[Question]:
    def negation(inner: Question) -> Question:
        return f"not ({inner[0]})", lambda run: not inner[1](run)

    def join(word: str, how: Callable[[Any], bool]) -> Callable[[list[Question]], Question]:
        def joined(parts: list[Question]) -> Question:
            text = f" {word} ".join(f"({part[0]})" for part in parts)
            return text, lambda run: how(part[1](run) for part in parts)

        return joined

    several = st.lists(children, min_size=2, max_size=3)
    return children.map(negation) | several.map(join("and", all)) | several.map(join("or", any))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(question=st.recursive(comparison(), combined, max_leaves=6))
def test_queries_pick_what_the_oracle_picks(history: History, question: Question) -> None:
    text, holds = question
    expected = sorted(run.record.id for run in history.runs() if holds(run.record))
    assert sorted(run.record.id for run in history.runs(where=text)) == expected


@settings(max_examples=300, deadline=None)
@given(text=st.text() | st.from_regex(r"[a-z.]+ ?(=|~|<) ?[\"']?[^\0]*", fullmatch=True))
def test_any_text_is_a_query_or_a_query_error(text: str) -> None:
    with suppress(QueryError):
        condition = compile_query(text)
        assert condition.sql.count("?") == len(condition.parameters)
