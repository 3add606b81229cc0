"""X-Signature, Stripe's scheme: what is accepted, what is refused, and that refusing never ends in anything else."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.signing import (
    DEVELOPMENT_SECRET,
    HEADER_LENGTH_MAX,
    SIGNATURES_MAX,
    SecretError,
    SignatureError,
    check_secret,
    sign,
    verify,
)

SECRET = "whsec_test_secret"
BODY = b'{"id":"evt_test_webhook","object":"event"}'
SENT = 12345
DIGEST = "e7df43adcf699b3839cf5fe20429cae4712141aee3660a1671b34f77a1be9444"
WRONG = "0" * 64


def test_the_published_vector_is_what_we_sign() -> None:
    """FACTS, Signatures 4."""
    assert sign(BODY, [SECRET], SENT) == f"t={SENT},v1={DIGEST}"


def test_the_published_vector_is_accepted() -> None:
    assert verify(f"t={SENT},v1={DIGEST}", BODY, ["whsec_another", SECRET], now=SENT) == (SENT, 1)


def test_the_secret_signs_whole_with_its_prefix() -> None:
    with pytest.raises(SignatureError):
        verify(sign(BODY, ["test_secret"], SENT), BODY, [SECRET], now=SENT)


@pytest.mark.parametrize("late_seconds", [-300, 0, 300])
def test_a_signature_is_fresh_for_five_minutes_both_ways(late_seconds: int) -> None:
    verify(sign(BODY, [SECRET], SENT), BODY, [SECRET], now=SENT + late_seconds)


@pytest.mark.parametrize("late_seconds", [-301, 301, 31_536_000, -31_536_000])
def test_a_stale_or_future_signature_is_refused(late_seconds: int) -> None:
    with pytest.raises(SignatureError):
        verify(sign(BODY, [SECRET], SENT), BODY, [SECRET], now=SENT + late_seconds)


def test_the_tolerance_is_the_receivers_choice() -> None:
    verify(sign(BODY, [SECRET], SENT), BODY, [SECRET], now=SENT + 301, tolerance=301)


@pytest.mark.parametrize("body", [b"", BODY + b" ", BODY.replace(b"evt", b"evu"), BODY.decode().encode("utf-16")])
def test_a_changed_body_is_refused(body: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(sign(BODY, [SECRET], SENT), body, [SECRET], now=SENT)


def test_a_signature_does_not_carry_over_to_another_time() -> None:
    with pytest.raises(SignatureError):
        verify(f"t={SENT + 1},v1={DIGEST}", BODY, [SECRET], now=SENT)


@pytest.mark.parametrize("secrets", [["whsec_old", SECRET], [SECRET, "whsec_new"]])
def test_during_a_rotation_any_listed_secret_matches(secrets: list[str]) -> None:
    verify(sign(BODY, [SECRET], SENT), BODY, secrets, now=SENT)


def test_a_sender_in_rotation_signs_with_each_secret_and_either_receiver_accepts() -> None:
    header = sign(BODY, ["whsec_old", SECRET], SENT)
    for receiver in ("whsec_old", SECRET):
        verify(header, BODY, [receiver], now=SENT)


def test_without_secrets_nothing_is_accepted() -> None:
    with pytest.raises(SignatureError):
        verify(sign(BODY, [SECRET], SENT), BODY, [], now=SENT)


@pytest.mark.parametrize("header", [f"t={SENT},t={SENT},v1={DIGEST}", f"v1={DIGEST}", f"t={SENT},t=1,v1={DIGEST}"])
def test_a_header_has_exactly_one_timestamp(header: str) -> None:
    with pytest.raises(SignatureError):
        verify(header, BODY, [SECRET], now=SENT)


def signed_as_written(timestamp: str) -> str:
    """What a holder of the secret would send who writes timestamps so: nothing is wrong but the spelling."""
    digest = hmac.digest(SECRET.encode(), f"{timestamp}.".encode() + BODY, "sha256").hex()
    return f"t={timestamp},v1={digest}"


@pytest.mark.parametrize("timestamp", ["12345", "012345", "000000012345"])
def test_a_timestamp_is_one_to_twelve_digits(timestamp: str) -> None:
    verify(signed_as_written(timestamp), BODY, [SECRET], now=SENT)


@pytest.mark.parametrize(
    "timestamp",
    ["", "+12345", "-12345", "12_345", " 12345", "12345 ", "12345\n", "12345.0", "0x3039", "١٢٣٤٥", "१२३४५"],
)
def test_a_timestamp_is_plain_ascii_digits(timestamp: str) -> None:
    with pytest.raises(SignatureError):
        verify(signed_as_written(timestamp), BODY, [SECRET], now=SENT)


def test_a_timestamp_of_thirteen_digits_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(signed_as_written("0000000012345"), BODY, [SECRET], now=SENT)


def test_eight_signatures_are_looked_at_and_nine_are_refused() -> None:
    wrong = [f"v1={WRONG}"] * 7
    verify(",".join([f"t={SENT}", *wrong, f"v1={DIGEST}"]), BODY, [SECRET], now=SENT)
    with pytest.raises(SignatureError):
        verify(",".join([f"t={SENT}", *wrong, f"v1={DIGEST}", f"v1={WRONG}"]), BODY, [SECRET], now=SENT)


def test_schemes_we_do_not_know_are_skipped_and_not_counted() -> None:
    others = [f"v0={DIGEST}", "v2=", "sha256", "", "scheme=of=tomorrow"] * 4
    verify(",".join([f"t={SENT}", *others, f"v1={DIGEST}"]), BODY, [SECRET], now=SENT)


def test_another_scheme_with_the_right_digest_proves_nothing() -> None:
    with pytest.raises(SignatureError):
        verify(f"t={SENT},v0={DIGEST}", BODY, [SECRET], now=SENT)


@pytest.mark.parametrize("signature", ["", DIGEST.upper(), DIGEST[:-1], DIGEST + "0", " " + DIGEST, "é", DIGEST + "\0"])
def test_a_signature_that_is_not_the_digest_is_refused(signature: str) -> None:
    with pytest.raises(SignatureError):
        verify(f"t={SENT},v1={signature}", BODY, [SECRET], now=SENT)


def test_an_overlong_header_is_refused() -> None:
    with pytest.raises(SignatureError):
        verify(f"t={SENT},v1={DIGEST}," + "x" * HEADER_LENGTH_MAX, BODY, [SECRET], now=SENT)


@given(st.text(), st.binary())
def test_arbitrary_header_text_raises_nothing_but_signature_error(header: str, body: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(header, body, [SECRET], now=SENT)


@given(st.lists(st.tuples(st.sampled_from(["t", "v1", "v0", ""]), st.text()), max_size=12), st.binary())
def test_arbitrary_header_pairs_raise_nothing_but_signature_error(pairs: list[tuple[str, str]], body: bytes) -> None:
    header = ",".join(f"{key}={value}" for key, value in pairs)
    with pytest.raises(SignatureError):
        verify(header, body, [SECRET], now=SENT)


@given(st.binary())
def test_arbitrary_header_bytes_raise_nothing_but_signature_error(header: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(f"t={SENT},v1=" + header.decode("latin-1"), BODY, [SECRET], now=SENT)


@given(st.binary(), st.lists(st.text(min_size=1), min_size=1, max_size=SIGNATURES_MAX), st.integers(0, 10**12 - 1))
def test_whatever_we_sign_we_accept(body: bytes, secrets: list[str], timestamp: int) -> None:
    for secret in secrets:
        verify(sign(body, secrets, timestamp), body, [secret], now=timestamp)


@pytest.mark.parametrize(
    "secret",
    [DEVELOPMENT_SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", f"whsec_{'A' * 32}", f"whsec_{'A' * 84}AA=="],
)
def test_a_secret_is_whsec_and_the_base64_of_24_to_64_bytes(secret: str) -> None:
    check_secret(secret)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_test_secret",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        f"whsec_{'A' * 28}",
        f"whsec_{'A' * 87}=",
        f"whsec_{'A' * 88}",
        f"whsec_{'A' * 31}",
        f"whsec_{'A' * 32}\n",
        f"whsec_{'é' * 32}",
        f"whsec_{'-_' * 16}",
        f"sk_{'A' * 32}",
    ],
)
def test_any_other_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SecretError) as refused:
        check_secret(secret)
    shown = secret.removeprefix("whsec_").strip()
    assert not shown or shown not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", "malformed"),
        (f"t={SENT}", "malformed"),
        (f"t={SENT - 301},v1={DIGEST}", "stale"),
        (f"t={SENT},v1={'0' * 64}", "wrong"),
    ],
)
def test_a_refusal_says_of_which_kind_it_is(header: str, kind: str) -> None:
    with pytest.raises(SignatureError) as refused:
        verify(header, BODY, [SECRET], now=SENT)
    assert refused.value.kind == kind
