"""What `make run` makes of the settings that both services must agree on."""

from typing import Any

import pytest

from shared.env import Secret, SettingError
from tools.run import Asked, credentials
from tools.stack import Credentials

KEPT = Credentials("kept-secret", "kept-key")
DIGEST = Secret("shop:" + "0" * 64)


@pytest.mark.parametrize(
    ("asked", "agreed"),
    [
        ({}, KEPT),
        ({"payment_gateway_api_key": "k"}, Credentials("kept-secret", "k")),
        ({"payment_gateway_api_keys": (DIGEST, "a", "b")}, Credentials("kept-secret", "a")),
        ({"payment_gateway_api_keys": (DIGEST,), "payment_gateway_api_key": "k"}, Credentials("kept-secret", "k")),
        ({"webhook_secrets": ("new", "old")}, Credentials("new", "kept-key")),
        ({"webhook_endpoint_secret": "s"}, Credentials("s", "kept-key")),
    ],
)
def test_what_one_service_is_given_the_other_gets_too(asked: dict[str, Any], agreed: Credentials) -> None:
    assert credentials(Asked(**asked), KEPT) == agreed


def test_a_key_that_is_known_by_its_digest_only_must_be_given_to_order_api() -> None:
    with pytest.raises(SettingError, match="set PAYMENT_GATEWAY_API_KEY "):
        credentials(Asked(payment_gateway_api_keys=(DIGEST,)), KEPT)
