"""HTTP under /v1/test: what no real provider lets its merchants do. Refused unless PAYMENT_GATEWAY_TEST_ENDPOINTS."""

import msgspec
from litestar import post
from litestar.di import NamedDependency

from payment_gateway.reset import Reset


class Done(msgspec.Struct, frozen=True):
    """Nothing to tell."""


@post("/v1/test/reset", tags=["Test"], test=True, status_code=200)
async def reset(reset: NamedDependency[Reset]) -> Done:
    """Empties the database of every merchant's charges, refunds, events, endpoints, keys, faults and clock. The endpoint of
    the environment comes back. What is in hand while it runs may be told afterwards.
    """
    await reset()
    return Done()


TEST_ROUTES = [reset]
