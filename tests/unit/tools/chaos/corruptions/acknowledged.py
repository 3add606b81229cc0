"""Promises broken: invariants 1 to 3."""

from tests.unit.tools.chaos.corruptions.means import (
    attempt_like,
    copy_of,
    key_of,
    message_of,
    operation_on,
    order_of,
    violates,
)
from tests.unit.tools.chaos.examples import DECLINED, PAID_AGAIN, PARTLY_REFUNDED, REFUSED
from tests.unit.tools.chaos.run_by_hand import AMOUNT
from tools.chaos.evidence import Evidence


@violates(1)
def an_acknowledged_order_is_of_another_amount(run: Evidence) -> None:
    operation_on(run, "place", PARTLY_REFUNDED).command = {"amount_minor": AMOUNT + 1}
    operation_on(run, "place", PARTLY_REFUNDED, 1).command = {"amount_minor": AMOUNT + 1}


@violates(1, 3)
def an_acknowledged_order_that_nobody_has_charged_is_gone(run: Evidence) -> None:
    run.orders.remove(order_of(run, REFUSED))


@violates(1)
def a_promised_refund_is_gone_and_its_key_too(run: Evidence) -> None:
    operation = operation_on(run, "refund", PARTLY_REFUNDED)
    operation.attempts[0].body = operation.attempts[0].body.replace(b"rf_a", b"rf_b")
    key = key_of(run, PARTLY_REFUNDED, 1)
    key["body"] = key["body"].replace("rf_a", "rf_b")


@violates(1, 3)
def an_order_was_refused_and_is_there(run: Evidence) -> None:
    for operation in (one for one in run.operations if one.kind == "place" and one.order_id == REFUSED):
        operation.attempts[0].status, operation.outcome = 409, "fail"


@violates(2)
def an_order_has_no_message(run: Evidence) -> None:
    order_of(run, DECLINED)["calls"].clear()


@violates(2)
def an_order_is_charged_by_two_calls(run: Evidence) -> None:
    order_of(run, DECLINED)["calls"].append({**message_of(run, DECLINED), "id": "obx_2"})


@violates(2)
def a_refund_is_asked_for_by_two_calls(run: Evidence) -> None:
    calls = order_of(run, PARTLY_REFUNDED)["calls"]
    calls.append({**calls[-1], "id": "obx_2"})


@violates(2)
def an_order_has_two_keys(run: Evidence) -> None:
    operation = operation_on(run, "place", DECLINED)
    run.operations.append(copy_of(operation, key="another", attempts=[]))
    run.operations[-1].attempts = [attempt_like(operation, status=None)]
    order_of(run, DECLINED)["keys"].append({**key_of(run, DECLINED), "value": "another"})


@violates(2)
def a_key_made_nothing(run: Evidence) -> None:
    key = {**key_of(run, DECLINED), "value": "another", "endpoint": f"POST /api/orders/{DECLINED}/refunds"}
    order_of(run, DECLINED)["keys"].append({**key, "of": "rf_gone"})


@violates(2)
def a_key_is_in_two_orders(run: Evidence) -> None:
    """For each of them it made something."""
    key = {**key_of(run, DECLINED), "of": "pay_1", "endpoint": f"POST /api/orders/{REFUSED}/payments"}
    order_of(run, REFUSED)["keys"].append(key)
    calls = order_of(run, REFUSED)["calls"]
    calls.append({**calls[0], "id": "obx_2", "reference": f"{REFUSED}.2"})
    paid = {"kind": "pay", "order_id": REFUSED, "key": key["value"], "outcome": "fail"}
    placed = operation_on(run, "place", REFUSED)
    asked = {"payment_method": calls[0]["payment_method"]}
    run.operations.append(copy_of(placed, **paid, command=asked, attempts=[attempt_like(placed, status=None)]))


@violates(2)
def a_payment_has_no_call(run: Evidence) -> None:
    order_of(run, PAID_AGAIN)["calls"].pop()


@violates(2)
def a_payment_has_the_reference_of_another(run: Evidence) -> None:
    """The order would take what the first has come to for the end of the second."""
    order_of(run, PAID_AGAIN)["calls"][1]["reference"] = PAID_AGAIN


@violates(2, 5)
def two_calls_have_one_id(run: Evidence) -> None:
    first, second = order_of(run, PAID_AGAIN)["calls"]
    second["id"] = first["id"]


@violates(2, 7)
def a_refund_by_hand_is_asked_for_by_us_too(run: Evidence) -> None:
    [refund] = order_of(run, PAID_AGAIN)["refunds"]
    calls = order_of(run, PAID_AGAIN)["calls"]
    calls.append({**order_of(run, PARTLY_REFUNDED)["calls"][1], "id": "obx_2", "refund_id": refund["id"]})


@violates(3)
def a_payment_is_refused_what_its_key_has_got(run: Evidence) -> None:
    operation = operation_on(run, "pay", PAID_AGAIN)
    refused = attempt_like(operation, status=409, began=9.0, body=b'{"type":"/problems/not-payable"}')
    run.operations.append(copy_of(operation, attempts=[refused], outcome="fail"))


@violates(3)
def an_acknowledged_payment_is_forgotten(run: Evidence) -> None:
    """Its key is, and what it made; somebody has paid under another."""
    key_of(run, PAID_AGAIN, 1)["value"] = "another"
    paid = operation_on(run, "pay", PAID_AGAIN)
    run.operations.append(copy_of(paid, key="another", attempts=[attempt_like(paid, status=None)], outcome="unknown"))


@violates(2, 3)
def an_order_has_no_key(run: Evidence) -> None:
    order_of(run, DECLINED)["keys"].clear()


@violates(3)
def a_replay_differs_by_a_byte(run: Evidence) -> None:
    operation_on(run, "place", DECLINED, 1).attempts[0].body += b" "


@violates(3)
def a_replay_has_another_location(run: Evidence) -> None:
    operation_on(run, "place", DECLINED, 1).attempts[0].location = "/api/orders/another"


@violates(3)
def a_replay_does_not_say_that_it_is_one(run: Evidence) -> None:
    operation_on(run, "place", DECLINED, 1).attempts[0].replayed = False


@violates(3)
def a_key_remembers_another_answer(run: Evidence) -> None:
    key_of(run, DECLINED)["body"] += " "


@violates(1, 3)
def one_key_served_two_requests(run: Evidence) -> None:
    operation = operation_on(run, "place", DECLINED, 1)
    operation.command = {**operation.command, "amount_minor": AMOUNT + 1}


@violates(3)
def a_retry_is_told_that_the_number_of_its_own_order_is_taken(run: Evidence) -> None:
    operation = operation_on(run, "place", DECLINED, 1)
    refused = attempt_like(operation, status=409, body=b'{"type":"/problems/order-number-taken"}')
    run.operations.append(copy_of(operation, order_id=None, attempts=[refused], outcome="fail"))


@violates(3)
def a_retry_of_a_refund_is_told_that_it_exceeds_what_was_paid(run: Evidence) -> None:
    operation = operation_on(run, "refund", PARTLY_REFUNDED)
    refused = attempt_like(operation, status=409, began=9.0, body=b'{"type":"/problems/exceeds-paid"}')
    run.operations.append(copy_of(operation, attempts=[refused], outcome="fail"))


@violates(1)
def an_acknowledged_order_is_not_found_by_who_placed_it(run: Evidence) -> None:
    operation = operation_on(run, "place", DECLINED)
    missed = attempt_like(operation, status=404, began=9.0, body=b"")
    run.operations.append(copy_of(operation, kind="read", key=None, attempts=[missed], outcome="fail"))
