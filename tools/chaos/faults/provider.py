"""What the provider does wrong, and what its merchant has it change in the middle."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from payment_gateway.faults import RATED
from tools.chaos.cluster import Cluster
from tools.chaos.faults.fault import Fault, Kind

OVERLAP_SECONDS = 5


def every_fault(draw: Random) -> Fault:
    faults = {
        "seed": draw.getrandbits(32),
        "rates": {name: draw.choice((0.02, 0.05, 0.1)) for name in RATED},
        "settleDelaySeconds": 3,
        "replySeconds": 6,  # longer than order_api waits
        "retryAfterSeconds": 1,
        "webhookDelaySeconds": 2,
    }
    holds = frozenset({"faults of the provider"})
    return Fault("provider errs in every way", "", draw.uniform(8, 20), holds, partial(_erring, faults=faults))


def rotate_secret(draw: Random) -> Fault:
    key = f"rotation-{draw.getrandbits(64):x}"
    return Fault("webhook secret rotated", "", 0, frozenset({"webhook secret"}), partial(_rotated, key=key))


KINDS: tuple[Kind, ...] = (every_fault, rotate_secret)


@asynccontextmanager
async def _erring(cluster: Cluster, *, faults: dict[str, object]) -> AsyncIterator[None]:
    await cluster.ask_gateway("PUT", "/v1/test/faults", faults)
    try:
        yield
    finally:
        await cluster.ask_gateway("DELETE", "/v1/test/faults")


@asynccontextmanager
async def _rotated(cluster: Cluster, *, key: str) -> AsyncIterator[None]:
    """From the first secret to the second, and the next time back: order_api knows both all the time."""
    [endpoint] = (await cluster.ask_gateway("GET", "/v1/webhook-endpoints"))["data"]
    cluster.webhook_secrets_in_use.rotate()
    body = {"secret": cluster.webhook_secrets_in_use[0], "overlapSeconds": OVERLAP_SECONDS}
    await cluster.ask_gateway("POST", f"/v1/webhook-endpoints/{endpoint['id']}/rotate-secret", body, key=key)
    yield
