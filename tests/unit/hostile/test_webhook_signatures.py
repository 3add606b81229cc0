"""`X-Signature`, tried on the application alone: what is forged is looked up and stored nowhere."""

import time
from collections.abc import Callable

import pytest

from shared.signing import sign_standard
from tests.hostile.requests import Case, name_of, refused
from tests.hostile.signatures import FORGED, HEADERS, SIGNED, TAMPERED, UNIFORM, made, signed
from tests.hostile.webhooks import CURRENT, event, signature, webhook
from tests.unit.hostile.in_process import InProcess


@pytest.mark.parametrize("case", refused(HEADERS), ids=name_of)
async def test_a_signature_is_both_parts_once(order_api: InProcess, case: Case) -> None:
    answer = await order_api.expect(case, made(case.sent, order_api))
    assert set(answer.json) == {"type", "title", "status", "detail", "instance"}
    assert answer.json["detail"] == UNIFORM


@pytest.mark.parametrize("case", refused(SIGNED), ids=name_of)
async def test_a_signature_counts_for_five_minutes_and_for_listed_secrets(order_api: InProcess, case: Case) -> None:
    await order_api.expect(case, signed(case, order_api))


async def test_the_other_scheme_of_the_gateway_is_not_taken_for_this_one(order_api: InProcess) -> None:
    body = event()
    headers = sign_standard(body, [CURRENT], int(time.time()), "evt_1")
    values = {name.replace("-", "_"): [value.encode()] for name, value in headers.items()}
    await order_api.expect(Case("", None, *FORGED), webhook(order_api, body, [], **values))


@pytest.mark.parametrize("tamper", [case[1] for case in TAMPERED], ids=[case[0] for case in TAMPERED])
async def test_the_bytes_that_came_are_what_is_verified(order_api: InProcess, tamper: Callable[[bytes], bytes]) -> None:
    body = event()
    values = [",".join(signature(body)).encode()]
    await order_api.expect(Case("", None, *FORGED), webhook(order_api, tamper(body), values))
