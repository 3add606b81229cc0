"""The state of the gateway, and the commands that change how it behaves: faults, clock, a fresh start."""

from time import monotonic, sleep
from typing import Any

import rich_click as click

from payment_gateway.cli.client import RESET_SECONDS, Gateway, Json, RefusedError
from payment_gateway.cli.options import DURATION, SERVICE_URL, command
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.terminal import REFUSED, LateError, Terminal, visible

ADVANCE_POLL_SECONDS = 0.1
UNDELIVERED_MAX = 1000  # counted page by page, and no further
BESIDE_RATES = frozenset(
    (
        *("seed", "settleDelaySeconds", "replySeconds", "retryAfterSeconds", "retryAfterAsDate"),
        *("webhookDelaySeconds", "copies"),
    )
)


@command(payment_gateway, "status")
def status(gateway: Gateway, terminal: Terminal) -> None:
    """Show whether the gateway is reachable and ready, with its clock and faults."""
    ready = _is_ready(gateway)
    found: Json = {"url": gateway.url, "ready": ready}
    if ready:
        endpoints = gateway.list("/v1/webhook-endpoints", 10_000)["data"]
        pending = gateway.list("/v1/deliveries", UNDELIVERED_MAX, state="pending")
        found |= {
            "clock": gateway.get_test("/v1/test/clock"),
            "faults": gateway.get_test("/v1/test/faults"),
            "endpoints": {state: sum(one["state"] == state for one in endpoints) for state in ("enabled", "disabled")},
            "undelivered": len(pending["data"]),
            "moreUndelivered": pending["nextCursor"] is not None,
        }
    terminal.result(found, *_status_lines(found))
    if not ready:
        raise SystemExit(REFUSED)


def _is_ready(gateway: Gateway) -> bool:
    try:
        gateway.get("/health/ready")
    except RefusedError as error:
        if error.status == 503:
            return False
        raise
    return True


def _status_lines(found: Json) -> list[str]:
    if not found["ready"]:
        return [f"gateway      {found['url']} not ready: its database does not answer"]
    clock, faults, endpoints = found["clock"], found["faults"], found["endpoints"]
    return [
        f"gateway      {found['url']} ready",
        f"clock        {_clock_line(clock) if clock else 'test endpoints are disabled'}",
        f"faults       {_faults_line(faults) if faults else 'test endpoints are disabled'}",
        f"endpoints    {endpoints['enabled']} enabled, {endpoints['disabled']} disabled",
        f"undelivered  {found['undelivered']}{' or more' if found['moreUndelivered'] else ''}",
    ]


@command(payment_gateway, "reset")
def reset(gateway: Gateway, terminal: Terminal) -> None:
    """Forget everything: charges, events, endpoints, faults, the clock."""
    terminal.result(gateway.call("POST", "/v1/test/reset", {}, seconds=RESET_SECONDS), "reset")


@command(payment_gateway, "send")
@click.argument("receiver_url", type=SERVICE_URL)
@click.argument("body")
@click.option("--secret", help="Any string; without it, nothing is signed.")
@click.option("--timestamp", type=int, help="The time of signing that it claims, in Unix seconds; without it, now.")
@click.option("--id", help="Its webhook-id; without it, a fresh one.")
def send(gateway: Gateway, terminal: Terminal, receiver_url: str, body: str, **own: Any) -> None:
    """Have the gateway POST any BODY to RECEIVER_URL, once, and show the answer."""
    given = {name: value for name, value in own.items() if value is not None}
    asked: Json = {"url": receiver_url, "body": body, **given}
    answer = gateway.call("POST", "/v1/test/webhooks", asked)
    shown = f"{answer['status'] or answer['error']} in {answer['durationMs']} ms"
    terminal.result(answer, visible(shown), visible(answer["responseBody"].rstrip()))


@payment_gateway.group("faults")
def faults() -> None:
    """How often the gateway misbehaves, by itself."""


@command(faults, "show")
def show_faults(gateway: Gateway, terminal: Terminal) -> None:
    """Show the rates that are set."""
    terminal.result(gateway.get("/v1/test/faults"), _faults_line)


@command(faults, "set")
@click.argument("given", nargs=-1, required=True, metavar="NAME=NUMBER...")
def set_faults(gateway: Gateway, terminal: Terminal, given: tuple[str, ...]) -> None:
    """Set the rates, such as reply_lost=0.1 webhook_duplicated=0.5. Those not named become 0.

    Besides rates there are seed, settleDelaySeconds, replySeconds, retryAfterSeconds, webhookDelaySeconds and copies, and
    retryAfterAsDate=true. The same seed and the same Idempotency-Keys give the same faults.
    """
    values = dict(map(_value, given))
    rates = {name: values.pop(name) for name in list(values) if name not in BESIDE_RATES}
    terminal.result(gateway.call("PUT", "/v1/test/faults", {**values, "rates": rates}), _faults_line)


@command(faults, "clear")
def clear_faults(gateway: Gateway, terminal: Terminal) -> None:
    """Set all rates to 0."""
    terminal.result(gateway.call("DELETE", "/v1/test/faults"), _faults_line)


def _value(text: str) -> tuple[str, float | bool]:
    name, _, number = text.partition("=")
    if number in {"true", "false"}:
        return name, number == "true"
    try:
        return name, int(number) if number.isdecimal() else float(number)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not NAME=NUMBER, such as reply_lost=0.1") from None


def _faults_line(found: Json) -> str:
    rates = " ".join(f"{name}={rate:g}" for name, rate in found["rates"].items())
    return f"seed {found['seed']}: {rates}" if rates else "none"


@payment_gateway.group("clock")
def clock() -> None:
    """The gateway's time."""


@command(clock, "show")
def show_clock(gateway: Gateway, terminal: Terminal) -> None:
    """Show the gateway's time."""
    terminal.result(gateway.get("/v1/test/clock"), _clock_line)


@command(clock, "freeze")
def freeze_clock(gateway: Gateway, terminal: Terminal) -> None:
    """Stop time: nothing falls due until time is advanced or resumed."""
    terminal.result(gateway.call("POST", "/v1/test/clock", {"action": "freeze"}), _clock_line)


@command(clock, "resume")
def resume_clock(gateway: Gateway, terminal: Terminal) -> None:
    """Let time go on from where it stands."""
    terminal.result(gateway.call("POST", "/v1/test/clock", {"action": "resume"}), _clock_line)


@command(clock, "forget-keys")
def forget_keys(gateway: Gateway, terminal: Terminal) -> None:
    """Forget your idempotency keys now, as if a day had passed: the same request then makes a new thing."""
    terminal.result(gateway.call("POST", "/v1/test/clock", {"action": "forgetKeys"}), _clock_line)


@command(clock, "advance")
@click.argument("duration", type=DURATION)
@click.option("--timeout", type=DURATION, default="60s", show_default=True, help="How long to wait for it.")
def advance_clock(gateway: Gateway, terminal: Terminal, duration: int, timeout: int) -> None:
    """Pass time, such as 72h. Everything that falls due meanwhile happens in order, before the command returns."""
    found = gateway.call("POST", "/v1/test/clock", {"action": "advance", "seconds": duration})
    deadline = monotonic() + timeout
    while found["state"] == "advancing":
        if monotonic() > deadline:
            raise LateError(f"still advancing to {found['advancingTo']}; now {found['now']}")
        sleep(ADVANCE_POLL_SECONDS)
        found = gateway.get("/v1/test/clock")
    terminal.result(found, _clock_line)


def _clock_line(found: Json) -> str:
    return f"{found['state']} at {found['now']}"
