"""The official libraries of both schemes verify what we sign, and where they are lax we are strict."""

import time

import pytest
import standardwebhooks
import stripe

from shared.signing import SignatureError, sign, sign_standard, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"id": "evt_1", "object": "event", "data": {"naïve": "日本"}}'
TAMPERED = BODY.replace("evt_1", "evt_2")
YEAR_SECONDS = 365 * 24 * 3600


def now() -> int:
    """The libraries read the clock themselves."""
    return int(time.time())


def test_the_stripe_sdk_accepts_what_we_sign() -> None:
    header = sign(BODY.encode(), [SECRET], now())
    assert stripe.WebhookSignature.verify_header(BODY, header, SECRET, tolerance=300)


def test_the_stripe_sdk_makes_an_event_of_what_we_sign() -> None:
    header = sign(BODY.encode(), [SECRET], now())
    event = stripe.Webhook.construct_event(BODY.encode(), header, SECRET)
    assert event.id == "evt_1"


def test_the_stripe_sdk_accepts_us_in_the_middle_of_a_rotation() -> None:
    header = sign(BODY.encode(), ["whsec_old", SECRET], now())
    assert stripe.WebhookSignature.verify_header(BODY, header, SECRET, tolerance=300)


def test_the_stripe_sdk_and_we_both_refuse_a_tampered_body() -> None:
    header = sign(BODY.encode(), [SECRET], now())
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(TAMPERED, header, SECRET)
    with pytest.raises(SignatureError):
        verify(header, TAMPERED.encode(), [SECRET], now=now())


def test_we_accept_what_the_stripe_sdk_signs() -> None:
    header = stripe.WebhookSignature.generate_signature_header(BODY, SECRET)
    verify(header, BODY.encode(), [SECRET], now=now())


def spelled(timestamp: str) -> str:
    """A header that is right but for the spelling of its timestamp, as the SDK reads it: as an int."""
    return sign(BODY.encode(), [SECRET], int(timestamp)).replace(f"t={int(timestamp)}", f"t={timestamp}")


@pytest.mark.parametrize("kind", ["a year ahead", "plus sign", "underscore", "space", "other script"])
def test_timestamps_that_the_stripe_sdk_accepts_and_we_refuse(kind: str) -> None:
    """FACTS, Signatures 2."""
    digits = str(now())
    header = {
        "a year ahead": spelled(str(now() + YEAR_SECONDS)),
        "plus sign": spelled(f"+{digits}"),
        "underscore": spelled(f"{digits[0]}_{digits[1:]}"),
        "space": spelled(f" {digits}"),
        "other script": spelled(digits.translate({ord(str(digit)): 0x660 + digit for digit in range(10)})),
    }[kind]
    assert stripe.WebhookSignature.verify_header(BODY, header, SECRET, tolerance=300)
    with pytest.raises(SignatureError):
        verify(header, BODY.encode(), [SECRET], now=now())


def test_a_signature_that_makes_the_stripe_sdk_stumble_is_merely_refused() -> None:
    """FACTS, Signatures 2: TypeError there."""
    header = f"t={now()},v1=é"
    with pytest.raises(TypeError):
        stripe.WebhookSignature.verify_header(BODY, header, SECRET, tolerance=300)
    with pytest.raises(SignatureError):
        verify(header, BODY.encode(), [SECRET], now=now())


def test_the_standardwebhooks_library_accepts_what_we_sign() -> None:
    headers = sign_standard(BODY.encode(), [SECRET], now(), "evt_1")
    assert standardwebhooks.Webhook(SECRET).verify(BODY, headers)["id"] == "evt_1"


def test_the_standardwebhooks_library_accepts_us_in_the_middle_of_a_rotation() -> None:
    headers = sign_standard(BODY.encode(), [f"whsec_{'A' * 32}", SECRET], now(), "evt_1")
    assert standardwebhooks.Webhook(SECRET).verify(BODY, headers)["id"] == "evt_1"


@pytest.mark.parametrize("tampered", ["body", "webhook-id", "webhook-timestamp"])
def test_the_standardwebhooks_library_refuses_what_was_tampered_with(tampered: str) -> None:
    headers = sign_standard(BODY.encode(), [SECRET], now(), "evt_1")
    body = TAMPERED if tampered == "body" else BODY
    if tampered != "body":
        headers[tampered] = {"webhook-id": "evt_2", "webhook-timestamp": str(now() - 10)}[tampered]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body, headers)
