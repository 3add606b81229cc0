"""Decides how the reply to each attempt goes wrong, between the routes and the verbs that create.

Requests without faults pay nothing: attempts are counted only if a scenario or the rates may spoil a reply.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from payment_gateway.faults.rates import NOT_DONE, Faults, ReplyFault, spoils_replies
from payment_gateway.faults.scenario import Scenario, reply_fault
from payment_gateway.faults.stored_faults import StoredFaults
from payment_gateway.store import Store
from shared.documents.keys import known_key
from shared.idempotency import TTL, Answer, Key, KeyReused

Refusal = TypeVar("Refusal")


@dataclass(frozen=True)
class Misbehaved:
    """A reply that goes wrong as `fault` says. `answer` is the true one, None if nothing was done. First it waits until
    `told` says that the webhooks of the new charge or refund have been tried. `fault` or `told` may be None.
    """

    answer: Answer | None
    fault: ReplyFault | None
    scenario: Scenario
    told: Callable[[], Awaitable[bool]] | None = None


class Misbehave:
    """Creates, and spoils replies. `has_told` says whether the webhooks about a charge or refund, by its id, were tried."""

    def __init__(self, store: Store, faults: StoredFaults, has_told: Callable[[str], Awaitable[bool]]) -> None:
        self._store = store
        self.faults = faults
        self._has_told = has_told

    async def create(
        self,
        merchant: str,
        key: Key,
        scenario: Scenario,
        faults: Faults,
        create: Callable[[], Awaitable[Answer | KeyReused | Refusal]],
        refusal: Refusal | None = None,
    ) -> Answer | Misbehaved | KeyReused | Refusal:
        """Calls `create`, which makes a charge or refund under `key`, unless the fault of this attempt forbids it. `refusal`
        is the reason why a new key would be refused: then there is no fault, because faults replace only successes. Raises
        what `create` raises, and PyMongoError.
        """
        early = scenario.timing == "early"
        fault = None
        if scenario.replies or spoils_replies(faults):
            found = await known_key(self._store.charges, merchant, key) or refusal
            if found is not None and not isinstance(found, Answer):
                return found
            attempt = await self._count(f"{merchant}:{key.endpoint}:{key.value}")
            fault = reply_fault(scenario, attempt, faults, key.value)
        if fault in NOT_DONE:
            return Misbehaved(None, fault, scenario)
        outcome = await create()
        if not isinstance(outcome, Answer) or not (fault or early):
            return outcome
        told = partial(self._has_told, outcome.resource_id) if early else None
        return Misbehaved(outcome, fault, scenario, told)

    async def _count(self, attempts_id: str) -> int:
        """Counts the attempts with this key, this one included, for as long as keys live by the server's clock."""
        counting = {"$cond": [{"$gt": ["$expires_at", "$$NOW"]}, {"$add": ["$attempts", 1]}, 1]}
        expiry = {"$add": ["$$NOW", TTL // timedelta(milliseconds=1)]}
        counted = await self._store.reply_attempts.find_one_and_update(
            {"_id": attempts_id},
            [{"$set": {"attempts": counting, "expires_at": expiry}}],
            upsert=True,
            return_document=True,
        )
        assert counted is not None
        return int(counted["attempts"])
