"""The output of a command and its exit status: results go to standard output, remarks to standard error, and colour to
terminals only.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias

from rich.console import Console
from rich.text import Text

from payment_gateway.cli.client import Json, NoAnswerError, RefusedError, UnreachableError, describe

# 0 is done, 2 is click's: the line could not be understood.
REFUSED = 1
UNREACHABLE = 3
LATE = 4
INTERRUPTED = 130

_STYLES: Mapping[str, str] = {
    **dict.fromkeys(("succeeded", "delivered", "enabled", "ready", "running"), "green"),
    **dict.fromkeys(("failed", "disabled", "not ready"), "red"),
    **dict.fromkeys(("pending", "frozen", "advancing"), "yellow"),
    **dict.fromkeys(("cancelled", "none"), "dim"),
}


# By the head of the column: a member of the listed thing, or a function of the thing.
Columns: TypeAlias = Mapping[str, str | Callable[[Json], str]]


class LateError(Exception):
    """The thing that the command waited for did not happen in time."""


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Ends with status 0: the reader had enough, which is no failure."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0)


class Terminal:
    """Prints. With `as_json`, each result and each failure is one line of JSON; remarks stay text."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = _Console(highlight=False, markup=False, soft_wrap=True)
        self._err = _Console(highlight=False, markup=False, soft_wrap=True, stderr=True)

    def result(self, document: Json, *lines: str | Text | Callable[[Json], str]) -> None:
        """Prints the document for programs, or the lines for people. A function makes a line of the document."""
        if self.as_json:
            self._out.out(json.dumps(document, ensure_ascii=False), highlight=False)
        else:
            for line in lines:
                self._out.print(line(document) if callable(line) else line)

    def raw(self, data: bytes) -> None:
        """Writes bytes as they are, so that they can be piped. On a terminal they cannot move the cursor."""
        if self._out.is_terminal:
            self._out.print(visible(data.decode(errors="replace")))
            return
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            self._out.on_broken_pipe()

    def table(self, pages: Iterable[Json], columns: Columns) -> None:
        """Prints a list page by page. Every row is shown in full, whatever the terminal's width. If pages are left, the last
        line says how to go on.
        """
        widths = [len(head) for head in columns]
        cursor, is_empty = None, True
        for page in pages:
            rows = [[_cell(one, column) for column in columns.values()] for one in page["data"]]
            widths = [max([width, *map(len, cells)]) for width, *cells in zip(widths, *rows, strict=True)]
            heads = [_line([*columns], widths, "bold")] if is_empty and rows else []
            self.result(page, *heads, *(_line(cells, widths) for cells in rows))
            cursor, is_empty = page["nextCursor"], is_empty and not rows
        if is_empty:
            self.say("none")
        if cursor is not None:
            self.say(f"… more: --cursor {cursor}, or --all")

    def failure(self, reason: str) -> None:
        """Prints why there is no result."""
        if self.as_json:
            self._err.out(json.dumps({"error": reason}, ensure_ascii=False), highlight=False)
        else:
            self.say(reason, "red")

    def say(self, text: str, style: str = "dim") -> None:
        self._err.print(Text(visible(text), style))


def _cell(one: Json, column: str | Callable[[Json], str]) -> str:
    return str(one[column] or "") if isinstance(column, str) else column(one)


def visible(text: str) -> str:
    """Text from others, changed so that it can neither move the cursor nor colour later text."""
    return "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def word(text: str) -> Text:
    """A word in the colour that it has everywhere."""
    return Text(text, _STYLES.get(text, ""))


def _line(cells: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    line = Text()
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True), 1):
        padded = visible(cell if number == len(cells) else f"{cell:<{width}}  ")
        line.append(padded, style or _STYLES.get(cell, ""))
    line.rstrip()
    return line


@contextmanager
def exit_statuses(terminal: Terminal) -> Iterator[None]:
    """Ends the program with the exit status of its failure. The reason goes to standard error."""

    def end(status: int, reason: str) -> NoReturn:
        terminal.failure(reason)
        raise SystemExit(status)

    try:
        yield
    except RefusedError as error:
        end(REFUSED, _refusal(error))
    except (UnreachableError, NoAnswerError) as error:
        end(UNREACHABLE, str(error))
    except KeyError as error:
        end(UNREACHABLE, f"the answer has no {error}: is this a payment gateway?")
    except LateError as error:
        end(LATE, str(error))
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _refusal(error: RefusedError) -> str:
    lines = [f"refused: {describe(error)}"]
    found: Any = error.problem.get("errors", [])
    lines += [f"  {one['pointer']}: {one['detail']}" for one in found if len(found) > 1]
    if error.slug == "test-endpoints-disabled":
        lines.append("  start the gateway with PAYMENT_GATEWAY_TEST_ENDPOINTS=true")
    if error.slug == "unauthenticated":
        lines.append("  give its key with --api-key or PAYMENT_GATEWAY_API_KEY")
    return "\n".join(lines)
