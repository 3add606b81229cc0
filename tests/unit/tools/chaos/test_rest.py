"""What of an order has come to rest, and what has not."""

from datetime import timedelta
from pathlib import Path

import pytest

from shared.mongo import Document
from tests.unit.tools.chaos.examples import DISPUTED, GIVEN_UP, LATER, NOT_GIVEN_BACK, PAID_AGAIN, a_run
from tests.unit.tools.chaos.run_by_hand import START
from tools.chaos.rest import open_in

SOON = START + timedelta(seconds=60)


@pytest.fixture
def orders(tmp_path: Path) -> dict[str, Document]:
    return a_run(tmp_path / "order_api_1.log").order_by_id


def test_every_order_of_a_run_in_which_all_is_well_is_at_rest(orders: dict[str, Document]) -> None:
    assert [left for order in orders.values() for left in open_in(order, SOON)] == []


def test_what_waits_in_vain_is_not_at_rest_when_its_time_is_near(orders: dict[str, Document]) -> None:
    assert open_in(orders[NOT_GIVEN_BACK], LATER + timedelta(seconds=1))


def test_what_waits_for_its_time_is_not_at_rest_until_it_has_failed_thrice(orders: dict[str, Document]) -> None:
    order = orders[NOT_GIVEN_BACK]
    del order["refunds"][0]
    assert open_in(order, SOON)


def test_an_open_question_is_at_rest_only_where_a_person_is_to_look(orders: dict[str, Document]) -> None:
    for order in orders.values():
        order["reconcile_at"] = START
    orders[DISPUTED]["disputes"][0]["state"] = "open"
    asked_about = {order_id for order_id, order in orders.items() if open_in(order, SOON)}
    assert asked_about == orders.keys() - {DISPUTED, GIVEN_UP, NOT_GIVEN_BACK}


def test_an_order_whose_answers_are_not_all_there_is_not_at_rest(orders: dict[str, Document]) -> None:
    orders[PAID_AGAIN]["asks_left"] = 1
    assert open_in(orders[PAID_AGAIN], SOON)
