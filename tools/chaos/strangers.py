"""Strangers: a till that charges and refunds past order_api, banks that dispute, and those who post to the webhook URL."""

import json
import time
from collections.abc import Sequence
from random import Random
from typing import Any, Literal, TypeAlias

import msgspec

from shared.signing import sign
from tools.chaos.client import Client
from tools.chaos.history import Operation
from tools.chaos.webhook_secrets import WebhookSecrets

# What is posted to the webhook URL. The first group must be refused; the second is signed with the true secret.
Trick: TypeAlias = Literal[
    "forged", "tampered", "stale", "retired",
    "replayed", "encoded anew", "altered", "unknown order", "unknown type", "garbage",
]  # fmt: skip
FORGERIES: tuple[Trick, ...] = ("forged", "tampered", "stale", "retired")

# order_api does not wait for what strangers do. Events that are dropped come with the sweep at the end.
DELIVERED = (["duplicated"], ["duplicated"], ["out_of_order"], ["delayed"], ["dropped"])
# These report no wrong amount, because nobody but the provider knows the right amount of a refund by hand.
DELIVERED_BY_HAND = (["delayed", "duplicated"], ["delayed", "duplicated"], ["out_of_order"], ["dropped"])
STALE_SECONDS = 30 * 86400  # beyond any tolerance, also of a process whose clock is wrong
NOBODYS_SECRET = "whsec_c3RyYW5nZXJzIHNpZ24gd2l0aCB3aGF0IHRoZXkgaGF2ZQ=="


class Strangers:
    """`till` calls the provider, `sender` the webhook URL; `secrets` are the true ones, and those that were."""

    def __init__(self, till: Client, sender: Client, secrets: WebhookSecrets, draw: Random) -> None:
        self._till = till
        self._sender = sender
        self._secrets = secrets
        self._draw = draw

    async def charge(
        self,
        order_id: str,
        amount_minor: int,
        currency: str,
        method: str,
        *,
        attempt: int = 1,
        settle_seconds: float | None = None,
    ) -> Operation:
        """Charges under the reference of one of the order's payment attempts, counted from 1."""
        body = {
            "amount": amount_minor,
            "currency": currency,
            "reference": order_id if attempt == 1 else f"{order_id}.{attempt}",
            "paymentMethod": method,
            "scenario": {
                **self._scenario(DELIVERED),
                **({"settleDelaySeconds": settle_seconds} if settle_seconds else {}),
            },
        }
        return await self._till.post(
            "rival", "/v1/charges", body, key=self._key("rival"), order_id=order_id, command=body
        )

    async def refund(self, order_id: str, charge_id: str, amount_minor: int) -> Operation:
        """Refunds by hand, under a reference that order_api does not know."""
        key = self._key("by-hand")
        body = {"amount": amount_minor, "reference": key, "scenario": self._scenario(DELIVERED_BY_HAND)}
        path = f"/v1/charges/{charge_id}/refunds"
        return await self._till.post("by hand", path, body, key=key, order_id=order_id, command=body)

    async def dispute(self, order_id: str, charge_id: str, amount_minor: int) -> Operation:
        body, path = {"amount": amount_minor}, f"/v1/test/charges/{charge_id}/dispute"
        return await self._till.post("dispute", path, body, order_id=order_id, command=body)

    async def disputes(self, order_id: str) -> Operation:
        """Those of the order's first payment attempt."""
        return await self._till.get("list", f"/v1/disputes?reference={order_id}", order_id=order_id)

    async def close(self, order_id: str, dispute_id: str, outcome: Literal["won", "lost"]) -> Operation:
        body, path = {"outcome": outcome}, f"/v1/test/disputes/{dispute_id}/close"
        return await self._till.post("dispute", path, body, order_id=order_id, command=body)

    async def invent_payment(self, order_id: str, amount_minor: int, currency: str) -> None:
        """The event that every forger wants to send, also a forger who has found yesterday's secret."""
        raw = invented_event(self._draw, "payment.succeeded", order_id, amount_minor, currency)
        await self._post("forged", raw, order_id, secret=NOBODYS_SECRET)
        for secret in self._secrets.retired[-1:]:
            await self._post("retired", raw, order_id, secret=secret)

    async def misuse(self, events: Sequence[dict[str, Any]], order_id: str) -> None:
        """`events` as order_api shows them, the latest first: they are replayed in that order, and worse."""
        for event in events:
            raw = event["raw"].encode()
            await self._post("replayed", raw, order_id)
            await self._post("stale", raw, order_id, at=time.time() - STALE_SECONDS)
            await self._post("tampered", more_money(raw), order_id, signed=raw)
            if event["outcome"] == "applied":  # before that, anybody with the secret would be the provider
                await self._post("encoded anew", encoded_anew(raw), order_id)
                await self._post("altered", more_money(raw), order_id)
        nobodys = f"ord_{self._draw.getrandbits(128):032x}"
        await self._post("unknown order", invented_event(self._draw, "payment.failed", nobodys, 100, "USD"), None)
        await self._post("unknown type", invented_event(self._draw, "payment.imagined", order_id, 100, "USD"), order_id)
        await self._post("garbage", self._draw.randbytes(40), None)

    def _scenario(self, delivered: Sequence[list[str]]) -> dict[str, Any]:
        return {"webhooks": self._draw.choice(delivered), "webhookDelaySeconds": 1, "replySeconds": 1}

    def _key(self, use: str) -> str:
        return f"{use}-{self._draw.getrandbits(64):x}"

    async def _post(
        self,
        trick: Trick,
        raw: bytes,
        order_id: str | None,
        *,
        secret: str | None = None,
        signed: bytes | None = None,
        at: float | None = None,
    ) -> None:
        """`signed` are the bytes that are signed, if other than `raw`. `at` is in Unix seconds."""
        signature = sign(signed or raw, [secret or self._draw.choice(self._secrets.accepted)], int(at or time.time()))
        await self._sender.post(
            "webhook",
            "",
            raw,
            headers={"X-Signature": signature},
            order_id=order_id,
            command={"trick": trick, "raw": raw.decode(errors="replace")},
        )


def invented_event(draw: Random, kind: str, reference: str, amount_minor: int, currency: str) -> bytes:
    now = "2026-01-01T00:00:00.000Z"
    charge = {
        "id": f"ch_{draw.getrandbits(128):032x}",
        "amount": amount_minor,
        "currency": currency,
        "reference": reference,
        "status": "failed" if kind == "payment.failed" else "succeeded",
        "failureCode": None,
        "amountRefunded": 0,
        "paymentMethod": "pm_card_visa",
        "metadata": {},
        "createdAt": now,
        "settledAt": now,
    }
    return msgspec.json.encode(
        {"id": f"evt_{draw.getrandbits(128):032x}", "type": kind, "timestamp": now, "data": charge}
    )


def encoded_anew(raw: bytes) -> bytes:
    """The same event in other bytes, as a provider's new version may write it."""
    return json.dumps(json.loads(raw), indent=1).encode()


def more_money(raw: bytes) -> bytes:
    """The same event about ten times as much and a bit."""
    return raw.replace(b'"amount":', b'"amount":1', 1)
