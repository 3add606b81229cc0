"""Indiscretion, slowness, gossip: invariants 13 to 15."""

from tests.unit.tools.chaos.corruptions.means import attempt_like, copy_of, operation_on, violates
from tests.unit.tools.chaos.examples import API_KEY, DECLINED, REFUSED, SECRET, charge_id
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
def memory_doubled(run: Evidence) -> None:
    run.memory = {"order_api_1": [80, 90, 95, 150, 180, 200]}


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
