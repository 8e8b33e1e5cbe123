"""What a program can have done before a line of it: nothing, where only imports stand before."""

import ast
from pathlib import Path


def only_imports_before(file: Path, line: int) -> bool:
    """Say whether a module does nothing but import, and set constants, down to a line.

    Raises ValueError where the module has no source that can be read.
    """
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{file} cannot be read") from error
    return all(_does_nothing(statement) for statement in body if statement.lineno <= line)


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=value):
            return value is None or isinstance(value, ast.Constant)
        case ast.If(test=ast.Name() | ast.Attribute()):
            return all(map(_does_nothing, [*statement.body, *statement.orelse]))
        case ast.Try():
            handled = [step for handler in statement.handlers for step in handler.body]
            steps = [*statement.body, *handled, *statement.orelse, *statement.finalbody]
            return all(map(_does_nothing, steps))
    return False
