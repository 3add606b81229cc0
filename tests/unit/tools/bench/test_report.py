"""The results of `make bench` as people see them: on the terminal, as the page of the docs, as a picture."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from tools.bench.figures import Figure, Results, as_json, at_least, at_most, figure, from_json
from tools.bench.plot import plot
from tools.bench.report import JSON, PAGE, SVG, page, summary, table

SVG_NAME = "{http://www.w3.org/2000/svg}"


def results(**parts: list[Figure]) -> Results:
    return Results(
        at=datetime(2026, 11, 28, tzinfo=UTC),
        machine={"cores": "2"},
        settings={"seconds": 4, "rounds": 3, "stored": 1_000_000},
        took_seconds=dict.fromkeys(parts, 61),
        figures={part: tuple(figures) for part, figures in parts.items()},
    )


INTAKE = [
    figure("rate, beside the ceiling", "times", 0.3, 0.4, 0.5, goal=at_least(0.35)),
    figure("rate of the textbook, beside the ceiling", "times", 0.02, 0.025, 0.03),
    figure("ceiling, 64 connections: rate", "/s", 4000),
    figure("placed, 64 connections: rate", "/s", 1600),
    figure("textbook, 64 connections: rate", "/s", 100),
]
GROWTH = [
    figure("read with 1,000,000 orders, beside 10,000", "times", 0.8, 0.85, 0.95, goal=at_least(0.9)),
    figure("paid with 1,000,000 orders, beside 10,000", "times", 1.0, goal=at_least(0.9)),
]


def test_the_page_of_the_docs_is_what_its_results_say() -> None:
    measured = from_json(JSON.read_bytes())
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, measured) == text, "run make bench ARGS=--page"
    assert SVG.read_text() == plot(measured), "run make bench ARGS=--page"


def test_the_results_of_the_docs_have_every_part_that_runs_by_itself() -> None:
    measured = from_json(JSON.read_bytes())
    assert measured.failed == ()
    assert set(measured.figures) >= {"intake", "answers", "paid", "growth", "backlog", "cache", "gateway", "user"}


def test_results_are_read_as_they_were_written() -> None:
    written = results(intake=INTAKE)
    assert from_json(as_json(written)) == written


def test_the_table_shows_the_median_with_lowest_and_highest_and_whether_the_goal_is_met() -> None:
    rows = [line.split("  ") for line in table(results(intake=INTAKE, growth=GROWTH)).splitlines()[2:]]
    cells = {tuple(cell.strip() for cell in row if cell.strip()) for row in rows}
    assert ("intake", "rate, beside the ceiling", "0.400", "0.300 to 0.500", "at least 0.35", "yes") in cells
    assert ("growth", GROWTH[0].name, "0.850", "0.800 to 0.950", "at least 0.9", "NO") in cells
    assert ("intake", "ceiling, 64 connections: rate", "4,000/s") in cells


def test_the_summary_names_each_goal_that_was_missed() -> None:
    lines = summary(results(intake=INTAKE, growth=GROWTH)).splitlines()
    assert lines[:2] == ["goals met: 2 of 3", f"  growth: {GROWTH[0].name}: 0.850, not at least 0.9"]


def test_a_latency_above_its_bound_misses_its_goal() -> None:
    slow = figure("p99", "ms", 13, goal=at_most(12))
    assert "  paid: p99: 13.0 ms, not at most 12" in summary(results(paid=[slow]))


def test_the_page_keeps_what_people_wrote_around_the_tables() -> None:
    text = "before\n<!-- made by `make bench ARGS=--page` -->\nold\n<!-- end of what is made -->\nafter\n"
    renewed = page(text, results(intake=INTAKE))
    assert renewed.startswith("before\n")
    assert renewed.endswith("<!-- end of what is made -->\nafter\n")
    assert "old" not in renewed
    assert "| `intake` | rate, beside the ceiling | 0.400 | 0.300 to 0.500 | at least 0.35 | yes |" in renewed
    assert page(renewed, results(intake=INTAKE)) == renewed


def test_a_bar_of_the_picture_is_as_long_as_its_median() -> None:
    bars = {bar.get("class"): float(bar.get("width", "")) for bar in shapes(plot(results(intake=INTAKE)), "rect")}
    assert round(bars["ours"] / bars["ceiling"], 2) == 0.4
    assert round(bars["theirs"] / bars["ceiling"], 3) == 0.025


def test_the_picture_has_the_goal_beside_what_is_left_in_a_full_database() -> None:
    drawn = plot(results(growth=GROWTH))
    [goal] = [line for line in shapes(drawn, "line") if line.get("class") == "goal"]
    left = min(float(bar.get("x", "")) for bar in shapes(drawn, "rect") if bar.get("class") == "ours")
    full = max(float(bar.get("width", "")) for bar in shapes(drawn, "rect") if bar.get("class") == "ours")
    assert round((float(goal.get("x1", "")) - left) / full, 2) == 0.9
    assert {"read", "paid"} <= {text.text for text in shapes(drawn, "text")}


def test_the_picture_leaves_out_what_was_not_measured() -> None:
    drawn = plot(results(growth=GROWTH))
    assert not [text for text in shapes(drawn, "text") if text.text == "Requests a second, beside the ceiling"]
    assert plot(results()).startswith("<svg")


def shapes(svg: str, name: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(SVG_NAME + name))
