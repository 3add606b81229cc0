"""The results for people: a table on the terminal, and the tables and the picture of docs/performance.md."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.bench.figures import Figure, Part, Results, from_json, shown
from tools.bench.plot import plot
from tools.bench.user import AT_REST

ROOT = Path(__file__).parents[2]
JSON = ROOT / "docs" / "performance.json"
SVG = ROOT / "docs" / "performance.svg"
PAGE = ROOT / "docs" / "performance.md"

ROUNDS_THAT_COUNT = 3
ORDERS_A_DAY = (1_000, 10_000, 100_000)

# Between these lines the page is made from the JSON.
_MADE = re.compile(r"(?<=<!-- made by `make bench ARGS=--page` -->\n).*(?=<!-- end of what is made -->)", re.DOTALL)


def table(results: Results) -> str:
    """All figures, for the terminal."""
    rows = [("part", "figure", "median", "lowest to highest", "goal", "")]
    rows += [(part, *_cells(one)) for part, one in _all(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def summary(results: Results) -> str:
    """The goals that were missed, and the parts that could not be measured."""
    missed = [f"  {part}: {one.name}: {_value(one, one.median)}, not {one.goal}" for part, one in results.missed()]
    goals = sum(one.goal is not None for _, one in _all(results))
    lines = [f"goals met: {goals - len(missed)} of {goals}", *missed]
    lines += [f"could not be measured: {', '.join(results.failed)}"] if results.failed else []
    took = ", ".join(f"{part} {seconds} s" for part, seconds in results.took_seconds.items())
    return "\n".join([*lines, f"took {took}"])


def renew_page() -> None:
    """Writes the picture and the tables of the page from its JSON."""
    results = from_json(JSON.read_bytes())
    SVG.write_text(plot(results))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


def page(text: str, results: Results) -> str:
    """The text of the page with the tables of these results."""
    parts = (_origin(results), _goals(results), _year(results), _details(results))
    made = "".join("\n".join(["", *part, ""]) for part in parts if part) + "\n"
    renewed, count = _MADE.subn(lambda _: made, text)
    assert count == 1, "the page has one place for them"
    return renewed


def _origin(results: Results) -> list[str]:
    seconds, rounds = results.settings["seconds"], results.settings["rounds"]
    minutes = sum(results.took_seconds.values()) / 60
    turns = f"{rounds} round{'s' if rounds > 1 else ''} of {seconds}-second turns, {minutes:.0f} minutes in all"
    lines = [f"Measured on {results.at:%Y-%m-%d}: {turns}.", ""]
    if rounds < ROUNDS_THAT_COUNT:
        lines += ["So short a run shows that everything can be measured, and not how fast it is.", ""]
    return lines + _markdown(("machine", ""), results.machine.items())


def _goals(results: Results) -> list[str]:
    rows = [(part, *_cells(one)) for part, one in _all(results) if one.goal]
    return _markdown(("part", "figure", "median", "lowest to highest", "goal", "met"), _without_repeats(rows))


def _year(results: Results) -> list[str]:
    """What is left of a year's orders when their keys have expired and their events are archived."""
    data, indexes = (results.median("user", f"{what} of an order, {AT_REST}") for what in ("data", "indexes"))
    if data is None or indexes is None:
        return []
    rows = [
        (f"{a_day:,}", *(f"{shown(365 * a_day * size / 10**9)} GB" for size in (data, indexes)))
        for a_day in ORDERS_A_DAY
    ]
    return _markdown(("orders a day", "documents of a year, uncompressed", "their indexes"), rows)


def _details(results: Results) -> list[str]:
    rows = [(part, *_cells(one)[:3]) for part, one in _all(results) if not one.goal]
    figures = _markdown(("part", "figure", "median", "lowest to highest"), _without_repeats(rows))
    return ["<details><summary>All other figures</summary>", "", *figures, "", "</details>"]


def _without_repeats(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    before = ""
    for part, *cells in rows:
        yield ("" if part == before else f"`{part}`", *cells)
        before = part


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:]]


def _cells(one: Figure) -> tuple[str, str, str, str, str]:
    spread = f"{shown(min(one.values))} to {shown(max(one.values))}" if len(one.values) > 1 else ""
    met = {True: "yes", False: "NO", None: ""}[one.is_good]
    return one.name, _value(one, one.median), spread, str(one.goal or ""), met


def _value(one: Figure, value: float) -> str:
    """With its unit; a ratio has none."""
    if one.unit == "times":
        return shown(value)
    return f"{shown(value)}{'' if one.unit.startswith(('/', '%')) else ' '}{one.unit}".rstrip()


def _all(results: Results) -> Iterator[tuple[Part, Figure]]:
    return ((part, one) for part, figures in results.figures.items() for one in figures)
