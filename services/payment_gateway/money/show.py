"""Shows charges, refunds and disputes. C23: nothing is shown as ended before it is announced, so a read announces first."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from payment_gateway.money.charge import Charge, Refund, dispute_on_the_wire, on_the_wire, part, refund_on_the_wire
from payment_gateway.money.dispute import Dispute
from payment_gateway.reads import NEWEST_FIRST, beyond, given, page
from payment_gateway.store import READ_AT, Store
from payment_gateway.webhooks.announce import Announce
from shared import wire
from shared.mongo import Document
from shared.not_found import NotFound
from shared.pages import Found, Paging, place

_SHOWN: Document = {"$unset": "keys"}  # of a charge: the answers in its keys would double its length
_NOT_WAITING = {"status": {"$ne": "waiting"}}


class ShowMoney:
    """Its methods raise PyMongoError, UnavailableError and OverloadedError."""

    def __init__(self, store: Store, announce: Announce[Charge]) -> None:
        self._store = store
        self._announce = announce

    async def charge(self, merchant: str, charge_id: str) -> wire.Charge | NotFound:
        found = await self._store.read(self._store.charges, {"$match": {"_id": charge_id, "merchant": merchant}})
        return next((on_the_wire(charge) for charge in await self._announced(found)), NotFound("charge"))

    async def refund(self, merchant: str, refund_id: str) -> wire.Refund | NotFound:
        found = await self._store.read(self._store.charges, {"$match": {"refunds.id": refund_id, "merchant": merchant}})
        return next((_refund(charge, refund_id) for charge in await self._announced(found)), NotFound("refund"))

    async def dispute(self, merchant: str, dispute_id: str) -> wire.Dispute | NotFound:
        """The dispute; NotFound also while it waits."""
        found = await self._store.read(
            self._store.charges, {"$match": {"disputes.id": dispute_id, "merchant": merchant}}
        )
        shown = [(charge, part(charge, dispute_id)) for charge in await self._announced(found)]
        opened = (_dispute(charge, dispute_id) for charge, one in shown if one and one.status != "waiting")
        return next(opened, NotFound("dispute"))

    async def charges(
        self, merchant: str, paging: Paging, *, reference: str | None = None, status: wire.MoneyState | None = None
    ) -> Found[wire.Charge]:
        """A page of charges, newest first. With a `status` it may be short, as `page` says. Raises CursorError."""
        of, also, stages = {"merchant": merchant, "reference": reference}, {"status": status}, [READ_AT, _SHOWN]
        found, following = await page(self._store, self._store.charges, of, paging, stages, also=also)
        return Found([on_the_wire(charge) for charge in await self._announced(found)], following)

    async def refunds(
        self,
        merchant: str,
        paging: Paging,
        *,
        charge_id: str | None = None,
        reference: str | None = None,
        status: wire.MoneyState | None = None,
    ) -> Found[wire.Refund]:
        """A page of refunds, by their own `reference` and `status`. Raises CursorError."""
        of = {"merchant": merchant, "_id": charge_id, "refunds.reference": None if charge_id else reference}
        found, following = await self._parts("refunds", of, {"reference": reference, "status": status}, paging)
        return Found([_refund(*one) for one in found], following)

    async def disputes(self, merchant: str, paging: Paging, *, reference: str | None = None) -> Found[wire.Dispute]:
        """A page of disputes, by the `reference` of their charge. Raises CursorError."""
        of = {"merchant": merchant, "reference": reference}
        found, following = await self._parts("disputes", of, _NOT_WAITING, paging)
        return Found([_dispute(*one) for one in found], following)

    async def _parts(
        self, name: str, of: Mapping[str, Any], wanted: Mapping[str, Any], paging: Paging
    ) -> tuple[list[tuple[Charge, str]], str | None]:
        """A page of the refunds or disputes that match `wanted`, of charges that match `of`, each with its charge."""
        of, wanted, older = given(of), given({**wanted, "created_at": paging.created}), beyond(paging.after)
        if of.keys() == {"merchant"}:  # there is no index on the other conditions
            between = {**wanted.get("created_at", {}), **older.get("created_at", {})}
            # One condition on one element, so that the index is read between both bounds.
            elements = {name: {"$elemMatch": {"created_at": between}}} if between else {}
            of = {**of, f"{name}.created_at": {"$exists": True}, **elements}
        kept = {f"{name}.{field}": 1 for field in ("id", "created_at", *wanted)}
        found = await self._store.read(
            self._store.charges,
            {"$match": of},
            {"$project": {"charge": "$_id", **kept}},
            {"$unwind": f"${name}"},
            {"$replaceWith": {"$mergeObjects": [f"${name}", {"_id": f"${name}.id", "charge": "$charge"}]}},
            {"$match": {"$and": [wanted, older]}},
            {"$sort": NEWEST_FIRST},
            {"$limit": paging.limit + 1},
        )
        shown = found[: paging.limit]
        following = place(shown[-1], "created_at") if len(found) > paging.limit else None
        charges = await self._charges_of(name, shown)
        return [(charges[one["charge"]], one["_id"]) for one in shown if one["charge"] in charges], following

    async def _charges_of(self, name: str, parts: Sequence[Document]) -> dict[str, Charge]:
        """The charges of refunds or disputes, announced. Of their long fields they have only these `parts`."""
        theirs = {"$match": {"_id": {"$in": list({one["charge"] for one in parts})}}}
        ids = [one["_id"] for one in parts]
        own = {"$filter": {"input": f"${name}", "as": "one", "cond": {"$in": ["$$one.id", ids]}}}
        none: Document = {"$literal": []}
        short = {"$set": {"metadata": {"$literal": {}}, "refunds": none, "disputes": none, name: own}}
        found = await self._store.read(self._store.charges, theirs, _SHOWN, short)
        marked = [one["_id"] for one in found if one["announce"]]
        whole = await self._store.read(self._store.charges, {"$match": {"_id": {"$in": marked}}}) if marked else []
        unannounced = await self._announce(whole)
        return {one["_id"]: msgspec.convert(one, Charge) for one in found if one["_id"] not in unannounced}

    async def _announced(self, found: Sequence[Document]) -> list[Charge]:
        """The charges as they were read, once all their marks are announced. Those that cannot be announced are left out."""
        unannounced = await self._announce([one for one in found if one["announce"]])
        return [msgspec.convert(one, Charge) for one in found if one["_id"] not in unannounced]


def _refund(charge: Charge, refund_id: str) -> wire.Refund:
    refund = part(charge, refund_id)
    assert isinstance(refund, Refund)
    return refund_on_the_wire(charge, refund)


def _dispute(charge: Charge, dispute_id: str) -> wire.Dispute:
    dispute = part(charge, dispute_id)
    assert isinstance(dispute, Dispute)
    return dispute_on_the_wire(charge, dispute)
