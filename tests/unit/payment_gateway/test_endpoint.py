import msgspec
import pytest

from payment_gateway.endpoint import SigningSecret, configured_endpoint, signing_secrets, wants
from shared.signing import sign, verify
from tests.unit.payment_gateway.examples import NOW, SECRET, an_endpoint, at

OLD = f"whsec_{'A' * 32}"
URL = "https://shop.example/hooks"


@pytest.mark.parametrize("event_type", ["payment.succeeded", "refund.failed", "of.tomorrow"])
def test_an_endpoint_that_names_no_types_wants_all(event_type: str) -> None:
    assert wants(an_endpoint(), "default", event_type)


def test_an_endpoint_that_names_types_wants_only_those() -> None:
    endpoint = an_endpoint("payment.succeeded", "refund.failed")
    assert wants(endpoint, "default", "refund.failed")
    assert not wants(endpoint, "default", "payment.failed")


def test_an_endpoint_never_gets_another_merchants_events() -> None:
    assert not wants(an_endpoint(), "somebody-else", "payment.succeeded")


def test_a_disabled_endpoint_wants_nothing() -> None:
    disabled = msgspec.structs.replace(an_endpoint(), state="disabled")
    assert not wants(disabled, "default", "payment.succeeded")


def test_during_a_rotation_both_secrets_sign_and_then_only_the_new_one() -> None:
    secrets = (SigningSecret(SECRET), SigningSecret(OLD, expires_at=at(60)))
    endpoint = msgspec.structs.replace(an_endpoint(), secrets=secrets)
    assert signing_secrets(endpoint, now=at(59)) == [SECRET, OLD]
    assert signing_secrets(endpoint, now=at(60)) == [SECRET]


def test_a_receiver_that_knows_either_secret_verifies_a_delivery_during_a_rotation() -> None:
    secrets = (SigningSecret(SECRET), SigningSecret(OLD, expires_at=at(60)))
    endpoint = msgspec.structs.replace(an_endpoint(), secrets=secrets)
    header = sign(b"{}", signing_secrets(endpoint, now=NOW), 12345)
    for known in (SECRET, OLD):
        verify(header, b"{}", [known], now=12345)


def test_every_replica_means_the_same_endpoint_by_the_url_in_its_environment() -> None:
    """C23: the id follows from the URL, not from the secret or the time."""
    one = configured_endpoint("default", URL, SECRET, now=NOW)
    assert configured_endpoint("default", URL, OLD, now=at(60)).id == one.id


def test_another_url_or_merchant_is_another_endpoint() -> None:
    """C23"""
    ids = {
        configured_endpoint(merchant, url, SECRET, now=NOW).id
        for merchant in ("default", "other")
        for url in (URL, URL + "/2")
    }
    assert len(ids) == 4


def test_the_configured_endpoint_takes_every_event_and_signs_with_its_secret() -> None:
    endpoint = configured_endpoint("default", URL, SECRET, now=NOW)
    assert wants(endpoint, "default", "payment.succeeded")
    assert signing_secrets(endpoint, now=at(10**9)) == [SECRET]


def test_an_endpoint_does_not_show_its_secret() -> None:
    assert SECRET not in repr(an_endpoint())
