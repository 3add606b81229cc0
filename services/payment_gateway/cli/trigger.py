"""`payment-gateway trigger`: makes an event, as a right client would, and shows how it was delivered."""

import json
from typing import Any

import rich_click as click
from rich.text import Text

from payment_gateway.cli.client import Gateway, Json
from payment_gateway.cli.one_event import Asked, OneEvent
from payment_gateway.cli.options import DURATION, ID, NAME, PAIR, WORDS, Kind, command
from payment_gateway.cli.root import payment_gateway
from payment_gateway.cli.terminal import LateError, Terminal, word

EVENT_TYPES = (
    *("payment.succeeded", "payment.failed", "refund.succeeded", "refund.failed"),
    *("dispute.created", "dispute.closed"),
)


def _scenario(text: str) -> Json:
    """Parses a scenario: JSON as the API takes it, or names of faults such as `lost,duplicated`."""
    if text.lstrip().startswith("{"):
        try:
            scenario: Json = json.loads(text)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        return scenario

    from payment_gateway.faults.rates import REPLY_FAULTS, WEBHOOK_FAULTS, WRONG_AMOUNT  # noqa: PLC0415 - 0.1 s

    names = WORDS.convert(text, None, None)
    known = {*REPLY_FAULTS, *WEBHOOK_FAULTS, WRONG_AMOUNT}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{', '.join(unknown)}: not among {', '.join(sorted(known))}")
    scenario = {
        "replies": [name for name in names if name in REPLY_FAULTS],
        "webhooks": [name for name in names if name in WEBHOOK_FAULTS],
        "wrongAmount": WRONG_AMOUNT in names,
    }
    return {name: value for name, value in scenario.items() if value}


SCENARIO = Kind("json|fault,…", _scenario)


@command(payment_gateway, "trigger")
@click.argument("event_type", metavar="EVENT", type=click.Choice(EVENT_TYPES))
@click.option("--repeat", type=click.IntRange(1, 100_000), default=1, show_default=True, help="How many, in turn.")
@click.option("--scenario", type=SCENARIO, default="", help="How the gateway misbehaves: JSON, or names of faults.")
@click.option("--charge-scenario", type=SCENARIO, help="The same for the charge under a refund.")
@click.option("--amount", type=click.IntRange(1), help="Of the charge, in minor units. [default: 1000]")
@click.option("--currency", help="Of the charge. [default: USD]")
@click.option("--payment-method", help="Such as pm_card_visa; without it, one that makes the event.")
@click.option("--reference", type=NAME, help="Your id of what is paid; without it, a fresh one.")
@click.option("--metadata", type=PAIR, multiple=True, help="Metadata of the charge. May be repeated.")
@click.option("--charge", "charge_id", type=ID, help="Refund or dispute this charge, instead of a new one.")
@click.option("--refund-amount", type=click.IntRange(1), help="Refund so much; without it, all that is left.")
@click.option("--dispute-amount", type=click.IntRange(1), help="Dispute so much; without it, all that is left.")
@click.option("--outcome", type=click.Choice(["won", "lost"]), default="lost", show_default=True, help="Of a dispute.")
@click.option("--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait for what follows.")
def trigger(gateway: Gateway, terminal: Terminal, event_type: str, repeat: int, timeout: int, **own: Any) -> None:
    """Make a charge and, if EVENT is about a refund or a dispute, that too. Show the events and how they were
    delivered.

    EVENT is payment.succeeded, payment.failed, refund.succeeded, refund.failed, dispute.created or dispute.closed. It
    settles at once, unless --payment-method or --scenario says otherwise. If a reply goes wrong, the command asks
    again, with the same key.

    --charge takes an existing charge; dispute.closed then closes its open dispute.
    """
    asked = Asked(event_type, **own)
    if fault := asked.fault():
        raise click.UsageError(fault)
    others = 0
    for _ in range(repeat):
        made = OneEvent(gateway, terminal, asked, timeout).play()
        _show(terminal, made)
        others += all(one["event"]["type"] != event_type for one in made["events"])
    if others:
        raise LateError(f"{event_type} did not come of {others} out of {repeat}")


def _show(terminal: Terminal, made: Json) -> None:
    lines: list[Text] = []
    for one in made["events"]:
        event, data = one["event"], one["event"]["data"]
        about = f"{data['amount']} {data['currency']}  {event['id']}  {data['id']}"
        lines.append(Text.assemble(Text(f"{event['type']:<17}", "bold"), f"  {about}"))
        lines += [_delivery_line(delivery) for delivery in one["deliveries"]]
        if not one["deliveries"]:
            terminal.say("no endpoint takes it: payment-gateway listen --forward-to URL, or endpoints add URL")
    terminal.result(made, *lines)


def _delivery_line(delivery: Json) -> Text:
    told = [f"({delivery['fault']})"] if delivery["fault"] else []
    told += [_attempt(one) for one in delivery["attempts"]]
    told += [f"next at {delivery['nextAttemptAt']}"] if delivery["nextAttemptAt"] else []
    return Text.assemble("  ", word(delivery["state"]), "  ", "  ".join([f"to {delivery['endpointId']}", *told]))


def _attempt(attempt: Json) -> str:
    forgery = f"{attempt['forgery']}: " if attempt["forgery"] else ""
    return f"{forgery}{attempt['status'] or attempt['error']} in {attempt['durationMs']} ms"
