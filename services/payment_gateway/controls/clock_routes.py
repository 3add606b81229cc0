"""HTTP under /v1/test/clock: parse, call a verb, respond."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta

from payment_gateway.clock import clock as clocks
from payment_gateway.clock.advance import AdvanceClock, Work
from payment_gateway.clock.clock import Clock
from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.controls.forget_keys import forget_keys
from payment_gateway.store import Store
from shared import wire
from shared.edge.auth import merchant_of
from shared.edge.problems import invalid_field
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.times import utc_now


class DueView(msgspec.Struct, frozen=True):
    """When the first of its kind is due. `charges` are charges, refunds and disputes to be settled or announced; `endpoints`
    those of which something is announced; `resends` what is left of them; `deliveries` attempts; `held` deliveries that were
    held and may go.
    """

    what: Annotated[Work, Meta(examples=["deliveries"])]
    at: Annotated[wire.Time, Meta(examples=["2026-11-26T21:04:51.018Z"])]


class ClockView(msgspec.Struct, frozen=True, rename="camel"):
    """The provider's time. While it advances, `now` is how far it has come, and `advancingTo` where it will stop.
    `aheadSeconds` is how far it is from real time. `next` says when the first of each kind of work is due, the earliest
    first.
    """

    now: Annotated[wire.Time, Meta(examples=["2026-11-26T19:37:23.370Z"])]
    state: Annotated[clocks.State, Meta(examples=["running"])]
    advancing_to: wire.Time | None
    ahead_seconds: Annotated[float, Meta(examples=[259200])]
    next: list[DueView]


class ClockRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Tells the clock what to do. `seconds` says how far to advance, and goes with `advance` only. The time that the clock
    shows plays no part in `forgetKeys`: idempotency keys are kept for 24 hours of real time.
    """

    action: Annotated[Literal["freeze", "resume", "advance", "forgetKeys"], Meta(examples=["advance"])]
    seconds: Annotated[int, Meta(ge=1, le=10 * 365 * 86400, examples=[259200])] | None = None


@get("/v1/test/clock", tags=["Test"], test=True)
async def get_clock(
    clock: NamedDependency[StoredClock], advance_clock: NamedDependency[AdvanceClock]
) -> Response[ClockView]:
    """Shows the clock. Charges settle and deliveries are retried by it, and its times are recorded and shown."""
    return await _clock_response(await clock.read(), advance_clock, 200)


@post(
    "/v1/test/clock",
    tags=["Test"],
    test=True,
    status_code=200,
    problems=["clock-conflict"],
    responses={202: ResponseSpec(ClockView, description="It still advances", generate_examples=False)},
)
async def set_clock(
    request: Request,
    data: JSONBody[ClockRequest],
    clock: NamedDependency[StoredClock],
    advance_clock: NamedDependency[AdvanceClock],
    store: NamedDependency[Store],
) -> Response[ClockView]:
    """Freezes the clock, advances it, or lets it run on from where it stands; or forgets your idempotency keys. While the
    clock advances, everything that becomes due is done in order, each thing at its own time, as fast as your endpoints
    answer. The timestamps of signatures, idempotency keys and timeouts stay on real time.
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
        case "forgetKeys":
            await forget_keys(store, merchant_of(request))
            changed = await clock.read()
    return await _clock_response(changed, advance_clock, 202 if changed.state == "advancing" else 200)


async def _clock_response(clock: Clock, advance_clock: AdvanceClock, status: int) -> Response[ClockView]:
    upcoming = [DueView(*one) for one in await advance_clock.upcoming()]
    real = utc_now()
    now = clock.now(real)
    view = ClockView(now, clock.state, clock.until, ahead_seconds=(now - real).total_seconds(), next=upcoming)
    return json_response(wire.encode(view), status)


CLOCK_ROUTES = [get_clock, set_clock]
