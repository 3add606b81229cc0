"""What the provider does wrong, and what its merchant has it change in the middle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from payment_gateway.faults.rates import RATED
from tools.chaos.cluster import ORDER_APIS, Cluster
from tools.chaos.faults.fault import Fault, Kind
from tools.chaos.faults.processes import roll

OVERLAP_SECONDS = 5
ROTATION_SECONDS = 30.0  # for two rounds of restarts; so long that nobody waits for the end


def every_fault(draw: Random) -> Fault:
    faults = {
        "seed": draw.getrandbits(32),
        "rates": {"disputed": 0.05, **{name: draw.choice((0.02, 0.05, 0.1)) for name in RATED if name != "disputed"}},
        "settleDelaySeconds": 3,
        "replySeconds": 6,  # longer than order_api waits
        "retryAfterSeconds": 1,
        "webhookDelaySeconds": 2,
    }
    return _fault("provider errs in every way", draw.uniform(8, 20), faults)


def refuse_refunds(draw: Random) -> Fault:
    """All of them: those that order_api asks for by itself are asked for again, after pauses."""
    return _fault("provider gives nothing back", draw.uniform(5, 12), {"rates": {"refund_failed": 1}})


def lose_webhooks(draw: Random) -> Fault:
    """For good: what nobody asks about is heard of by the sweep only."""
    return _fault("provider's webhooks lost for ever", draw.uniform(4, 10), {"rates": {"webhook_dropped": 1}})


def rotate_secret(draw: Random) -> Fault:
    """Counted when it is over: only then is anything refused that was not before."""
    key = f"rotation-{draw.getrandbits(64):x}"
    return Fault("webhook secret rotated", "", ROTATION_SECONDS, frozenset(ORDER_APIS), partial(_rotated, key=key))


KINDS: tuple[Kind, ...] = (every_fault, rotate_secret)
ONCE_A_RUN: tuple[Kind, ...] = (refuse_refunds, lose_webhooks)  # wherever the others leave room


def _fault(name: str, seconds: float, faults: dict[str, object]) -> Fault:
    return Fault(name, "", seconds, frozenset({"faults of the provider"}), partial(_erring, faults=faults))


@asynccontextmanager
async def _erring(cluster: Cluster, *, faults: dict[str, object]) -> AsyncIterator[None]:
    await cluster.ask_gateway("PUT", "/v1/test/faults", faults)
    try:
        yield
    finally:
        await cluster.ask_gateway("DELETE", "/v1/test/faults")


@asynccontextmanager
async def _rotated(cluster: Cluster, *, key: str) -> AsyncIterator[None]:
    """As docs/operations.md has it: order_api learns the new secret, the provider signs with both, then with the new one
    only, and order_api forgets the old. If it breaks off in between, the old is not retired.
    """
    [endpoint] = (await cluster.ask_gateway("GET", "/v1/webhook-endpoints"))["data"]
    secrets = cluster.webhook_secrets
    new = secrets.add()
    await roll(cluster, ORDER_APIS, WEBHOOK_SECRETS=",".join(secrets.accepted))
    body = {"secret": new, "overlapSeconds": OVERLAP_SECONDS}
    await cluster.ask_gateway("POST", f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret", body, key=key)
    await asyncio.sleep(OVERLAP_SECONDS)
    await roll(cluster, ORDER_APIS, WEBHOOK_SECRETS=new)
    secrets.retire_the_old()
    yield
