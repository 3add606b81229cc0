"""The report: a table, and on a violation how to see more."""

from copy import copy
from pathlib import Path

import pytest

from tests.unit.tools.chaos.examples import CHARGED_TWICE, DECLINED, PARTLY_REFUNDED, a_run
from tools.chaos.checker import check
from tools.chaos.evidence import Evidence
from tools.chaos.report import longest_stall_seconds, show
from tools.chaos.story import story
from tools.mutants import PAGE


@pytest.fixture
def run(tmp_path: Path) -> Evidence:
    return a_run(tmp_path / "order_api_1.log")


def test_the_report_of_a_good_run_is_a_table(run: Evidence) -> None:
    report = show(run, check(run), {"kill -9 of order_api": 3}, seed=7)
    assert report.splitlines()[1].split() == ["kill", "-9", "of", "order_api", "3"]
    assert "17 of 17 hold" in report


def test_the_report_of_a_bad_run_tells_the_story(run: Evidence) -> None:
    run.provider_charges[0]["amount"] += 1
    assert f"The story of {PARTLY_REFUNDED}" in show(run, check(run), {}, seed=7)


def test_the_report_ends_with_the_row_of_the_page_of_guarantees(run: Evidence) -> None:
    last = show(run, check(run), {"kill -9 of order_api": 3}, seed=7).splitlines()[-1]
    head = next(line for line in PAGE.read_text().splitlines() if line.startswith("| seed |"))
    figures = dict(zip(head.split(" | "), last.split(" | "), strict=True))
    assert (figures["| seed"], figures["orders"], figures["faults injected"]) == ("| 7", "9", "3")
    assert figures["invariants |"] == "17 of 17 |"


def test_an_order_without_its_message_is_lost(run: Evidence) -> None:
    run.order_by_id[DECLINED]["calls"].clear()
    assert row(show(run, check(run), {}, seed=7), "lost") == "1"


def test_an_order_that_keeps_two_charges_is_doubled(run: Evidence) -> None:
    run.provider_refunds = [one for one in run.provider_refunds if one["charge_reference"] != CHARGED_TWICE]
    assert row(show(run, check(run), {}, seed=7), "doubled") == "1"


def test_what_is_still_open_is_stuck(run: Evidence) -> None:
    run.still_open = ["order ord_1 is Pending", "message obx_1 of ord_1 is ready"]
    assert row(show(run, check(run), {}, seed=7), "stuck") == "2"


def test_a_stall_is_a_pause_between_answers_in_which_somebody_was_trying(run: Evidence) -> None:
    run.operations = [operation for operation in run.operations if operation.kind == "place"][:4]
    for operation, (began, ended) in zip(run.operations, [(0, 1), (1, 2), (50, 57), (51, 58)], strict=True):
        operation.began, operation.ended = float(began), float(ended)
    assert longest_stall_seconds(run) == 7.0
    in_vain = copy(run.operations[0])
    in_vain.began, in_vain.ended, in_vain.attempts = 1.5, 4.0, []
    run.operations.append(in_vain)
    assert longest_stall_seconds(run) == 9.0  # 2 s of it and 7 s of those who came later; nobody was trying in between


def test_a_story_tells_both_sides_in_the_order_of_time(run: Evidence) -> None:
    lines = story(run, PARTLY_REFUNDED).splitlines()
    assert lines == sorted(lines, key=lambda line: line[:12])
    for who in ("customer", "orders", "payment_events", "provider"):
        assert any(line[14:].startswith(who) for line in lines)


def row(report: str, name: str) -> str:
    return next(line.split()[-1] for line in report.splitlines() if line.startswith(name))
