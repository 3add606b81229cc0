"""Finds a mutant's text in the code: in the function that it names, wherever that stands in its module."""

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOTS = (".", "services")  # both are on the import path


class NotFoundError(LookupError):
    """There is no such module, function or text. The message says what was looked for."""


def path_of(function: str, tree: Path) -> Path:
    """The file of the module in `function` ("order_api.order:derive"), relative to `tree`. Raises NotFoundError."""
    module = Path(*function.partition(":")[0].split("."))
    for path in (Path(root) / one for root in _ROOTS for one in (module.with_suffix(".py"), module / "__init__.py")):
        if (tree / path).is_file():
            return path
    raise NotFoundError(f"there is no module of {function}")


def replaced(source: str, function: str, text: str, instead: str) -> str:
    """`source` with `text`, which must be in `function` exactly once, replaced. Raises NotFoundError."""
    start, end = _span(source, function)
    if (count := source.count(text, start, end)) != 1:
        raise NotFoundError(f"its text is in {function} {count} times, not once:\n{text}")
    return source[:start] + source[start:end].replace(text, instead) + source[end:]


def _span(source: str, function: str) -> tuple[int, int]:
    """The first character of the function's first line, decorators included, and the end of its last line."""
    found: ast.AST = ast.parse(source)
    for name in function.partition(":")[2].split("."):
        body: list[ast.stmt] = getattr(found, "body", [])
        named = next((one for one in body if name in _names(one)), None)
        if named is None:
            raise NotFoundError(f"there is no {function}")
        found = named
    assert isinstance(found, ast.stmt)
    decorators: list[ast.expr] = getattr(found, "decorator_list", [])
    lines = source.splitlines(keepends=True)
    first = min([found.lineno, *(one.lineno for one in decorators)])
    return sum(map(len, lines[: first - 1])), sum(map(len, lines[: found.end_lineno]))


def _names(statement: ast.stmt) -> Iterator[str]:
    """What a statement defines: a function, a class, or constants."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case _:
            pass
