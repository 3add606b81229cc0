"""HTTP under /v1/test: what no real provider lets its merchants do. Refused unless PAYMENT_GATEWAY_TEST_ENDPOINTS."""

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from payment_gateway.faults import NO_FAULTS, RATED, Faults
from payment_gateway.misbehave import CurrentFaults
from payment_gateway.reset import Reset
from shared.edge.problems import invalid_field


class Done(msgspec.Struct, frozen=True):
    """Nothing to tell."""


@post("/v1/test/reset", tags=["Test"], test=True, status_code=200)
async def reset(reset: NamedDependency[Reset]) -> Done:
    """Empties the database of every merchant's charges, refunds, events, endpoints, keys, faults and clock. The endpoint of
    the environment comes back. What is in hand while it runs may be told afterwards.
    """
    await reset()
    return Done()


@get("/v1/test/faults", tags=["Test"], test=True)
async def get_faults(faults: NamedDependency[CurrentFaults]) -> Faults:
    """How often what goes wrong, for every merchant."""
    faults.forget()
    return await faults()


@put("/v1/test/faults", tags=["Test"], test=True)
async def put_faults(data: JSONBody[Faults], faults: NamedDependency[CurrentFaults]) -> Faults:
    """Makes what goes wrong by itself, for every merchant: a rate for each fault, and a seed. What goes wrong with a request
    follows from the seed and its Idempotency-Key, so that the same happens again. It adds to what the request asks for.
    """
    for name in data.rates:
        if name not in RATED:
            raise invalid_field(f"/rates/{name}", f"not one of {', '.join(RATED)}")
    await faults.replace(data)
    return data


@delete("/v1/test/faults", tags=["Test"], test=True, status_code=200)
async def delete_faults(faults: NamedDependency[CurrentFaults]) -> Faults:
    """Nothing goes wrong by itself any more."""
    await faults.clear()
    return NO_FAULTS


TEST_ROUTES = [reset, get_faults, put_faults, delete_faults]
