"""The query language: what `gitprov.search_runs` and `git prov log --where` understand.

    metrics.accuracy > 0.9 and (params.optimizer = "adam" or not tag = "draft")

Fields are `metrics.NAME`, `params.NAME`, `tag`, and those of a run in the table below. Operators
are = != < <= > >= and ~ (regular expression). Text stands in double or single quotes. A query
becomes one SQL condition with parameters; no text of the query goes into the SQL.
"""

import difflib
import re
from typing import Any, NamedTuple

import lark

from gitprov.errors import QueryError
from gitprov.model.wording import encodable

_GRAMMAR = r"""
    ?start: either
    ?either: both (_OR both)*
    ?both: unary (_AND unary)*
    ?unary: _NOT unary -> negation
          | "(" either ")"
          | comparison
    comparison: FIELD OPERATOR value
    value: NUMBER -> number
         | STRING -> text
         | TRUE -> true
         | FALSE -> false
    _OR: /or\b/i
    _AND: /and\b/i
    _NOT: /not\b/i
    TRUE.2: /true\b/i
    FALSE.2: /false\b/i
    OPERATOR: "==" | "=" | "!=" | "<=" | ">=" | "<" | ">" | "~"
    FIELD: /(?!(?:and|or|not|true|false)\b)[A-Za-z_][\w.\/@-]*/i
    NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
    STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/
    %ignore /\s+/
"""

# The fields of a run, and the columns of the index that hold them.
COLUMNS = {
    "agent.email": "email",
    "agent.name": "agent",
    "command": "command",
    "ended_ns": "ended_ns",
    "environment.python": "python",
    "exit_code": "exit_code",
    "id": "id",
    "message": "message",
    "name": "name",
    "source.commit": "source_commit",
    "source.dirty": "dirty",
    "source.ref": "source_ref",
    "source.tree": "source_tree",
    "started_ns": "started_ns",
    "status": "status",
}
_OPERATORS = {"=": "=", "==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
              "~": "REGEXP"}  # fmt: skip

# What sqlite takes: expressions to a depth of 1000, and a stack of 100 in its parser.
_MAX_TERMS = 200
_MAX_DEPTH = 15
_INT_END = 1 << 63


class Condition(NamedTuple):
    """A condition on the table `runs`, and the parameters for its question marks."""

    sql: str
    parameters: tuple[Any, ...]
    depth: int = 0


def compile_query(text: str) -> Condition:
    """Return the condition that a query stands for; raise QueryError, pointing at the place."""
    text = encodable(text)
    parser = lark.Lark(_GRAMMAR, parser="lalr", transformer=_ToSql())
    try:
        condition: Condition = parser.parse(text)  # type: ignore[assignment]
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from None
        raise
    except lark.exceptions.UnexpectedInput as error:
        at_end = getattr(getattr(error, "token", None), "type", None) == "$END"
        place = error.pos_in_stream
        if at_end or place is None:
            place = len(text)
        raise QueryError(
            f"cannot understand the query at position {place + 1}: {text[:place]}»"
            f"{text[place:] or 'the end'}; "
            'it looks like: metrics.accuracy > 0.9 and params.model = "svm"'
        ) from None
    return condition


class _ToSql(lark.Transformer[Any, Condition]):
    """Folds the parse tree into one condition, from the leaves up."""

    def __init__(self) -> None:
        super().__init__()
        self._terms = 0

    def _count(self) -> None:
        self._terms += 1
        if self._terms > _MAX_TERMS:
            raise QueryError(f"the query has more than {_MAX_TERMS} terms; ask in several queries")

    def either(self, parts: list[Condition]) -> Condition:
        return _joined(" OR ", parts)

    def both(self, parts: list[Condition]) -> Condition:
        return _joined(" AND ", parts)

    def negation(self, parts: list[Condition]) -> Condition:
        self._count()
        # A field that a run does not have makes a comparison NULL, and NOT NULL is not true.
        return _combined(f"NOT IFNULL({parts[0].sql}, 0)", parts)

    def number(self, parts: list[lark.Token]) -> float:
        try:
            number = int(parts[0])  # times in nanoseconds do not fit into a float
        except ValueError:
            return float(parts[0])
        return number if abs(number) < _INT_END else float(number)

    def text(self, parts: list[lark.Token]) -> str:
        return _unquoted(parts[0])

    def true(self, _: list[lark.Token]) -> bool:
        return True

    def false(self, _: list[lark.Token]) -> bool:
        return False

    def comparison(self, parts: list[Any]) -> Condition:
        self._count()
        field, operator, value = str(parts[0]), _OPERATORS[str(parts[1])], parts[2]
        if operator == "REGEXP":
            value = _pattern(value)
        if field in COLUMNS:
            return Condition(f"(runs.{COLUMNS[field]} {operator} ?)", (value,))
        if not field.startswith(("metrics.", "params.")) and field != "tag":
            raise _unknown(field)
        if isinstance(value, bool):
            value = str(value).lower()
        column = "text" if isinstance(value, str) else "number"
        return Condition(
            # Column and operator come from the tables above, never from the query's text.
            "EXISTS (SELECT 1 FROM fields WHERE fields.run = runs.number AND fields.name = ?"  # noqa: S608
            f" AND fields.{column} {operator} ?)",
            (field, value),
        )


def _joined(word: str, parts: list[Condition]) -> Condition:
    return _combined(f"({word.join(part.sql for part in parts)})", parts)


def _combined(sql: str, parts: list[Condition]) -> Condition:
    depth = 1 + max(part.depth for part in parts)
    if depth > _MAX_DEPTH:
        raise QueryError(f"the query is nested deeper than {_MAX_DEPTH} levels; make it flatter")
    return Condition(sql, tuple(value for part in parts for value in part.parameters), depth)


def _unquoted(token: str) -> str:
    inner, text, escaped = token[1:-1], [], False
    for letter in inner:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        text.append(letter)
        escaped = False
    return "".join(text)


def _pattern(value: Any) -> str:
    if not isinstance(value, str):
        raise QueryError('~ wants a regular expression in quotes, as in: name ~ "^base"')
    try:
        re.compile(value)
    except re.error as error:
        raise QueryError(f"the regular expression {value!r} is not valid: {error}") from None
    return value


def _unknown(field: str) -> QueryError:
    known = [*COLUMNS, "metrics.NAME", "params.NAME", "tag"]
    near = difflib.get_close_matches(field, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return QueryError(f"no field is called {field}; {hint}")
