"""Webhooks whose signature is right, with bodies that are not what they should be. Only order_api takes webhooks."""

import gzip

from tests.hostile.requests import ABSENT, Case, Requests
from tests.hostile.webhooks import event, signature, webhook

MALFORMED = (400, "malformed-json")

# What is sent is the body, and it is signed.
BODIES = [
    Case("an event of a type that nobody knows", event(), 200),
    Case("one with more members than asked for", event(extra={"$where": 1}), 200),
    Case("one about an order that is not there", event(type="payment.failed", data={"reference": "ord_x"}), 200),
    Case("a lone surrogate in data", event(data={"reference": "x\ud800"}), 200),
    Case("one in an event of a known type", event(type="payment.failed", data={"reference": "x\ud800"}), 200),
    Case("21 digits", event(data={"amount": 10**21}), 200),
    Case("a member twice in data", event().replace(b"{}", b'{"status": "a", "status": "b"}'), *MALFORMED),
    Case("a member twice", event().replace(b'"data"', b'"id": "evt_1", "data"'), *MALFORMED),
    Case("no event at all", b"garbage", *MALFORMED),
    Case("nothing", b"", *MALFORMED),
    Case("null", b"null", *MALFORMED),
    Case("an array", b"[]", *MALFORMED),
    Case("an event in an array", b"[" + event() + b"]", *MALFORMED),
    Case("two events", event() + event(), *MALFORMED),
    Case("an event in UTF-16", event().decode().encode("utf-16"), *MALFORMED),
    Case("bytes that are not UTF-8", event().replace(b"{}", b'"\xff"'), *MALFORMED),
    Case("a compressed event", gzip.compress(event()), *MALFORMED),
    Case("30,000 arrays", b"[" * 30_000 + b"]" * 30_000, *MALFORMED),
    Case("30,000 arrays in an event", event().replace(b"{}", b"[" * 30_000 + b"]" * 30_000), *MALFORMED),
    Case("no id", event(id=ABSENT), *MALFORMED),
    Case("an id of null", event(id=None), *MALFORMED),
    Case("an operator for an id", event(id={"$ne": None}), *MALFORMED),
    Case("an empty id", event(id=""), *MALFORMED),
    Case("an id with a tilde, as ours for altered events", event(id="evt_1~0123456789abcdef"), *MALFORMED),
    Case("an id with NUL", event(id="evt_\0"), *MALFORMED),
    Case("an id of 256 characters", event(id="e" * 256), *MALFORMED),
    Case("no type", event(type=ABSENT), *MALFORMED),
    Case("a type that is a number", event(type=7), *MALFORMED),
    Case("no time", event(timestamp=ABSENT), *MALFORMED),
    Case("a time without a zone", event(timestamp="2026-11-23T21:00:00"), *MALFORMED),
    Case("a time that never was", event(timestamp="2026-02-30T00:00:00Z"), *MALFORMED),
    Case("a time before all times", event(timestamp="0001-01-01T00:00:00+23:59"), *MALFORMED),
    Case("no data", event(data=ABSENT), *MALFORMED),
    Case("an event larger than 64 KiB", event(data={"x": "x" * 65_536}), 413, "body-too-large"),
]


def signed(case: Case, target: Requests) -> bytes:
    return webhook(target, case.sent, [",".join(signature(case.sent)).encode()])
