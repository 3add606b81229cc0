"""The signature helper: each usual mistake is named, and what is right is called so."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.controls.signature_mistakes import Verdict, judge
from shared.signing import sign, sign_standard
from tests.unit.payment_gateway.examples import SECRET

BODY = '{"id":"evt_1","data":{"amount":9999,"name":"Zoë"}}'.encode()
OTHER = "whsec_cmV0aXJlZCBzZWNyZXQsIG5vYm9keSB1c2VzIGl0IG5vdw=="
SIGNED_AT = 1_700_000_000
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


def x_signature(body: bytes = BODY, secret: str = SECRET, at: int = SIGNED_AT) -> Mapping[str, str]:
    return {"x-signature": sign(body, [secret], at)}


def standard(body: bytes = BODY, secret: str = SECRET, at: int = SIGNED_AT) -> Mapping[str, str]:
    return sign_standard(body, [secret], at, "evt_1")


def by_hand(key: bytes, content: bytes, timestamp: int = SIGNED_AT) -> Mapping[str, str]:
    return {"x-signature": f"t={timestamp},v1={hmac.digest(key, content, hashlib.sha256).hex()}"}


def verdict(headers: Mapping[str, str], body: bytes = BODY, secret: str = SECRET, at: int = SIGNED_AT) -> Verdict:
    [only] = judge(body, secret, headers, at=at, others={OTHER: "the current one of we_2"})
    return only


def wrong(headers: Mapping[str, str], body: bytes = BODY, secret: str = SECRET, at: int = SIGNED_AT) -> list[str]:
    found = verdict(headers, body, secret, at)
    assert found.valid is (not found.mistakes)
    return [one.wrong for one in found.mistakes]


def explained(headers: Mapping[str, str], body: bytes = BODY, secret: str = SECRET, at: int = SIGNED_AT) -> str:
    return " ".join(one.explanation for one in verdict(headers, body, secret, at).mistakes)


@pytest.mark.parametrize("headers", [x_signature(), standard()], ids=["X-Signature", "Standard Webhooks"])
def test_what_is_right_is_valid_and_has_no_mistake(headers: Mapping[str, str]) -> None:
    assert wrong(headers) == []


def test_each_scheme_of_which_there_are_headers_is_judged_by_itself() -> None:
    found = judge(BODY, SECRET, {**x_signature(), **standard(b"{}")}, at=SIGNED_AT, others={})
    assert [(one.scheme, one.valid) for one in found] == [("X-Signature", True), ("Standard Webhooks", False)]


@pytest.mark.parametrize(
    ("had", "says"),
    [
        (BODY + b"\n", "no line break at its end"),
        (b" " + BODY, "no spaces around"),
        (b"\xef\xbb\xbf" + BODY, "byte order mark"),
        (json.dumps(json.loads(BODY)).encode(), "printed again"),
        (json.dumps(json.loads(BODY), indent=2).encode(), "printed again"),
        (json.dumps(BODY.decode()).encode(), "as a JSON string"),
    ],
)
@pytest.mark.parametrize("headers", [x_signature(), standard()], ids=["X-Signature", "Standard Webhooks"])
def test_other_bytes_of_the_same_json_are_wrong_bytes(headers: Mapping[str, str], had: bytes, says: str) -> None:
    assert wrong(headers, had) == ["bytes"]
    assert says in explained(headers, had)


@pytest.mark.parametrize(
    "signed",
    [
        BODY + b"\n",
        json.dumps(json.loads(BODY)).encode(),
        json.dumps(json.loads(BODY), indent=2, ensure_ascii=False).encode(),
        json.dumps(json.loads(BODY), separators=(",", ":"), sort_keys=True).encode(),
    ],
)
def test_so_they_are_where_the_signer_has_changed_them(signed: bytes) -> None:
    assert wrong(x_signature(signed)) == ["bytes"]


@pytest.mark.parametrize(
    ("key", "says"),
    [(SECRET.removeprefix("whsec_").encode(), "without whsec_"), (KEY, "decoded")],
)
def test_a_secret_of_which_a_part_was_the_key_of_x_signature_is_used_wrongly(key: bytes, says: str) -> None:
    headers = by_hand(key, f"{SIGNED_AT}.".encode() + BODY)
    assert wrong(headers) == ["secret"]
    assert says in explained(headers)


@pytest.mark.parametrize("key", [SECRET, SECRET.removeprefix("whsec_")])
def test_a_secret_whose_text_was_the_key_of_standard_webhooks_is_used_wrongly(key: str) -> None:
    digest = hmac.digest(key.encode(), f"evt_1.{SIGNED_AT}.".encode() + BODY, hashlib.sha256)
    headers = {**standard(), "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}
    assert wrong(headers) == ["secret"]


@pytest.mark.parametrize("headers", [x_signature(), standard()], ids=["X-Signature", "Standard Webhooks"])
def test_a_secret_with_a_line_break_is_wrong(headers: Mapping[str, str]) -> None:
    assert wrong(headers, secret=f"{SECRET}\n") == ["secret"]


@pytest.mark.parametrize("headers", [x_signature(secret=OTHER), standard(secret=OTHER)])
def test_the_secret_of_another_endpoint_is_named_by_the_endpoint_and_never_shown(headers: Mapping[str, str]) -> None:
    assert wrong(headers) == ["secret"]
    assert "the current one of we_2" in explained(headers)
    assert OTHER not in str(verdict(headers))


def test_a_secret_that_standard_webhooks_cannot_use_is_wrong() -> None:
    found = verdict(standard(), secret="hunter2")
    assert ([one.wrong for one in found.mistakes], found.expected) == (["secret"], {})


@pytest.mark.parametrize(
    ("at", "says"),
    [
        (SIGNED_AT + 3600, "1 h before"),
        (SIGNED_AT - 7200, "2 h after"),
        (SIGNED_AT + 90_000, "1 d 1 h before"),
        (SIGNED_AT + 301, "5 min 1 s before"),
    ],
)
def test_a_good_signature_of_another_time_is_wrong_by_the_clock(at: int, says: str) -> None:
    assert wrong(x_signature(), at=at) == ["clock"]
    assert says in explained(x_signature(), at=at)


@pytest.mark.parametrize(("seconds", "is_zone"), [(7200, True), (19_800, True), (2000, False), (20 * 3600, False)])
def test_whole_hours_look_like_a_time_zone(seconds: int, is_zone: bool) -> None:
    assert ("local time" in explained(x_signature(), at=SIGNED_AT + seconds)) is is_zone


def test_milliseconds_are_no_seconds_in_a_header_in_what_is_signed_or_when_it_is_checked() -> None:
    header = x_signature(at=SIGNED_AT * 1000)
    signed = by_hand(SECRET.encode(), f"{SIGNED_AT}000.".encode() + BODY)
    for headers, at in ((header, SIGNED_AT), (signed, SIGNED_AT), (x_signature(), SIGNED_AT * 1000)):
        assert wrong(headers, at=at) == ["clock"]
        assert "milliseconds" in explained(headers, at=at)


@pytest.mark.parametrize(
    "headers",
    [
        by_hand(SECRET.encode(), BODY),
        {"x-signature": x_signature()["x-signature"].upper().replace("T=", "t=").replace("V1=", "v1=")},
        {"x-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"x-signature": "sha256=abc"},
        {"x-signature": f"t={SIGNED_AT},v1=abc"},
        {"x-signature": f"t=now,v1={'0' * 64}"},
        {"webhook-signature": standard()["webhook-signature"]},
        {**standard(), "webhook-timestamp": "2026-01-01T00:00:00Z"},
        {**standard(), "webhook-signature": "abc"},
    ],
)
def test_headers_of_another_form_are_wrong_headers(headers: Mapping[str, str]) -> None:
    assert wrong(headers) == ["headers"]


def test_two_mistakes_at_once_are_both_named() -> None:
    headers = by_hand(KEY, f"{SIGNED_AT}.".encode() + BODY)
    assert sorted(wrong(headers, BODY + b"\n")) == ["bytes", "secret"]
    assert wrong(x_signature(), BODY + b"\n", at=SIGNED_AT + 9999) == ["bytes", "clock"]


def test_what_no_usual_mistake_explains_is_said_to_be_so() -> None:
    assert wrong(x_signature(b"another body")) == ["unknown"]


@pytest.mark.parametrize("at", [SIGNED_AT, SIGNED_AT + 10_000])
@pytest.mark.parametrize("headers", [x_signature(b"{}"), standard(b"{}"), {"x-signature": ""}, {"webhook-id": "evt_1"}])
def test_what_would_have_been_right_is_right(headers: Mapping[str, str], at: int) -> None:
    expected = {name.lower(): value for name, value in verdict(headers, at=at).expected.items()}
    assert wrong(expected, at=at) == []


@given(st.text(max_size=50), st.text(min_size=1, max_size=50), st.dictionaries(
    st.sampled_from(["x-signature", "webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=80)
), st.integers(0, 10**14))  # fmt: skip
def test_nothing_that_is_asked_ends_in_an_error(body: str, secret: str, headers: dict[str, str], at: int) -> None:
    judge(body.encode(errors="replace"), secret, headers, at=at, others={})


def test_half_of_a_surrogate_pair_and_deep_json_are_bodies_too() -> None:
    for body in (b'"\\ud800"', b"[" * 20_000 + b"]" * 20_000, b"9" * 10_000):
        assert wrong(x_signature(), body) == ["unknown"]


def test_a_long_body_takes_no_more_time_than_its_length_asks_for() -> None:
    """Against time that grows with the square of the length: that would take 16 times as long, not 4."""
    assert fastest(1300) < 10 * fastest(325)


def fastest(count: int) -> float:
    """The seconds of this thread that the fastest of five judgments took, each of a body of `count` things."""
    body, taken = json.dumps([{"name": "é" * 10, "amount": 1.5}] * count, ensure_ascii=False).encode(), list[float]()
    for _ in range(5):
        started = time.thread_time()
        assert wrong(x_signature(), body) == ["unknown"]
        taken.append(time.thread_time() - started)
    return min(taken)
