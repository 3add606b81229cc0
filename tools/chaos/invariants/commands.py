"""What was asked for, by whom, and what the provider would not do. Invariants 7 and 10 rest on it."""

from collections.abc import Iterator

from shared.ids import derive_id
from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.history import Operation
from tools.chaos.invariants.rules import AUTOMATIC_REFUNDS_MAX, Refund, base_id, decoded, minor


def asked_refunds(evidence: Evidence, order_id: str) -> Iterator[tuple[str, Refund]]:
    """As their messages ask the provider for them."""
    for message in evidence.messages_of.get(order_id, []):
        if message["kind"] == "refund":
            body = decoded(message["body"])
            charge_id = message["path"].split("/")[3]
            yield body.get("reference", ""), Refund("requested", body.get("amount", 0), None, charge_id)


def refused_refunds(evidence: Evidence, order_id: str) -> Iterator[tuple[str, Refund]]:
    """Those that the provider will never make: they failed, though no event says so."""
    asked = dict(asked_refunds(evidence, order_id))
    for letter in evidence.dead_letters_of.get(order_id, []):
        code = letter["refused_code"]
        if code is not None and letter["refund_id"] in asked:
            yield letter["refund_id"], asked[letter["refund_id"]]._replace(state="failed", failure_code=code)


def why_not_asked(evidence: Evidence, order: Document, refund: Document) -> str | None:
    """What is wrong with where a refund comes from; None if a client, the rules or a person's decision asked for it."""
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
    if refund["id"] in decided_ids(order, refund["charge_id"]):
        return None
    derived = [derive_id("rf", charge["id"], "automatic", str(number)) for number in range(AUTOMATIC_REFUNDS_MAX)]
    return None if refund["cause"] != "merchant" and refund["id"] in derived else "nobody asked for it"


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


def decided_ids(order: Document, charge_id: str, code: str | None = None) -> set[str]:
    """Of the refunds of a charge that a person has decided on, by the reviews of one code or of all."""
    return {
        derive_id("rf", charge_id, "review", *names)
        for review in order["reviews"]
        if review.get("decision") == "refund" and code in {None, review["code"]}
        for names in _named_by(order, review)
    }


def _named_by(order: Document, review: Document) -> list[tuple[str, ...]]:
    """What a decision's refund is named by: the refund that failed, where the review or the dead letter is about one."""
    about = base_id(review["event_id"])
    failed = [one["id"] for one in order["refunds"] if about in {one["id"], "obx_" + one["id"].removeprefix("rf_")}]
    return [(one,) for one in failed] or [(review["code"], review["event_id"])]
