"""What the members of a body may be. Amounts are decimal major units for order_api, whole minor units for the gateway."""

import json
from typing import Any

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Target
from tests.hostile.members import BOTH, CHARGES, METHODS, NUMBERS, ORDERS, UNPAYABLE, UNPAYABLE_ORDERS
from tests.hostile.requests import Case, end_to_end, name_of

SOME = end_to_end(
    BOTH,
    "no amount",
    "a currency in small letters",
    "an operator at the top",
    "a member that nobody knows",
)
SHOWN = [(name, number) for name, number, status in NUMBERS if status == 201]
SOME_HIDDEN = [(name, number) for name, number, _ in NUMBERS if name in {"nothing at all", "NUL", "a bidi override"}]
SOME_ORDERS = end_to_end(ORDERS, "65 characters", "5,000 decimals in a string")
SOME_CHARGES = end_to_end(CHARGES, "256 characters", "a fraction")


@pytest.mark.parametrize("case", [*SOME, *UNPAYABLE], ids=name_of)
async def test_members_are_what_they_should_be(target: Target, case: Case) -> None:
    answer = await target.expect(case, target.post(target.body(**case.sent)))
    if "metadata" in case.sent and case.status == 201:
        assert answer.json["metadata"] == case.sent["metadata"]


@pytest.mark.parametrize("number", [case[1] for case in SHOWN], ids=[case[0] for case in SHOWN])
async def test_what_names_a_thing_comes_back_as_it_was(target: Target, number: str) -> None:
    given = number.format(target.name)
    answer = await target.expect(Case("", None, 201), target.post(target.body(**{target.number: given})))
    assert answer.json[target.number] == given


@pytest.mark.parametrize("number", [case[1] for case in SOME_HIDDEN], ids=[case[0] for case in SOME_HIDDEN])
async def test_what_names_a_thing_shows_in_every_character(target: Target, number: Any) -> None:
    case = Case("", None, 422, "invalid-fields")
    answer = await target.expect(case, target.post(target.body(**{target.number: number})))
    assert answer.json["errors"][0]["pointer"] == f"/{target.number}"


@pytest.mark.parametrize("case", [*SOME_ORDERS, *UNPAYABLE_ORDERS], ids=name_of)
async def test_an_order_is_in_decimal_major_units(order_api: Target, case: Case) -> None:
    await order_api.expect(case, order_api.post(order_api.body(**case.sent)))


@pytest.mark.parametrize("case", [*METHODS, *SOME_CHARGES], ids=name_of)
async def test_a_charge_is_in_whole_minor_units(gateway: Target, case: Case) -> None:
    await gateway.expect(case, gateway.post(gateway.body(**case.sent)))


@pytest.mark.parametrize(
    ("charge_id", "changes", "status", "problem"),
    [
        ("ch_nothing", {}, 404, "not-found"),
        ("%00", {}, 404, "not-found"),
        ("{}", {}, 409, "not-refundable"),
        ("{}", {"amount": 0}, 422, "invalid-fields"),
        ("{}", {"reference": "rf\u202e1"}, 422, "invalid-fields"),
        ("{}", {"chargeId": "ch_another"}, 422, "invalid-fields"),
    ],
    ids=[
        "of a charge that is not there",
        "of NUL",
        "of a charge that is pending",
        "of nothing",
        "with a hidden character in its reference",
        "that names another charge",
    ],
)
async def test_no_refund(gateway: Target, charge_id: str, changes: dict[str, Any], status: int, problem: str) -> None:
    charge = (await exchange(gateway.port, gateway.post())).json["id"]
    body = json.dumps({"amount": 1, "reference": "rf_1", **changes}).encode()
    sent = gateway.post(body, to=f"/v1/charges/{charge_id.format(charge)}/refunds")
    await gateway.expect(Case("", None, status, problem), sent)
