import json
import time
from collections.abc import Callable

import pytest
import standardwebhooks

from payment_gateway.faults.forge import signed
from payment_gateway.faults.rates import FORGERIES, Forgery
from payment_gateway.webhooks.endpoint import SigningSecret, retired_secret
from shared.signing import SignatureError, check_secret, verify
from tests.unit.payment_gateway.examples import NOW, SECRET, an_endpoint, at

BODY = b'{"id":"evt_1","data":{"amount":9999}}'
RETIRED = "whsec_cmV0aXJlZCBzZWNyZXQsIG5vYm9keSB1c2VzIGl0IG5vdw=="


def accepted(body: bytes, forgery: Forgery | None) -> list[bool]:
    """By a verifier of each scheme."""
    sent, headers = signed(
        body, [SECRET], message_id="evt_1", timestamp=int(time.time()), forgery=forgery, retired_secret=RETIRED
    )
    return [
        holds(lambda: verify(headers["X-Signature"], sent, [SECRET], now=time.time())),
        holds(lambda: standardwebhooks.Webhook(SECRET).verify(sent, dict(headers))),
    ]


def holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except (SignatureError, standardwebhooks.WebhookVerificationError):
        return False
    return True


def test_the_truth_is_accepted() -> None:
    assert accepted(BODY, None) == [True, True]


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("body", [BODY, b'{"id":"evt_1"}', b"{}"])
def test_no_forgery_is_accepted(body: bytes, forgery: Forgery) -> None:
    assert accepted(body, forgery) == [False, False]


@pytest.mark.parametrize("body", [BODY, b'{"id":"evt_1"}'])
def test_a_tampered_body_is_json_like_the_true_one(body: bytes) -> None:
    sent, _ = signed(body, [SECRET], message_id="evt_1", timestamp=1, forgery="tampered_body")
    assert (sent != body, json.loads(sent).keys()) == (True, json.loads(body).keys())


def test_only_a_tampered_body_is_another(subtests: pytest.Subtests) -> None:
    for forgery in set(FORGERIES) - {"tampered_body"}:
        with subtests.test(forgery):
            sent, _ = signed(BODY, [SECRET], message_id="evt_1", timestamp=1, forgery=forgery, retired_secret=RETIRED)
            assert sent == BODY


def test_the_retired_secret_is_the_one_that_expired_last() -> None:
    current, *old = (SigningSecret(f"whsec_{name}") for name in ("current", "older", "newer", "overlapping"))
    expired = [SigningSecret(one.value, at(seconds)) for one, seconds in zip(old, (-20, -10, 10), strict=True)]
    endpoint = an_endpoint()
    rotated = type(endpoint)(
        id=endpoint.id, merchant="default", url=endpoint.url, secrets=(current, *expired), created_at=NOW
    )
    assert retired_secret(rotated, now=NOW) == "whsec_newer"


def test_where_no_secret_ever_expired_the_retired_one_is_well_formed_and_nobodys() -> None:
    secret = retired_secret(an_endpoint(), now=NOW)
    check_secret(secret)
    assert secret != SECRET
