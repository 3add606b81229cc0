"""What has become of an outbox message, for a person: what happened, whether money moved, what a redrive would do."""

from typing import assert_never

from order_api.outbox import REFUSED, Message


def explain(message: Message) -> str:
    match message.state:
        case "ready":
            return _explain_ready(message)
        case "leased":
            return (
                "It is being sent. If the process that sends it has died, another one takes over when its lease ends."
            )
        case "done":
            return f"The provider has the {message.kind}, or an event has said how it ended. Nothing is sent any more."
        case "void":
            return "It is not sent any more: the order was cancelled, or a person has given it up."
        case "dead":
            refused = (message.last_error or "").startswith(REFUSED)
            return _explain_refused(message) if refused else _explain_given_up(message)
        case state:
            assert_never(state)


def _explain_ready(message: Message) -> str:
    if message.attempts == 0 and message.redrives == 0:
        return "It was not sent yet, so no money has moved."
    ask = "The provider is asked first what it has. " if message.redrives else ""
    return f"It waits to be sent again under the same key. {ask}Its outcome is unknown, so money may have moved."


def _explain_refused(message: Message) -> str:
    if message.kind == "refund":
        return (
            "The provider refused the refund for good: no money was given back, and what it had reserved is free again. "
            "It cannot be redriven; ask for a new refund."
        )
    return (
        "The provider refused the charge for good: nothing was charged. A redrive asks the provider for a charge of this "
        "order, adopts one that is there, and otherwise sends the same request again, unless the order was cancelled. "
        "It will be refused again unless the provider has changed its mind; a new order may be the way."
    )


def _explain_given_up(message: Message) -> str:
    if message.kind == "refund":
        return (
            "It was sent without a usable answer until it was given up, so the money may have been given back; its amount "
            "stays reserved until that is known. If the provider has the refund, its event will say so and nothing is left "
            "to do. A redrive asks the provider first, adopts what is there, and otherwise sends the same request again."
        )
    return (
        "It was sent without a usable answer until it was given up, so the customer may have been charged. If so, the "
        "charge's event will say so and nothing is left to do. A redrive asks the provider first, adopts a charge that is "
        "there, and otherwise sends the same request again, unless the order was cancelled."
    )
