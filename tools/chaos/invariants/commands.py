"""What was asked for, by whom, and what the provider would not do. Invariants 7 and 10 rest on it."""

from collections.abc import Iterator

from shared.ids import derive_id
from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.history import Operation
from tools.chaos.invariants.rules import AUTOMATIC, BY_HAND, Refund, by_hand_id, causes_of, decoded, minor


def asked_refunds(order: Document) -> Iterator[tuple[str, Refund]]:
    """As its messages ask the provider for them, and as that has refused some, though no event says so."""
    causes = causes_of(order)
    for message in order["calls"]:
        if message["kind"] == "refund":
            body = decoded(message["body"])
            refund_id, charge_id = body.get("reference", ""), message["path"].split("/")[3]
            asked = Refund("requested", body.get("amount", 0), None, charge_id, causes.get(refund_id, ""))
            yield refund_id, asked
            if message["refused_code"] is not None:
                yield refund_id, asked._replace(state="refused", failure_code=message["refused_code"])


def why_not_asked(evidence: Evidence, order: Document, refund: Document) -> str | None:
    """What is wrong with where a refund comes from; None if a client, the rules or a person's decision asked for it, or
    somebody has made it at the provider.
    """
    if refund["cause"] == BY_HAND:
        return None if refund["id"] in _made_by_hand(evidence, order["_id"]) else "nobody has made it by hand"
    endpoint = f"POST /api/orders/{order['_id']}/refunds"
    records = [one for one in evidence.keys_of.get(refund["id"], []) if one["endpoint"] == endpoint]
    if records:
        told = decoded(records[0]["body"])
        promised = (told["chargeId"], minor(told["amount"], order["currency"]))
        if promised != (refund["charge_id"], refund["amount_minor"]):
            return "it is not what the client was promised"
        return None if _asked_with(evidence, records[0]["_id"]) else "no client can have asked for it"
    charge = next((one for one in order["charges"] if one["id"] == refund["charge_id"]), None)
    if charge is None or charge["state"] != "succeeded":
        return "its charge has not succeeded"
    if refund["cause"] == "merchant":
        return None if refund["id"] in decided_ids(order) else "nobody asked for it"
    automatic = [one for one in order["refunds"] if one["cause"] in AUTOMATIC and one["charge_id"] == charge["id"]]
    derived = {derive_id("rf", charge["id"], "automatic", str(number)) for number in range(len(automatic))}
    return None if refund["id"] in derived else "its id is not the next that follows from its charge"


def may_have_asked(evidence: Evidence, order_id: str, kind: str) -> Iterator[Operation]:
    """The operations of this kind on an order that may have been done."""
    for operation in evidence.operations_on.get(order_id, []):
        if operation.kind == kind and operation.may_have_happened:
            yield operation


def _asked_with(evidence: Evidence, record_id: str) -> bool:
    return any(
        f"{operation.merchant}:{operation.key}" == record_id and operation.may_have_happened
        for operation in evidence.of_kind("refund")
    )


def _made_by_hand(evidence: Evidence, order_id: str) -> set[str]:
    """What the order must know those by that somebody has made at the provider."""
    references = {one.command["reference"] for one in may_have_asked(evidence, order_id, "by hand")}
    made = evidence.refunds_of.get(order_id, [])
    return {by_hand_id(refund["_id"]) for refund in made if refund["reference"] in references}


def decided_ids(order: Document) -> set[str]:
    """Of the refunds that a person has decided on: asking twice is asking once."""
    return {
        decided_id(review["code"], review["event_id"])
        for review in order["reviews"]
        if review.get("decision") == "refund"
    }


def decided_id(code: str, event_id: str) -> str:
    """Of the refund that a decision about a review means."""
    return derive_id("rf", event_id, "review", code)
