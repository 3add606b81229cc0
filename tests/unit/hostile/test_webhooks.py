"""Webhooks whose signature is right, with bodies that are no event, tried on the application alone."""

import pytest

from tests.hostile.events import BODIES, signed
from tests.hostile.requests import Case, name_of, refused
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", refused(BODIES), ids=name_of)
async def test_what_is_signed_is_an_event(order_api: InProcess, case: Case) -> None:
    await order_api.expect(case, signed(case, order_api))
