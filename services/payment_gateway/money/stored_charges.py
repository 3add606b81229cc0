"""Charges as several verbs read and write them."""

from collections.abc import Sequence
from typing import Any

from payment_gateway.money.charge import Charge, part
from payment_gateway.store import Store
from payment_gateway.webhooks.event import Told
from shared.documents import Documents
from shared.documents.keys import known_keys
from shared.idempotency import Answer, KeyReused

StoredCharges = Documents[Charge, Answer | KeyReused]


def stored_charges(store: Store) -> StoredCharges:
    """What stands in the way of a new charge is another with its Idempotency-Key."""

    async def explain(charges: Sequence[Charge]) -> Sequence[Answer | KeyReused | None]:
        return await known_keys(store.charges, [(one.merchant, one.keys[0]) for one in charges])

    return Documents(store.charges, Charge, explain=explain)


def told(charge: Charge) -> Told:
    """What is announced of it and its refunds, and how."""

    def scenario_of(object_id: str) -> Any:
        subject = part(charge, object_id)
        assert subject is not None, f"{charge.id}: a mark of {object_id}, which is no part of it"
        return subject.scenario

    return Told(charge.merchant, charge.reference, charge.id, scenario_of)
