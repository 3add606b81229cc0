"""Showing charges and refunds. Nothing is shown as ended before it is announced, so whoever looks announces first. C23"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from payment_gateway.money.charge import Charge, Refund, on_the_wire, part, refund_on_the_wire
from payment_gateway.reads import NEWEST_FIRST, beyond, given, one_page
from payment_gateway.store import Store, read
from payment_gateway.webhooks.announce import Announce
from shared import wire
from shared.mongo import Document
from shared.pages import Page


class ShowMoney:
    """Raises PyMongoError, UnavailableError and OverloadedError."""

    def __init__(self, store: Store, announce: Announce[Charge]) -> None:
        self._store = store
        self._announce = announce

    async def charge(self, merchant: str, charge_id: str) -> wire.Charge | None:
        found = await read(self._store.charges, {"$match": {"_id": charge_id, "merchant": merchant}})
        return next((on_the_wire(charge) for charge in await self._announced(found)), None)

    async def refund(self, merchant: str, refund_id: str) -> wire.Refund | None:
        found = await read(self._store.charges, {"$match": {"refunds.id": refund_id, "merchant": merchant}})
        return next((_shown(charge, refund_id) for charge in await self._announced(found)), None)

    async def charges(self, conditions: Mapping[str, Any], limit: int, cursor: str | None) -> Page[wire.Charge]:
        """A page of them, newest first. Raises CursorError."""
        matching = {"$match": {**given(conditions), **beyond(cursor)}}
        found = await read(self._store.charges, matching, {"$sort": NEWEST_FIRST}, {"$limit": limit + 1})
        page, following = one_page(found, limit)
        return Page([on_the_wire(charge) for charge in await self._announced(page)], following)

    async def refunds(
        self, merchant: str, charge_id: str | None, conditions: Mapping[str, Any], limit: int, cursor: str | None
    ) -> Page[wire.Refund]:
        """The same of refunds, by conditions on the refund itself. Raises CursorError."""
        wanted, position = given(conditions), beyond(cursor)
        through_an_index: dict[str, Any] = {"refunds.created_at": position.get("created_at", {"$exists": True})}
        if charge_id:
            through_an_index = {"_id": charge_id}
        elif "reference" in wanted:
            through_an_index = {"refunds.reference": wanted["reference"]}
        kept = {f"refunds.{name}": 1 for name in ("id", "created_at", *wanted)}
        found = await read(
            self._store.charges,
            {"$match": {"merchant": merchant, **through_an_index}},
            {"$project": {"charge": "$_id", **kept}},
            {"$unwind": "$refunds"},
            {"$replaceWith": {"$mergeObjects": ["$refunds", {"_id": "$refunds.id", "charge": "$charge"}]}},
            {"$match": {**wanted, **position}},
            {"$sort": NEWEST_FIRST},
            {"$limit": limit + 1},
        )
        page, following = one_page(found, limit)
        of = await read(self._store.charges, {"$match": {"_id": {"$in": list({one["charge"] for one in page})}}})
        charges = {charge.id: charge for charge in await self._announced(of)}
        shown = [_shown(charges[one["charge"]], one["_id"]) for one in page if one["charge"] in charges]
        return Page(shown, following)

    async def _announced(self, found: Sequence[Document]) -> list[Charge]:
        """As they were read, once all marks in them are announced. Those that cannot be announced are left out."""
        unannounced = await self._announce([one for one in found if one["announce"]])
        return [msgspec.convert(one, Charge) for one in found if one["_id"] not in unannounced]


def _shown(charge: Charge, refund_id: str) -> wire.Refund:
    refund = part(charge, refund_id)
    assert isinstance(refund, Refund)
    return refund_on_the_wire(charge, refund)
