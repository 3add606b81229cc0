"""Explains a call to a person: what happened, whether money moved, and what a redrive would do."""

from collections.abc import Mapping
from typing import assert_never

from order_api.calls import DISPUTED, NOT_OWED, Call, Kind

_REFUSED: Mapping[Kind, str] = {
    "refund": "The provider refused the refund for good: no money was given back, and what it had reserved is free again.",
    "charge": "The provider refused the charge for good: nothing was charged. The order can be paid again.",
}
_WITHDRAWN: Mapping[str, str] = {
    DISPUTED: "It was never sent: a dispute has taken the money that it was to give back.",
    NOT_OWED: "It was never sent: what it was to give back has gone back already.",
}
_GIVEN_UP: Mapping[Kind, str] = {
    "refund": "It was sent without a usable answer until it was given up, so the money may have been given back; its amount "
    "stays reserved until that is known. If the provider has the refund, its event will say so and nothing is left "
    "to do. A redrive asks the provider first, adopts what is there, and otherwise sends the same request again.",
    "charge": "It was sent without a usable answer until it was given up, so the customer may have been charged. If so, the "
    "charge's event will say so and nothing is left to do. A redrive asks the provider first, adopts a charge that is "
    "there, and otherwise sends the same request again, unless the order was cancelled or paid meanwhile.",
}


def explain(call: Call) -> str:
    match call.state:
        case "open" if call.claim is None:
            return _explain_ready(call)
        case "open":
            return (
                "It is being sent. If the process that sends it has died, another one takes over when its lease ends."
            )
        case "done" if call.refused_code is not None:
            return _WITHDRAWN.get(call.refused_code, _REFUSED[call.kind])
        case "done":
            return f"The provider has the {call.kind}, or an event has said how it ended. Nothing is sent any more."
        case "void":
            return "It is not sent any more: the order was cancelled, or another payment of it succeeded."
        case "dead":
            return (_GIVEN_UP if call.refused_code is None else _REFUSED)[call.kind]
        case state:
            assert_never(state)


def _explain_ready(call: Call) -> str:
    if call.attempts == 0 and call.redrives == 0:
        return "It was not sent yet, so no money has moved."
    ask = "The provider is asked first what it has. " if call.redrives else ""
    return f"It waits to be sent again under the same key. {ask}Its outcome is unknown, so money may have moved."
