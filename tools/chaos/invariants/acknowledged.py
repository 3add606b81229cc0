"""What a client was told is so, and stays so. Invariants 1 to 3."""

import math
from collections import Counter, defaultdict
from http import HTTPStatus

from shared.mongo import Document
from tools.chaos.evidence import PLACING, Evidence
from tools.chaos.history import Operation
from tools.chaos.invariants.finding import Finding, Findings
from tools.chaos.invariants.rules import decoded

NOT_FOUND, REQUEST_TIMEOUT = HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT  # the latter: it has not been read


def every_acknowledged_order_exists(evidence: Evidence) -> Findings:
    """1. And is what was asked for, and is found by whoever placed it. What was refused, and can not have happened, left
    nothing behind.
    """
    happened: set[tuple[str, str | None]] = set()
    for operation in evidence.of_kind("place"):
        if operation.may_have_happened:
            happened.add((operation.merchant, operation.key))
        if operation.answer is None:
            continue
        order = evidence.order_by_id.get(operation.order_id or "")
        if order is None:
            yield Finding(f"operation {operation.number} placed an order that is not there", operation.order_id)
        elif _placed(order) != {**operation.command, "merchant": operation.merchant}:
            yield Finding(f"the order is not what operation {operation.number} asked for", order["_id"])
    for operation in evidence.of_kind("refund"):
        yield from _refund_exists(evidence, operation)
    for key in evidence.keys:
        if key["endpoint"] == PLACING and (key["merchant"], key["value"]) not in happened:
            yield Finding(f"nobody can have placed an order with the key {key['value']}", key["order_id"])
    yield from _found_by_their_own(evidence)


def orders_messages_and_keys_join(evidence: Evidence) -> Findings:
    """2. An order has one charge message an attempt, a message for each refund that we asked for, and its keys; no key is in
    two documents.
    """
    for order in evidence.orders:
        order_id, keys, calls = order["_id"], order["keys"], order["calls"]
        placed = [key["value"] for key in keys if (key["endpoint"], key["of"]) == (PLACING, order_id)]
        if len(placed) != 1:
            yield Finding(f"the keys that it was placed with are {placed}", order_id)
        paid_again = [key["of"] for key in keys if key["endpoint"] == f"{PLACING}/{order_id}/payments"]
        attempts = [order_id, *(f"{order_id}.{number}" for number in range(2, 2 + len(paid_again)))]
        charging = [call["reference"] for call in calls if call["kind"] == "charge"]
        first = "obx_" + order_id.removeprefix("ord_")
        if charging != attempts or calls[0]["id"] != first or len({call["id"] for call in calls}) < len(calls):
            yield Finding(f"its charge messages are of {charging}, its attempts {attempts}", order_id)
        refunding = sorted(call["refund_id"] for call in calls if call["kind"] == "refund")
        refunds = sorted(refund["id"] for refund in order["refunds"] if refund["cause"] != "provider")
        if refunding != refunds:
            yield Finding(f"its refunds are {refunds}, its refund messages are of {refunding}", order_id)
        for key in keys:
            if key["of"] not in {order_id, *refunds, *paid_again}:
                yield Finding(f"the key {key['value']} is of {key['of']}, which is not in it", order_id)
    for key_id, times in Counter(key["_id"] for key in evidence.keys).items():
        if times > 1:
            held_by = [key["order_id"] for key in evidence.keys if key["_id"] == key_id]
            yield Finding(f"the key {key_id} is there {times} times: {', '.join(held_by)}", held_by[0])


def a_key_has_one_answer(evidence: Evidence) -> Findings:
    """3. One order for one merchant and key, and every replay equal to the first answer, byte for byte."""
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for operation in evidence.of_kind("place", "refund", "pay"):
        by_key[f"{operation.merchant}:{operation.key}"].append(operation)
    records = {record["_id"]: record for record in evidence.keys}
    for key, operations in by_key.items():
        yield from _one_answer(key, operations, records.get(key))
        yield from _refused_what_it_has(key, operations, _placed_with(evidence, records.get(key)))


def _one_answer(key: str, operations: list[Operation], record: Document | None) -> Findings:
    answered = [(operation, attempt) for operation in operations for attempt in operation.attempts if attempt.succeeded]
    if not answered:
        return
    order_id = answered[0][0].order_id
    answers = {(attempt.status, attempt.body, attempt.location) for _, attempt in answered}
    if len(answers) > 1:
        yield Finding(f"{key} got {len(answers)} different answers", order_id)
    if sum(not attempt.replayed for _, attempt in answered) > 1:
        yield Finding(f"{key} was answered more than once as if for the first time", order_id)
    if any(operation.command != answered[0][0].command for operation, _ in answered):
        yield Finding(f"{key} was answered for different requests", order_id)
    if record is None:
        yield Finding(f"{key} was answered, and is not remembered", order_id)
    elif (record["status"], record["body"].encode(), record["location"]) not in answers:
        yield Finding(f"{key} is remembered with another answer", order_id)


def _refused_what_it_has(key: str, operations: list[Operation], placed: dict[str, object]) -> Findings:
    """Whoever asks with a key for what that key has got is given the first answer, and is never refused. All wishes of one
    customer have one order number: a retry that is taken for somebody else's wish is told that the number is taken. A
    refund may be refused for as long as there is nothing to give back, and a payment until the order has Failed, so only
    what began after its first success counts.
    """
    first = next((one for one in operations if one.answer), None)
    answered_at = min((one.answer.ended for one in operations if one.answer), default=math.inf)
    for operation in operations:
        if operation.kind == "place":
            since, its_own = 0.0, {**operation.command, "merchant": operation.merchant} == placed
        else:
            since, its_own = answered_at, first is not None and _same(operation, first)
        for attempt in operation.attempts:
            if its_own and attempt.refused and attempt.status != REQUEST_TIMEOUT and attempt.began > since:
                detail = f"{key} was refused with {attempt.status} what it has: operation {operation.number}"
                yield Finding(detail, operation.order_id or (first.order_id if first else None))


def _same(one: Operation, other: Operation) -> bool:
    return (one.kind, one.order_id, one.command) == (other.kind, other.order_id, other.command)


def _placed_with(evidence: Evidence, record: Document | None) -> dict[str, object]:
    order = evidence.order_by_id.get(record["of"]) if record and record["endpoint"] == PLACING else None
    return _placed(order) if order else {}


def _found_by_their_own(evidence: Evidence) -> Findings:
    """A failover takes nothing back that was read or acknowledged."""
    since: dict[tuple[str, str | None], float] = {}
    for operation in evidence.of_kind("place"):
        if operation.answer:
            mine = (operation.merchant, operation.order_id)
            since[mine] = min(since.get(mine, math.inf), operation.answer.ended)
    for operation in evidence.operations:
        acknowledged_at = since.get((operation.merchant, operation.order_id), math.inf)
        if operation.kind == "resolve":  # not found may be the review
            continue
        for attempt in operation.attempts:
            if attempt.status == NOT_FOUND and attempt.began > acknowledged_at:
                yield Finding(
                    f"operation {operation.number} did not find it, and it was acknowledged", operation.order_id
                )


def _placed(order: Document) -> dict[str, object]:
    names = ("merchant", "order_number", "amount_minor", "currency", "payment_method")
    return {name: order[name] for name in names}


def _refund_exists(evidence: Evidence, operation: Operation) -> Findings:
    if operation.answer is None:
        return
    refund_id = decoded(operation.answer.body).get("id")
    order = evidence.order_by_id.get(operation.order_id or "", {"refunds": []})
    if refund_id not in {refund["id"] for refund in order["refunds"]}:
        yield Finding(
            f"operation {operation.number} was promised the refund {refund_id}, which is not there", operation.order_id
        )
