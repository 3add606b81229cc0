"""Reading and setting the rates at which things go wrong, which all replicas share."""

import asyncio

import msgspec

from payment_gateway.faults.rates import Faults
from payment_gateway.seen import SEEN_SECONDS, Seen


class StoredFaults(Seen[Faults]):
    async def replace(self, faults: Faults) -> None:
        """Returns when every replica has seen them. Raises PyMongoError."""
        await self._collection.replace_one({"_id": "default"}, msgspec.to_builtins(faults), upsert=True)
        self._seen.forget()
        await asyncio.sleep(SEEN_SECONDS)
