"""Indiscretion, slowness, gossip: invariants 13 to 15."""

import json

from tests.unit.tools.chaos.corruptions.means import attempt_like, copy_of, operation_on, order_of, violates
from tests.unit.tools.chaos.examples import DECLINED, DISPUTED, REFUSED
from tests.unit.tools.chaos.run_by_hand import API_KEY, SECRET, START, charge_id
from tools.chaos.afterwards import AFTERWARDS
from tools.chaos.evidence import Evidence


@violates(13)
def a_spy_was_let_in(run: Evidence) -> None:
    spy = operation_on(run, "read", REFUSED)
    spy.attempts[0].status, spy.outcome = 200, "ok"


@violates(13)
def a_list_shows_anothers_order(run: Evidence) -> None:
    body = f'{{"data":[{{"id":"{REFUSED}"}}]}}'.encode()
    read = operation_on(run, "read", REFUSED)
    run.operations.append(
        copy_of(read, kind="list", order_id=None, attempts=[attempt_like(read, status=200, body=body)])
    )


@violates(13)
def a_refusal_names_anothers_charge(run: Evidence) -> None:
    body = f'{{"detail":"{charge_id(DECLINED)} has failed"}}'.encode()
    operation_on(run, "read", REFUSED).attempts[0].body = body


@violates(13)
def a_refusal_names_anothers_dispute(run: Evidence) -> None:
    [dispute] = order_of(run, DISPUTED)["disputes"]
    operation_on(run, "read", REFUSED).attempts[0].body = f'{{"detail":"{dispute["id"]} is lost"}}'.encode()


@violates(14)
def a_try_took_too_long(run: Evidence) -> None:
    operation_on(run, "place", DECLINED).attempts[0].seconds = 23.0


@violates(14)
def an_operation_never_ended(run: Evidence) -> None:
    operation_on(run, "place", DECLINED).ended = None


@violates(14)
def a_client_did_not_give_up(run: Evidence) -> None:
    operation_on(run, "place", DECLINED).ended = 1000.0


@violates(14)
def an_order_was_not_placed_when_all_was_healed(run: Evidence) -> None:
    placed = operation_on(run, "place", DECLINED)
    placed.client, placed.ended = AFTERWARDS, placed.began + 6


@violates(14)
def a_service_answered_long_after_its_client_had_gone(run: Evidence) -> None:
    _log_request(run, seconds=16)


@violates(14)
def a_service_was_slow_before_it_was_stopped(run: Evidence) -> None:
    _log_request(run, seconds=16)
    run.pauses = {"order_api_1": [(START.timestamp() + 1, START.timestamp() + 11)]}


@violates()
def a_service_was_slow_because_it_was_stopped(run: Evidence) -> None:
    _log_request(run, seconds=16)
    run.pauses = {"order_api_1": [(START.timestamp() - 11, START.timestamp() - 1)]}


@violates(14)
def memory_leaked_at_an_even_pace(run: Evidence) -> None:
    run.memory = {"order_api_1": [90 + second for second in range(300)]}


@violates(14)
def memory_leaked_after_a_restart(run: Evidence) -> None:
    run.memory = {"order_api_1": [200] * 200 + [90 + 2 * second for second in range(100)]}


@violates()
def memory_was_the_same_after_each_start(run: Evidence) -> None:
    run.memory = {"order_api_1": [*range(20, 100), *[100] * 60] * 3}


@violates(14)
def memory_was_large_from_the_beginning(run: Evidence) -> None:
    run.memory = {"order_api_1": [400 * 1024 * 1024] * 3}


@violates(15)
def a_log_shows_a_secret(run: Evidence) -> None:
    _log(run, f"signing with {SECRET}")


@violates(15)
def a_log_shows_a_secret_without_its_prefix(run: Evidence) -> None:
    _log(run, f"signing with {SECRET.removeprefix('whsec_')}")


@violates(15)
def a_log_shows_an_api_key(run: Evidence) -> None:
    _log(run, f"called by {API_KEY}")


@violates(15)
def a_log_shows_a_whole_signature(run: Evidence) -> None:
    _log(run, f"X-Signature: t=1,v1={'0f' * 32}")


def _log(run: Evidence, line: str) -> None:
    with run.logs[0].open("a") as log:
        log.write(line + "\n")


def _log_request(run: Evidence, *, seconds: float) -> None:
    about = {"event": "request", "method": "GET", "path": "/api/orders", "status": 200, "timestamp": START.isoformat()}
    _log(run, json.dumps({**about, "duration_ms": seconds * 1000}))
