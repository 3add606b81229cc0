"""Settles what is due: a compare-and-set ends a charge or a refund in it, or opens a dispute in it, and writes a mark. Then
the marks are announced. C23: a charge ends once, and is announced once.

Nothing is leased. If two gateways settle one charge, the second misses its version, reads again and finds it settled. If a
process dies between settling and announcing, the charge is still due.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from prometheus_client import Counter
from pymongo.errors import PyMongoError

from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.money.announcement import HAND_SECONDS, settled
from payment_gateway.money.charge import Charge, Part, due
from payment_gateway.money.dispute import Dispute
from payment_gateway.money.stored_charges import StoredCharges
from payment_gateway.store import Store, read
from payment_gateway.webhooks.announce import Announce
from payment_gateway.webhooks.endpoint import Endpoint
from payment_gateway.webhooks.passed_over import PassedOver
from shared.batches import OverloadedError, UnavailableError
from shared.documents import Verdict
from shared.forward import election_of
from shared.leases import INTERVAL_SECONDS, LeasedWork
from shared.mongo import Document, describe, to_document
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace, current_trace, span

AT_ONCE = 256
_DATABASE_ERRORS = (PyMongoError, UnavailableError, OverloadedError, asyncio.CancelledError)
LOOK_SECONDS = 0.5  # for at most this long, new charges are settled without reading what else is due
STORE_SECONDS = 0.05  # a round waits this long for new charges to be stored: its endpoints must not be older
BURST_INTERVAL_SECONDS = 0.1  # charges that fall due meanwhile are settled and announced together

_SETTLED = Counter("payment_gateway_settled_total", "Charges and refunds settled, by how", ["kind", "status"])
_SETTLED_BY_STATUS = {
    (noun, status): _SETTLED.labels(noun, status) for noun in ("charge", "refund") for status in ("succeeded", "failed")
}


class _New(NamedTuple):
    """A charge that is being stored. `inserting` returns None when it is, or the answer that its key has already. `is_late`
    says that a round has waited for it in vain: no other does.
    """

    document: Document
    inserting: "asyncio.Future[Any]"
    is_late: bool = False

    @property
    def is_stored(self) -> bool | None:
        """None while nobody knows. False if it is not, or perhaps not: then a look will find it."""
        if not self.inserting.done():
            return None
        failed = self.inserting.cancelled() or self.inserting.exception() is not None
        return not failed and self.inserting.result() is None


class Round(NamedTuple):
    """A round settles charges that were found due together with new ones."""

    found: Sequence[Document]
    new: Sequence[_New] = ()


class Settle:
    """Settles. If a charge is to be disputed, its dispute opens `delay` after the charge has succeeded."""

    def __init__(
        self,
        store: Store,
        charges: StoredCharges,
        clock: StoredClock,
        announce: Announce[Charge],
        *,
        delay: timedelta,
    ) -> None:
        self._store = store
        self._charges = charges
        self._clock = clock
        self._announce = announce
        self._delay = delay
        self._passed_over = PassedOver()
        self._new: dict[str, _New] = {}
        self._looked_at = -LOOK_SECONDS
        self.work = LeasedWork[Round](
            self._claim,
            self._settle_and_announce,
            name="settle_charges",
            slots=1,  # a round is a piece of work
        )

    def expect(self, now: datetime, settles_at: datetime) -> None:
        """Hints that something settles at that time of the gateway's clock, which now shows `now`."""
        self.work.wake_in((settles_at - now).total_seconds())

    def expect_new(self, now: datetime, charge: Charge, inserting: "asyncio.Future[Any]") -> None:
        """Hints at a charge that is being stored; `inserting` returns None when it is. If it settles at once, no read has to
        find it, and its endpoints are read meanwhile.
        """
        if charge.settles_at <= now:
            if len(self._new) < AT_ONCE:
                self._new[charge.id] = _New({**to_document(charge), "read_at": utc_now()}, inserting)
            else:
                self._looked_at = -LOOK_SECONDS  # so that the next claim looks for what is due
        self.expect(now, charge.settles_at)

    async def run_once(self) -> int:
        """Settles and announces what is due now, and returns for how many charges. Raises PyMongoError and
        UnavailableError.
        """
        return await self._settle_and_announce(Round(await self._due()))

    async def _claim(self, _limit: int) -> Sequence[Round]:
        late = {key: one for key, one in self._new.items() if one.is_late and one.is_stored is None}
        new = {key: one for key, one in self._new.items() if key not in late and one.is_stored is not False}
        self._new = late
        found: Sequence[Document] = []
        if not new or time.monotonic() >= self._looked_at + LOOK_SECONDS:
            found = await self._due()
            more = len(found) == AT_ONCE  # then new charges wait their turn
            self._looked_at = -LOOK_SECONDS if more else time.monotonic()
            for one in found:
                new.pop(one["_id"], None)
            if more:
                new.clear()
        # A charge that comes alone is no burst: the next one does not wait for others.
        count = len(found) + len(new)
        self.work.interval_seconds = BURST_INTERVAL_SECONDS if count > 1 else INTERVAL_SECONDS
        return [Round(found, [*new.values()])] if count else []

    async def _due(self) -> Sequence[Document]:
        """The charges that are due by the gateway's clock, the earliest first. It leaves out those that another process has
        just settled and will announce, and those that are passed over.
        """
        is_due = {"$lte": await self._clock.now(), "$type": "date"}
        # Null comes before any date. A process whose clock is ahead keeps no charge in hand for longer than others do.
        hand_ends = {"$add": ["$$NOW", round(HAND_SECONDS * 1000)]}
        out_of_hand = {
            "$expr": {"$or": [{"$lte": ["$hand_until", "$$NOW"]}, {"$gt": ["$hand_until", hand_ends]}]},
        }
        conditions = {"_id": {"$nin": self._passed_over.ids()}, "due_at": is_due, **out_of_hand}
        return await read(self._store.charges, {"$match": conditions}, {"$sort": {"due_at": 1}}, {"$limit": AT_ONCE})

    async def _settle_and_announce(self, round_: Round) -> int:
        # C23: endpoints are read after the charges were found due or asked for, so each that was there before hears of them.
        charges = [*round_.found, *(one.document for one in round_.new)]
        asked_at, election = time.monotonic(), election_of(self._store.client)
        endpoints = await self._endpoints_of(charges) if charges else []
        if not (found := [*round_.found, *await self._stored(round_.new)]):
            return 0
        if election_of(self._store.client) != election:  # the one that was asked may have been no primary any more
            asked_at, endpoints = time.monotonic(), await self._endpoints_of(found)
        if endpoints:  # new charges were not read: what follows is by the server's clock all the same
            found = [{**one, "read_at": endpoints[0]["read_at"]} for one in found]
        wanting = _decoded(endpoints)
        now = await self._clock.now()
        ended = await asyncio.gather(
            *(self._settle_all(one, wanting.get(one["merchant"], ()), now) for one in found), return_exceptions=True
        )
        failed = {
            one["_id"]: error for one, error in zip(found, ended, strict=True) if isinstance(error, BaseException)
        }
        done = {one["_id"] for one in found} - failed.keys()
        marked = [charge for charge in ended if isinstance(charge, dict)]
        if unknown := done - {charge["_id"] for charge in marked}:
            marked += await read(self._store.charges, {"$match": {"_id": {"$in": [*unknown]}}})
        known = chain.from_iterable(some for some in wanting.values() if not isinstance(some, Exception))
        unannounced = await self._announce(marked, [*known], asked_at)
        unavailable = {one for one, error in failed.items() if isinstance(error, _DATABASE_ERRORS)}
        for document_id in {*failed, *unannounced} - unavailable:
            self._passed_over.add(document_id)
        if unavailable:  # tried again in the next round
            raise failed[unavailable.pop()]
        return len(done) - len(unannounced)

    async def _endpoints_of(self, charges: Sequence[Document]) -> list[Document]:
        """The endpoints that may want their events, with all that were added before. C9: no failover hides them."""
        merchants = list({one["merchant"] for one in charges})
        wanted = {"merchant": {"$in": merchants}, "state": "enabled", "deleted_at": None}
        return await self._store.read(self._store.webhook_endpoints, {"$match": wanted})

    async def _stored(self, new: Sequence[_New]) -> list[Document]:
        """Waits a little for new charges to be stored, and returns those that are. The others come once that is known, in a
        round that reads their endpoints again.
        """
        if new:
            await asyncio.wait([one.inserting for one in new], timeout=STORE_SECONDS)
        for one in new:
            if one.is_stored is None:
                self._new[one.document["_id"]] = one._replace(is_late=True)
                one.inserting.add_done_callback(lambda _: self.work.wake.set())
        return [one.document for one in new if one.is_stored]

    async def _settle_all(
        self, document: Document, endpoints: Sequence[Endpoint] | Exception, now: datetime
    ) -> Document | None:
        """Settles all that is due of one charge. Decisions about one document share one write. Returns the charge as it was
        written, None if somebody else has settled it. Raises the error of decoding its merchant's endpoints.
        """
        written: list[Charge] = []
        continue_trace(document.get("trace"), reference=document.get("reference"))
        try:
            if isinstance(endpoints, Exception):
                raise endpoints
            charge = msgspec.convert(document, Charge)
            parts = due(charge, now)
            await asyncio.gather(*(self._settle(charge, document, one, endpoints, now, written) for one in parts))
        except Exception as error:
            log.warning("not settled", id=document["_id"], reason=describe(error))
            raise
        if not written:
            return None
        newest = max(written, key=lambda charge: charge.version)
        return {**to_document(newest), "read_at": document["read_at"]}

    async def _settle(
        self,
        charge: Charge,
        document: Document,
        pending: Part,
        endpoints: Sequence[Endpoint],
        now: datetime,
        written: list[Charge],
    ) -> None:
        noun = type(pending).__name__.lower()
        # The log says the order's id, by which the merchant knows the charge.
        continue_trace(charge.trace if isinstance(pending, Dispute) else pending.trace, reference=charge.reference)
        with span(f"settle {noun}"):
            trace = current_trace()  # the event continues from here

            def decide(found: Charge | None, read_at: datetime | None) -> Verdict[Charge, Any]:
                return settled(found, pending.id, endpoints, now=now, delay=self._delay, read_at=read_at, trace=trace)

            ended = await self._charges.change(charge.id, decide, read=document, written=written.append)
        if isinstance(ended, Dispute):
            log.info("dispute opened", id=ended.id)
        elif ended is not None:
            _SETTLED_BY_STATUS[noun, ended.status].inc()
            log.info(f"{noun} settled", id=ended.id, status=ended.status, failure_code=ended.failure_code)


def _decoded(documents: Iterable[Document]) -> Mapping[str, Sequence[Endpoint] | Exception]:
    """The endpoints of each merchant, or the error if one of them does not decode: that holds up no other merchant."""
    endpoints: dict[str, list[Endpoint] | Exception] = {}
    for document in documents:
        known = endpoints.setdefault(document["merchant"], [])
        if not isinstance(known, Exception):
            try:
                known.append(msgspec.convert(document, Endpoint))
            except msgspec.ValidationError as error:
                endpoints[document["merchant"]] = error
    return endpoints
