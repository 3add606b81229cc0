"""What `make bench` compares with and stores: the textbook keeps its promises, and stored orders are like placed ones."""

import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tools.bench.load import LoadError
from tools.bench.paying import place, wait_until_paid
from tools.bench.requests import Caller
from tools.bench.stage import TEXTBOOK, Stage
from tools.bench.stored import FinishedOrders, store_open_orders
from tools.mongod import Mongod, scratch, temporary_mongod


@pytest.fixture(scope="module")
def mongod() -> Iterator[Mongod]:
    """One of our own: the textbook begins transactions, which nothing else here may."""
    with temporary_mongod(below=scratch()) as mongod:
        yield mongod


@pytest.fixture(scope="module")
def textbook(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("textbook")
    with Stage(mongod, folder, "textbook", module=TEXTBOOK).running(with_gateway=True) as stage:
        yield stage


@pytest.fixture(scope="module")
def stage(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(mongod, tmp_path_factory.mktemp("bench"), "bench").running(with_gateway=True) as stage:
        yield stage


def get(stage: Stage, path: str) -> Any:
    with urllib.request.urlopen(f"{stage.service.url}{path}", timeout=10) as response:
        return json.load(response)


def test_the_textbook_takes_an_order_to_paid_with_one_charge(textbook: Stage) -> None:
    order_id = place(textbook.service.url, "paid", "paid")
    wait_until_paid(textbook.orders)
    order = textbook.orders.find_one({"_id": order_id})
    [charge] = textbook.gateway_database["charges"].find({"reference": order_id})
    assert order is not None
    assert (order["status"], order["charge_id"]) == ("Paid", charge["_id"])
    assert textbook.database["events"].count_documents({"order_id": order_id}) == 1


def test_the_textbook_answers_a_known_key_with_the_same_order(textbook: Stage) -> None:
    first, second = (place(textbook.service.url, "again", "again") for _ in range(2))
    assert first == second
    assert textbook.orders.count_documents({"order_number": "again"}) == 1


@pytest.mark.parametrize(("key", "number", "status"), [("known", "another", 422), ("another", "known", 409)])
def test_the_textbook_refuses_a_key_or_a_number_of_another_order(
    textbook: Stage, key: str, number: str, status: int
) -> None:
    place(textbook.service.url, "known", "known")
    with pytest.raises(urllib.error.HTTPError) as refused:
        place(textbook.service.url, key, number)
    with refused.value as answer:
        assert answer.code == status


def test_the_textbook_refuses_a_forged_webhook(textbook: Stage) -> None:
    signature = {"X-Signature": f"t={int(time.time())},v1={'0' * 64}"}
    url = f"{textbook.service.url}/api/webhooks/payments"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"{}", signature), timeout=10)
    with refused.value as answer:
        assert answer.code == 401


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_each_kind_of_request_is_answered_as_it_must(mongod: Mongod, tmp_path: Path) -> None:
    """Each of them raises LoadError otherwise."""
    with Stage(mongod, tmp_path, "answered").running() as stage:
        caller = Caller(stage, 3)
        for send in (caller.place, caller.replay, caller.read, caller.list, caller.webhook):
            turn = send()
            assert turn.load.requests > 0
            assert set(turn.cpu_us) == {"order_api", "mongod"}


def test_order_api_shows_a_finished_order_that_was_stored_as_one_that_it_has_paid_itself(stage: Stage) -> None:
    stage.orders.delete_many({})
    FinishedOrders(stage).fill(30)
    [placed] = stage.orders.find({"order_number": {"$not": {"$regex": "^stored-00000"}}})
    paid = get(stage, f"/api/orders/{placed['_id']}")
    for order in stage.orders.find({"order_number": {"$regex": "^stored-00000"}}):
        shown = get(stage, f"/api/orders/{order['_id']}")
        assert {name for name in shown if shown[name] != paid[name]} <= {
            *("id", "orderNumber", "createdAt", "updatedAt", "payments", "charges", "history")
        }
        assert (shown["id"], shown["charges"][0]["state"]) == (order["_id"], "succeeded")
        [event] = get(stage, f"/api/orders/{order['_id']}/events")["data"]
        assert event["outcome"] == "applied"


def test_only_orders_of_the_last_day_have_a_key(stage: Stage) -> None:
    stage.orders.delete_many({})
    FinishedOrders(stage).fill(30, oldest=timedelta(hours=48, minutes=48))
    now = max(order["created_at"] for order in stage.orders.find())
    ages = {order["order_number"]: (now - order["created_at"], len(order["keys"])) for order in stage.orders.find()}
    assert {keys for age, keys in ages.values() if age < timedelta(hours=24)} == {1}
    assert {keys for age, keys in ages.values() if age > timedelta(hours=24)} == {0}


def test_open_orders_that_were_stored_are_paid_once_the_provider_is_back(mongod: Mongod, tmp_path: Path) -> None:
    with Stage(mongod, tmp_path, "open").running() as stage:
        _store_open_orders(stage, 30)
        stage.gateway.start()
        wait_until_paid(stage.orders)
        assert stage.gateway_database["charges"].count_documents({}) == stage.orders.count_documents({}) >= 31


def _store_open_orders(stage: Stage, count: int) -> None:
    """Until the breaker is open, each call is tried as soon as its order is placed."""
    while True:
        number = str(time.monotonic_ns())
        place(stage.service.url, number, number)
        try:
            store_open_orders(stage, count, oldest=timedelta(minutes=30))
        except LoadError:
            continue
        return
