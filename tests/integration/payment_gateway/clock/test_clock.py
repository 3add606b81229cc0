"""C24: the test clock moves what is due and what is recorded, in order, and survives whoever advances it."""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import msgspec
import pymongo
import pytest
from pymongo.errors import AutoReconnect
from structlog.testing import capture_logs

from payment_gateway.app import Application
from payment_gateway.clock import clock as clocks
from payment_gateway.clock.clock import Clock, ClockError
from payment_gateway.faults.rates import Faults
from shared.batches import UnavailableError
from shared.mongo import Collection
from shared.times import utc_now
from tests.http_double import Asked, HttpDouble, always
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.money.test_announcing import settled_only
from tests.waiting import until

THREE_DAYS = timedelta(hours=72)
# A step more than by default: with its jitter, that may end before 72 hours have passed.
SCHEDULE = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, 86400)


async def freeze(application: Application) -> datetime:
    return (await application.clock.change(lambda clock: clocks.frozen(clock, real=utc_now()))).now(utc_now())


async def advance(application: Application, by: timedelta) -> Clock:
    """The clock once it has arrived, however long that takes on a busy machine."""
    clock = await application.advance_clock(by)
    return await arrival(application) if clock.state == "advancing" else clock


async def arrival(application: Application) -> Clock:
    async def arrived() -> bool:
        return (await application.clock.read()).state != "advancing"

    await until(arrived, "the clock arrives", seconds=120)
    return await application.clock.read()


async def deliveries(application: Application) -> list[dict[str, Any]]:
    return await application.store.deliveries.find().sort("created_at").to_list()


async def test_c24_three_days_of_retries_are_made_in_order_each_at_its_own_time(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with make_application(
        workers=True, charge_delay_seconds=60, webhook_retry_schedule_seconds=SCHEDULE
    ) as application:
        began = await freeze(application)
        for _ in range(3):
            await create(application)
        clock = await advance(application, THREE_DAYS)
        assert (clock.state, clock.now(utc_now())) == ("frozen", began + THREE_DAYS)
        found = await deliveries(application)
        for one in found:
            assert one["created_at"] == began + timedelta(seconds=60)
            times = [one["created_at"], *(attempt["at"] for attempt in one["attempts"])]
            waits = [(after - before).total_seconds() for before, after in pairwise(times)]
            assert waits == [0, *(pytest.approx(wait, rel=0.1) for wait in SCHEDULE[: len(waits) - 1])]
            assert len(waits) >= 8, "72 hours are at least eight attempts"
            assert times[-1] <= clock.now(utc_now()) < one["next_attempt_at"]
        attempts = sorted((attempt["at"], one["_id"]) for one in found for attempt in one["attempts"])
        assert len(attempts) == len(receiver.asked), "none twice, none unrecorded"


async def test_c24_attempts_arrive_in_the_order_of_their_times(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with make_application(workers=True) as application:
        await freeze(application)
        for _ in range(5):
            await create(application)
        await advance(application, timedelta(hours=3))
        times = {
            one["event_id"]: [attempt["at"] for attempt in one["attempts"]] for one in await deliveries(application)
        }
        heard = [times[asked.headers["webhook-id"]].pop(0) for asked in receiver.asked]
        assert heard == sorted(heard)
        assert len(heard) > 15


async def test_c24_a_frozen_clock_settles_and_delivers_nothing_on_any_replica(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with (
        make_application(workers=True, charge_delay_seconds=0.3) as one,
        make_application(workers=True, charge_delay_seconds=0.3) as other,
    ):
        at = await freeze(one)
        charge = await create(other)
        assert charge.created_at == at
        probe = one.store.charges
        await until(lambda: _is_past(charge.created_at + timedelta(seconds=1)), "a second of real time")
        assert await probe.count_documents({"status": "pending"}) == 1
        await other.clock.change(lambda clock: clocks.resumed(clock, real=utc_now()))
        await until(lambda: _has(receiver, 1), "the delivery")
        [event] = await one.store.events.find().to_list()
        assert event["created_at"] < utc_now() - timedelta(seconds=0.5), "it runs on from where it stood"


async def test_c24_signatures_and_keys_stay_on_real_time(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(workers=True) as application:
        await advance(application, THREE_DAYS)
        charge = await create(application)
        assert charge.created_at > utc_now() + timedelta(hours=71)
        await until(lambda: _has(receiver, 1), "the delivery")
        assert abs(int(receiver.asked[0].headers["webhook-timestamp"]) - utc_now().timestamp()) < 60
        [stored] = await application.store.charges.find().to_list()
        assert stored["keys"][0]["expires_at"] < utc_now() + timedelta(hours=25)


async def test_c24_leases_stay_on_real_time(make_application: MakeApplication, receiver: HttpDouble) -> None:
    """Whoever has a delivery in hand keeps it, although by the test clock its lease ended days ago."""
    async with make_application() as one, make_application() as other:
        await one.clock.change(lambda clock: msgspec.structs.replace(clock, offset_ms=72 * 3_600_000, version=1))
        await create(one)
        await one.settle_charges.run_once()
        [held] = await one.deliver_webhooks._claim(1)
        assert await other.deliver_webhooks.work.run_once() == 0
        await one.deliver_webhooks._deliver(held)
        assert len(receiver.asked) == 1


async def test_c24_a_clock_that_is_advancing_takes_no_other_order(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    answering = asyncio.Event()

    async def hold(_asked: Asked) -> Any:
        await answering.wait()
        return await always(500)(_asked)

    receiver.answer = hold
    async with make_application(workers=True) as application:
        await freeze(application)
        await create(application)
        advancing = asyncio.create_task(advance(application, THREE_DAYS))
        await until(lambda: _has(receiver, 1), "an attempt in hand")
        with pytest.raises(ClockError, match="advancing"):
            await freeze(application)
        with pytest.raises(ClockError, match="advancing"):
            await application.advance_clock(THREE_DAYS)
        answering.set()
        assert (await advancing).state == "frozen"


async def test_c24_two_replicas_advance_once(make_application: MakeApplication, receiver: HttpDouble) -> None:
    receiver.answer = always(500)
    async with make_application(workers=True) as one, make_application(workers=True) as other:
        began = await freeze(one)
        for _ in range(4):
            await create(one)
        results = await asyncio.gather(
            one.advance_clock(THREE_DAYS), other.advance_clock(THREE_DAYS), return_exceptions=True
        )
        assert (await arrival(one)).now(utc_now()) == began + THREE_DAYS
        assert sum(isinstance(result, ClockError) for result in results) == 1
        made = [(one["_id"], attempt["number"]) for one in await deliveries(one) for attempt in one["attempts"]]
        assert len(set(made)) == len(made) == len(receiver.asked)


async def test_c24_time_never_goes_back_for_what_becomes_due_late(
    make_application: MakeApplication, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.answer = always(500)
    stood: list[datetime] = []
    async with make_application() as application:
        do_what_is_due = application.advance_clock._do_what_is_due

        async def and_then_something_older(clock: Clock, left_behind: datetime | None) -> bool:
            assert clock.at
            stood.append(clock.at)
            done = await do_what_is_due(clock, left_behind)
            if len(stood) == 3:
                [delivery] = await deliveries(application)
                older = {"_id": "dlv_older", "next_attempt_at": clock.at - timedelta(minutes=1)}
                await application.store.deliveries.insert_one({**delivery, **older})
            return done

        monkeypatch.setattr(application.advance_clock, "_do_what_is_due", and_then_something_older)
        await freeze(application)
        await create(application)
        await application.clock.change(lambda clock: clocks.advancing(clock, timedelta(hours=2), real=utc_now()))
        await application.advance_clock.work.run_once()
    assert len(stood) > 4
    assert stood == sorted(stood)


async def test_c24_what_one_thing_makes_due_is_seen_by_whoever_asked_for_that_one_before(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    """While the clock asks for charges, another replica announces the last: its delivery is due now."""
    async with make_application() as application:
        await freeze(application)
        await create(application)
        charges, *others = application.advance_clock._schedules
        asked = asyncio.Event()

        async def announced_meanwhile(after: datetime | None) -> datetime | None:
            await asyncio.sleep(0.05)  # whoever asks for all at once has the other answers by then
            await application.settle_charges.run_once()
            asked.set()
            return await charges.first_due(after)

        application.advance_clock._schedules = [charges._replace(first_due=announced_meanwhile), *others]
        due = await application.advance_clock._first_due(None)
        assert asked.is_set()
        assert due[0] is None
        assert due[-2] is not None, "the delivery"


async def test_c24_what_was_settled_and_not_announced_is_first_tried_at_its_own_time(
    make_application: MakeApplication, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_application(charge_delay_seconds=60) as application:
        began = await freeze(application)
        await create(application)
        await application.clock.change(lambda clock: clocks.frozen(clock, real=utc_now()))
        await application.store.clock.update_one(
            {}, {"$set": {"at": began + timedelta(seconds=60)}, "$inc": {"version": 1}}
        )
        await application.clock.read()
        await settled_only(application, monkeypatch)
        await application.store.charges.update_many({}, {"$set": {"hand_until": None}})
        await application.clock.change(lambda clock: clocks.advancing(clock, THREE_DAYS, real=utc_now()))
        assert await application.advance_clock.work.run_once() == 1
        [found] = await deliveries(application)
        assert found["attempts"][0]["at"] == began + timedelta(seconds=60)


async def test_c24_who_advanced_before_a_reset_does_not_steer_the_clock_after_it(
    make_application: MakeApplication,
) -> None:
    async with make_application() as application:
        claimed = []
        for _ in range(2):
            await application.clock.change(lambda clock: clocks.advancing(clock, THREE_DAYS, real=utc_now()))
            [document] = await application.advance_clock._claim(1)
            claimed.append(msgspec.convert(document, Clock))
            if len(claimed) == 1:
                await application.reset()
        before, since = claimed
        assert before.at
        assert await application.clock.move(before, before.at + THREE_DAYS, lease_seconds=1) is None
        assert await application.clock.arrive(before) is None
        assert (await application.clock.read()).at == since.at
        assert await application.clock.arrive(since) is not None


@pytest.mark.parametrize("error", [AutoReconnect, UnavailableError])
async def test_c24_an_advance_that_the_database_interrupts_is_gone_on_with_at_once(
    make_application: MakeApplication, receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    async with make_application(charge_delay_seconds=60) as application:
        began = await freeze(application)
        await create(application)
        await application.clock.change(lambda clock: clocks.advancing(clock, THREE_DAYS, real=utc_now()))

        async def away(*_: Any, **__: Any) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(application.clock, "move", away)
            assert await application.advance_clock.work.run_once() == 1
        assert (await application.clock.read()).state == "advancing"
        assert await application.advance_clock.work.run_once() == 1, "its lease is free"
        assert (await application.clock.read()).at == began + THREE_DAYS


async def test_a_read_that_was_asked_for_earlier_does_not_hide_what_is_known_since(
    make_application: MakeApplication,
) -> None:
    async with make_application() as application:
        await application.clock.change(lambda clock: clocks.advancing(clock, THREE_DAYS, real=utc_now()))
        [document] = await application.advance_clock._claim(1)
        for stored, change in (
            (application.clock, partial(application.clock.arrive, msgspec.convert(document, Clock))),
            (application.faults, partial(application.faults.replace, Faults(rates={"reply_lost": 1}))),
        ):
            slow = _SlowRead(stored._collection)
            stored._collection = slow  # type: ignore[assignment]
            earlier = asyncio.create_task(stored.read())
            await slow.answered.wait()
            await change()
            slow.go_on.set()
            assert await earlier != await stored.current()
        assert (await application.clock.current()).state == "running"
        assert (await application.faults.current()).rates == {"reply_lost": 1}


class _SlowRead:
    """A collection whose first read answers when it is told to."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.answered, self.go_on = asyncio.Event(), asyncio.Event()

    async def find_one(self, *query: Any) -> Any:
        found = await self._collection.find_one(*query)
        if not self.answered.is_set():
            self.answered.set()
            await self.go_on.wait()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)


async def test_a_delivery_that_cannot_be_done_does_not_hold_the_clock_up_for_ever(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(workers=True) as application:
        application.advance_clock._stuck_seconds = 0.5
        await freeze(application)
        await create(application)
        await advance(application, timedelta(seconds=1))
        await application.store.deliveries.update_one(
            {}, {"$set": {"state": "pending", "next_attempt_at": utc_now(), "attempts": "no list"}}
        )
        clock = await advance(application, timedelta(hours=1))
        assert clock.state == "frozen"


async def test_what_is_left_behind_holds_the_clock_up_once_and_not_at_every_moment(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with make_application(workers=True) as application:
        await freeze(application)
        await create(application)
        await advance(application, timedelta(seconds=1))
        [stuck] = await deliveries(application)
        await application.store.deliveries.insert_one(
            {**stuck, "_id": "dlv_stuck", "next_attempt_at": utc_now(), "attempts": "no list"}
        )
        application.advance_clock._stuck_seconds = 1.5
        with capture_logs() as lines:
            clock = await advance(application, THREE_DAYS)
        assert clock.state == "frozen"
        waits = [line for line in lines if line["event"] == "left behind by the clock"]
        assert 0 < len(waits) < 8, "of nine moments one waits; on a slow machine a few more"
        done = next(one for one in await deliveries(application) if one["_id"] == stuck["_id"])
        assert len(done["attempts"]) >= 8


async def test_reset_forgets_everything_but_the_endpoint_of_the_environment(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(workers=True) as application:
        await advance(application, THREE_DAYS)
        await create(application)
        await until(lambda: _all_recorded(application), "the delivery, and nothing more to write")
        await application.reset()
        left = {
            name: count
            for name in await application.store.database.list_collection_names()
            if (count := await application.store.database[name].count_documents({}))
        }
        assert left == {"webhook_endpoints": 1}
        with pymongo.timeout(5):
            names = await application.store.deliveries.index_information()
        assert len(names) > 1, "indexes stay"
        charge = await create(application)
        assert charge.created_at < utc_now() + timedelta(seconds=1)
        await until(lambda: _has(receiver, 2), "the delivery of what came after")


async def _has(receiver: HttpDouble, count: int) -> bool:
    return len(receiver.asked) >= count


async def _all_recorded(application: Application) -> bool:
    """The one delivery is recorded, and so is that its charge is announced."""
    return bool(
        await application.store.deliveries.count_documents({"state": "delivered"}) == 1
        and await application.store.charges.count_documents({"due_at": {"$ne": None}}) == 0
    )


async def _is_past(at: datetime) -> bool:
    return utc_now() > at


async def test_what_is_due_next_is_told_the_earliest_first(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with make_application(charge_delay_seconds=600, webhook_retry_schedule_seconds=(60,)) as application:
        now = await freeze(application)
        assert await application.advance_clock.upcoming() == []
        await create(application, scenario={"settleDelaySeconds": 0})
        await application.settle_charges.run_once()
        assert await application.advance_clock.upcoming() == [("deliveries", now)]
        await application.deliver_webhooks.work.run_once()
        await create(application)
        (first, soon), later = await application.advance_clock.upcoming()
        assert (first, soon > now) == ("deliveries", True)
        assert later == ("charges", now + timedelta(seconds=600))


async def test_work_is_listed_in_the_order_of_its_time_not_of_its_kind(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    receiver.answer = always(500)
    async with make_application(charge_delay_seconds=1, webhook_retry_schedule_seconds=(600,)) as application:
        await freeze(application)
        await create(application, scenario={"settleDelaySeconds": 0})
        await application.settle_charges.run_once()
        await application.deliver_webhooks.work.run_once()
        await create(application)
        assert [what for what, _ in await application.advance_clock.upcoming()] == ["charges", "deliveries"]
