"""Reads and writes charges for several verbs."""

from collections.abc import Sequence

from msgspec.structs import replace

from payment_gateway.money.charge import Charge
from payment_gateway.store import Store
from payment_gateway.webhooks.event import Told
from shared.documents import Documents
from shared.documents.keys import known_keys
from shared.idempotency import Answer, KeyReused

StoredCharges = Documents[Charge, Answer | KeyReused]


def stored_charges(store: Store) -> StoredCharges:
    """The charges as Documents. An insert can meet another charge with its Idempotency-Key."""

    async def explain(charges: Sequence[Charge]) -> Sequence[Answer | KeyReused | None]:
        return await known_keys(store.charges, [(one.merchant, one.keys[0]) for one in charges])

    return Documents(store.charges, Charge, explain=explain)


def told(charge: Charge) -> Told:
    """The facts that the events of a charge need. A dispute has the scenario of its charge, but never a wrong amount."""
    scenarios = {charge.id: charge.scenario, **{refund.id: refund.scenario for refund in charge.refunds}}
    scenarios |= dict.fromkeys((one.id for one in charge.disputes), replace(charge.scenario, wrong_amount=False))
    return Told(charge.merchant, charge.reference, charge.id, scenarios.__getitem__)
