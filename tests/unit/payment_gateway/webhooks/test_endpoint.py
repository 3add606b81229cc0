from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from payment_gateway.webhooks.endpoint import (
    GONE_AFTER,
    Endpoint,
    SigningSecret,
    after_attempt,
    configured_endpoint,
    deleted,
    disabled,
    new_secret,
    on_the_wire,
    retired_secret,
    rotated,
    signing_secrets,
    wants,
)
from shared import wire
from shared.signing import SIGNATURES_MAX, check_secret, sign, verify
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


def rotated_at(*seconds: float) -> Endpoint:
    """Rotated at these times, each time with an overlap of 60 s; the secrets are called by the time."""
    endpoint = an_endpoint()
    for one in seconds:
        endpoint = rotated(endpoint, f"whsec_{one:g}", overlap=timedelta(seconds=60), now=at(one))
    return endpoint


def test_a_rotation_puts_the_new_secret_first_and_lets_the_old_one_sign_until_the_overlap_ends() -> None:
    endpoint = rotated_at(100)
    assert signing_secrets(endpoint, now=at(159)) == ["whsec_100", SECRET]
    assert signing_secrets(endpoint, now=at(160)) == ["whsec_100"]


def test_a_rotation_without_overlap_retires_the_old_secret_at_once() -> None:
    endpoint = rotated(an_endpoint(), OLD, overlap=timedelta(0), now=at(100))
    assert signing_secrets(endpoint, now=at(100)) == [OLD]


def test_a_receiver_never_gets_more_signatures_than_it_looks_at() -> None:
    endpoint = rotated_at(*range(20))
    header = sign(b"{}", signing_secrets(endpoint, now=at(19)), 12345)
    verify(header, b"{}", ["whsec_19"], now=12345)


def test_rotations_without_overlap_take_no_signature_from_a_secret_that_still_signs() -> None:
    endpoint = rotated(an_endpoint(), "whsec_new", overlap=timedelta(seconds=60), now=NOW)
    for number in range(20):
        endpoint = rotated(endpoint, f"whsec_{number}", overlap=timedelta(0), now=at(1))
    assert signing_secrets(endpoint, now=at(1)) == ["whsec_19", SECRET]
    assert retired_secret(endpoint, now=at(1)) == "whsec_18"
    assert len(endpoint.secrets) == SIGNATURES_MAX


def test_the_retired_secret_is_the_one_that_signed_last() -> None:
    endpoint = rotated_at(0, 100, 200)
    assert retired_secret(endpoint, now=at(210)) == "whsec_0"
    assert retired_secret(endpoint, now=at(260)) == "whsec_100"


def test_a_secret_that_was_brought_back_is_not_retired() -> None:
    endpoint = an_endpoint()
    for value in ("whsec_other", SECRET):
        endpoint = rotated(endpoint, value, overlap=timedelta(seconds=100 if value == SECRET else 0), now=NOW)
    assert signing_secrets(endpoint, now=at(1)) == [SECRET, "whsec_other"]
    assert retired_secret(endpoint, now=at(1)) not in {SECRET, "whsec_other"}


def test_an_endpoint_that_was_never_rotated_has_a_retired_secret_that_never_signed() -> None:
    endpoint = an_endpoint()
    never = retired_secret(endpoint, now=NOW)
    check_secret(never)
    assert never == retired_secret(endpoint, now=at(60)) != SECRET
    assert never != retired_secret(replace(endpoint, id="we_2"), now=NOW)


def test_a_new_secret_is_one_and_another_every_time() -> None:
    check_secret(new_secret())
    assert new_secret() != new_secret()


def tried(endpoint: Endpoint, day: float, *, delivered: bool = False, gone: bool = False) -> Endpoint:
    pause_max = timedelta(hours=28)
    return after_attempt(endpoint, delivered=delivered, gone=gone, at=at(day * 86400), pause_max=pause_max)


def failing(*days: float) -> Endpoint:
    endpoint = an_endpoint()
    for day in days:
        endpoint = tried(endpoint, day)
    return endpoint


def test_an_endpoint_is_failing_since_the_first_of_the_attempts_that_failed() -> None:
    endpoint = failing(1, 2, 3)
    assert (endpoint.state, endpoint.failing_since) == ("enabled", at(86400))


def test_an_endpoint_that_fails_for_five_days_is_disabled() -> None:
    assert failing(0, 1, 2, 3, 4, 4.99).state == "enabled"
    endpoint = failing(0, 1, 2, 3, 4, 5)
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "failing")


@pytest.mark.parametrize("days", [(0, 5), (0, 1, 2, 3, 5), (0, 0.1, 30)])
def test_an_endpoint_that_was_not_tried_for_more_than_a_day_of_the_five_begins_to_fail_anew(days: list[float]) -> None:
    endpoint = failing(*days)
    assert (endpoint.state, endpoint.failing_since) == ("enabled", at(days[-1] * 86400))


def test_an_endpoint_that_fails_often_is_disabled_after_five_days_too() -> None:
    assert failing(*(minute / 1440 for minute in range(0, 5 * 1440, 25))).state == "enabled"
    assert failing(*(minute / 1440 for minute in range(0, 5 * 1440 + 25, 25))).state == "disabled"


def test_an_endpoint_that_goes_on_failing_changes_once_in_an_hour() -> None:
    endpoint = failing(0)
    assert tried(endpoint, 0.04) is endpoint
    assert tried(endpoint, 0.05) is not endpoint


def test_an_attempt_that_began_earlier_and_is_recorded_later_does_not_begin_anew() -> None:
    endpoint = failing(1, 2, 0.9)
    assert endpoint.failing_since == at(0.9 * 86400)
    assert failing(1, 2, 0.9, 3, 4, 5, 5.95).state == "disabled"


def test_one_delivery_in_five_days_keeps_an_endpoint() -> None:
    works = tried(failing(0, 1, 2, 3, 4), 4.5, delivered=True)
    assert works == an_endpoint()
    later = tried(works, 6)
    assert (later.state, later.failing_since) == ("enabled", at(6 * 86400))


def test_an_endpoint_that_is_gone_is_disabled_at_once() -> None:
    endpoint = tried(an_endpoint(), 0, gone=True)
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "gone")


@pytest.mark.parametrize("delivered", [True, False])
def test_what_was_in_hand_when_it_was_disabled_changes_nothing(delivered: bool) -> None:
    endpoint = disabled(an_endpoint(), "merchant")
    assert tried(endpoint, 0, delivered=delivered, gone=not delivered) is endpoint


def test_whoever_is_shown_an_endpoint_is_not_shown_its_secret() -> None:
    assert SECRET not in wire.encode(on_the_wire(rotated_at(1))).decode()


def test_a_deleted_endpoint_stays_for_what_is_still_under_way_to_it() -> None:
    """MongoDB took one without keys within a minute, with its generation and with marks that were not announced yet."""
    by_the_servers_clock = NOW + timedelta(hours=3)
    endpoint = deleted(an_endpoint(), "default", read_at=by_the_servers_clock, at=NOW).after
    assert endpoint is not None
    assert (endpoint.deleted_at, endpoint.generation) == (NOW, 1)
    assert endpoint.gone_at == by_the_servers_clock + GONE_AFTER, "it is MongoDB that deletes it then"
