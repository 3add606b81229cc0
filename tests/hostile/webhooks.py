"""Webhooks as the provider would send them, but for what a test changes."""

import json
import time
from typing import Any
from uuid import uuid4

from shared.signing import sign
from tests.hostile.requests import ABSENT, Requests, Values

PATH = "/api/webhooks/payments"
CURRENT, PREVIOUS = SECRETS = ("whsec_" + "Y3VycmVudC" * 4, "whsec_" + "cHJldmlvdX" * 4)
TIME = "2026-11-23T21:00:00.000Z"


def event(**changes: Any) -> bytes:
    """An event of a type that nobody knows, so that any order will do."""
    members = {"id": f"evt_{uuid4().hex}", "type": "payment.noticed", "timestamp": TIME, "data": {}, **changes}
    return json.dumps({name: value for name, value in members.items() if value is not ABSENT}).encode()


def signature(body: bytes, secret: str = CURRENT, age_seconds: int = 0) -> tuple[str, str]:
    """`t=…` and `v1=…` of a signature made so long ago."""
    stamp, value = sign(body, [secret], int(time.time()) - age_seconds).split(",")
    return stamp, value


def webhook(target: Requests, body: bytes, signatures: Values, **headers: Values) -> bytes:
    sent = {
        "Authorization": [],
        "Content-Length": [b"%d" % len(body)],
        "Content-Type": [b"application/json"],
        "X-Signature": signatures,
        **{name.replace("_", "-"): values for name, values in headers.items()},
    }
    return target.request("POST", PATH, sent) + body
