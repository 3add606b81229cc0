"""HTTP under /v1/test: what no real provider lets its merchants do. Refused unless PAYMENT_GATEWAY_TEST_ENDPOINTS."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta

from payment_gateway import clock as clocks
from payment_gateway.advance_clock import AdvanceClock
from payment_gateway.clock import Clock, ClockError
from payment_gateway.faults import NO_FAULTS, RATED, Faults
from payment_gateway.reset import Reset
from payment_gateway.stored_clock import StoredClock
from payment_gateway.stored_faults import StoredFaults
from shared import wire
from shared.edge.problems import ProblemError, Table, invalid_field
from shared.edge.responses import json_response
from shared.times import utc_now

PROBLEMS: Table = {ClockError: lambda error: ProblemError("clock-conflict", str(error))}


class Done(msgspec.Struct, frozen=True):
    """Nothing to tell."""


class ClockView(msgspec.Struct, frozen=True, rename="camel"):
    """The provider's time. While it advances, `now` is how far it has come, and `advancingTo` where it will stop."""

    now: wire.Time
    state: clocks.State
    advancing_to: wire.Time | None


class ClockRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What the clock is to do. `seconds` says how far to advance, and is for that only."""

    action: Literal["freeze", "resume", "advance"]
    seconds: Annotated[int, Meta(ge=1, le=10 * 365 * 86400)] | None = None


@get("/v1/test/clock", tags=["Test"], test=True)
async def get_clock(clock: NamedDependency[StoredClock]) -> Response[ClockView]:
    """The clock by which charges settle and deliveries are retried, and whose times are recorded and shown."""
    return _clock_response(await clock.read(), 200)


@post(
    "/v1/test/clock",
    tags=["Test"],
    test=True,
    status_code=200,
    problems=["clock-conflict"],
    responses={202: ResponseSpec(ClockView, description="It still advances", generate_examples=False)},
)
async def set_clock(
    data: JSONBody[ClockRequest], clock: NamedDependency[StoredClock], advance_clock: NamedDependency[AdvanceClock]
) -> Response[ClockView]:
    """Freezes the clock, advances it, or lets it run on from where it stands. Advancing does on the way what is due on the
    way, in order, each thing at its own time, as fast as your endpoints answer. The timestamps of signatures, idempotency
    keys and timeouts stay on real time.
    """
    if (data.action == "advance") != (data.seconds is not None):
        raise invalid_field("/seconds", "is needed to advance, and for nothing else")
    match data.action:
        case "freeze":
            changed = await clock.change(lambda before: clocks.frozen(before, real=utc_now()))
        case "resume":
            changed = await clock.change(lambda before: clocks.resumed(before, real=utc_now()))
        case "advance":
            changed = await advance_clock(timedelta(seconds=data.seconds or 0))
    return _clock_response(changed, 202 if changed.state == "advancing" else 200)


def _clock_response(clock: Clock, status: int) -> Response[ClockView]:
    return json_response(wire.encode(ClockView(clock.now(utc_now()), clock.state, clock.until)), status)


@post("/v1/test/reset", tags=["Test"], test=True, status_code=200)
async def reset(reset: NamedDependency[Reset]) -> Done:
    """Empties the database of every merchant's charges, refunds, events, endpoints, keys, faults and clock. The endpoint of
    the environment comes back. What is in hand while it runs may be told afterwards.
    """
    await reset()
    return Done()


@get("/v1/test/faults", tags=["Test"], test=True)
async def get_faults(faults: NamedDependency[StoredFaults]) -> Faults:
    """How often what goes wrong by itself, for every merchant."""
    return await faults.read()


@put("/v1/test/faults", tags=["Test"], test=True)
async def put_faults(data: JSONBody[Faults], faults: NamedDependency[StoredFaults]) -> Faults:
    """Makes things go wrong by themselves, for every merchant: a rate for each fault, and a seed. What goes wrong with a
    request follows from the seed and its Idempotency-Key, so that the same happens again. It adds to what the request asks
    for.
    """
    for name in data.rates:
        if name not in RATED:
            raise invalid_field(f"/rates/{name}", f"not one of {', '.join(RATED)}")
    await faults.replace(data)
    return data


@delete("/v1/test/faults", tags=["Test"], test=True, status_code=200)
async def delete_faults(faults: NamedDependency[StoredFaults]) -> Faults:
    """Nothing goes wrong by itself any more."""
    await faults.replace(NO_FAULTS)
    return NO_FAULTS


TEST_ROUTES = [get_clock, set_clock, get_faults, put_faults, delete_faults, reset]
