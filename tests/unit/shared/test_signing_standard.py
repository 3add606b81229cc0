"""The headers of Standard Webhooks 1.0.0."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.signing import SignatureError, sign_standard, verify_standard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = f"whsec_{'A' * 32}"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
WRONG = "v1," + "A" * 43 + "="


def headers(**changed: str) -> dict[str, str]:
    """The vector's headers; `id=`, `timestamp=` or `signature=` replaces one."""
    vector = {"id": ID, "timestamp": str(SENT), "signature": SIGNATURE}
    return {f"webhook-{name}": value for name, value in {**vector, **changed}.items()}


def refused(changed: dict[str, str], *, body: bytes = BODY, now: float = SENT) -> None:
    with pytest.raises(SignatureError):
        verify_standard(changed, body, [SECRET], now=now)


def test_the_published_vector_is_what_we_sign() -> None:
    """FACTS, Signatures 3."""
    assert sign_standard(BODY, [SECRET], SENT, ID) == headers()


def test_the_published_vector_is_accepted() -> None:
    verify_standard(headers(), BODY, [SECRET], now=SENT)


@pytest.mark.parametrize("late_seconds", [-300, 0, 300])
def test_a_signature_is_fresh_for_five_minutes_both_ways(late_seconds: int) -> None:
    verify_standard(headers(), BODY, [SECRET], now=SENT + late_seconds)


@pytest.mark.parametrize("late_seconds", [-301, 301])
def test_a_stale_or_future_signature_is_refused(late_seconds: int) -> None:
    refused(headers(), now=SENT + late_seconds)


def test_a_changed_body_is_refused() -> None:
    refused(headers(), body=BODY + b" ")


def test_a_changed_id_is_refused() -> None:
    refused(headers(id=ID + "x"))


def test_a_changed_timestamp_is_refused() -> None:
    refused(headers(timestamp=str(SENT + 1)))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_of_the_three_headers_is_needed(name: str) -> None:
    incomplete = headers()
    del incomplete[name]
    refused(incomplete)


@pytest.mark.parametrize(
    "timestamp",
    [
        "1614265330.9",
        "161426_5330",
        " 1614265330",
        "1614265330\n",
        "+1614265330",
        "١٦١٤٢٦٥٣٣٠",
        "0001614265330",
        "",
        "now",
    ],
)
def test_a_timestamp_is_one_to_twelve_plain_ascii_digits(timestamp: str) -> None:
    """Signed as it is written, so nothing is wrong but the spelling. The reference library takes several: FACTS."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{ID}.{timestamp}.".encode() + BODY, "sha256")
    refused(headers(timestamp=timestamp, signature="v1," + base64.b64encode(digest).decode()))


@pytest.mark.parametrize(
    "signature",
    ["", "v1", "v1,", "v1,é", "v1,%%%", "v1,g0hM9", SIGNATURE + "\n", SIGNATURE.replace(",", ",,"), "\ud800"],
)
def test_malformed_signatures_are_refused_like_wrong_ones(signature: str) -> None:
    """The reference library raises ValueError, binascii.Error and UnicodeDecodeError on such: FACTS, Signatures 1."""
    refused(headers(signature=signature))


def test_versions_we_do_not_know_are_skipped() -> None:
    verify_standard(headers(signature=f"v1a,abc v2,{'x' * 20} v {SIGNATURE}"), BODY, [SECRET], now=SENT)


def test_another_version_with_the_right_signature_proves_nothing() -> None:
    refused(headers(signature=SIGNATURE.replace("v1,", "v1a,")))


def test_eight_signatures_are_looked_at_and_nine_are_refused() -> None:
    eight = [WRONG] * 7 + [SIGNATURE]
    verify_standard(headers(signature=" ".join(eight)), BODY, [SECRET], now=SENT)
    refused(headers(signature=" ".join([WRONG, *eight])))


@pytest.mark.parametrize("receiver", [[SECRET], [OTHER_SECRET], [OTHER_SECRET, SECRET]])
def test_during_a_rotation_the_old_and_the_new_secret_both_verify(receiver: list[str]) -> None:
    verify_standard(sign_standard(BODY, [SECRET, OTHER_SECRET], SENT, ID), BODY, receiver, now=SENT)


def test_another_secret_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify_standard(headers(), BODY, [OTHER_SECRET], now=SENT)


@given(
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()),
    st.binary(),
)
def test_arbitrary_headers_raise_nothing_but_signature_error(arbitrary: dict[str, str], body: bytes) -> None:
    refused(arbitrary, body=body)


@given(st.text(), st.text())
def test_arbitrary_ids_and_signatures_beside_a_fresh_timestamp_raise_nothing_else(message_id: str, value: str) -> None:
    refused(headers(id=message_id, signature=f"v1,{value}"))


@given(st.binary())
def test_arbitrary_signature_bytes_raise_nothing_but_signature_error(value: bytes) -> None:
    refused(headers(signature="v1," + value.decode("latin-1")))
