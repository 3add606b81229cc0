"""What the members of a body may be, tried on the application alone."""

from typing import Any

import pytest

from tests.hostile.members import BOTH, CHARGES, NUMBERS, ORDERS
from tests.hostile.requests import Case, name_of, refused
from tests.unit.hostile.in_process import InProcess

HIDDEN = [(name, number) for name, number, status in NUMBERS if status == 422]


@pytest.mark.parametrize("case", refused(BOTH), ids=name_of)
async def test_members_are_what_they_should_be(target: InProcess, case: Case) -> None:
    await target.expect(case, target.post(target.body(**case.sent)))


@pytest.mark.parametrize("number", [case[1] for case in HIDDEN], ids=[case[0] for case in HIDDEN])
async def test_what_names_a_thing_shows_in_every_character(target: InProcess, number: Any) -> None:
    case = Case("", None, 422, "invalid-fields")
    answer = await target.expect(case, target.post(target.body(**{target.number: number})))
    assert answer.json["errors"][0]["pointer"] == f"/{target.number}"


@pytest.mark.parametrize("case", refused(ORDERS), ids=name_of)
async def test_an_order_is_in_decimal_major_units(order_api: InProcess, case: Case) -> None:
    await order_api.expect(case, order_api.post(order_api.body(**case.sent)))


@pytest.mark.parametrize("case", refused(CHARGES), ids=name_of)
async def test_a_charge_is_in_whole_minor_units(gateway: InProcess, case: Case) -> None:
    await gateway.expect(case, gateway.post(gateway.body(**case.sent)))
