"""The faults of one charge or refund. A payment method, a `scenario` in the request and the rates are three ways to ask for
them. All become one Scenario, which is stored with its charge or refund. Pure.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from payment_gateway.faults import rates
from payment_gateway.faults.payment_method import OUTCOMES, REFUND_FAILURE, Outcome, ScenarioError, chain_of


class Scenario(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True
):
    """The faults, as each description says; none by default. It is stored as it was sent."""

    settle_delay_seconds: Annotated[
        rates.SettleSeconds | None,
        Meta(description="For how long it stays pending. Null: as paymentMethod says, or else as long as usual."),
    ] = None
    replies: Annotated[
        tuple[rates.ReplyFault, ...],
        Meta(
            max_length=rates.STEPS_MAX,
            description="How the reply to each attempt with the same Idempotency-Key goes wrong. Those after are true. "
            "Nothing is done by too_many_requests (429), server_error (500) and unavailable (503).",
        ),
    ] = ()
    replies_forever: Annotated[bool, Meta(description="The last of `replies` is for all attempts after it.")] = False
    reply_seconds: Annotated[rates.ReplySeconds, Meta(description="How long a slow reply, or a timeout, takes.")] = 5
    retry_after_seconds: Annotated[rates.RetryAfterSeconds, Meta(description="The Retry-After of 429 and 503.")] = 1
    retry_after_as_date: Annotated[
        bool, Meta(description="Retry-After is a date of real time, as HTTP also allows, and not a number of seconds.")
    ] = False
    wrong_amount: Annotated[
        bool, Meta(description="First comes an extra event, with an id of its own and a wrong amount.")
    ] = False
    webhooks: Annotated[
        tuple[rates.WebhookFault, ...],
        Meta(
            max_length=rates.STEPS_MAX,
            description="How its event is delivered, and those of its disputes: delayed, dropped (until it is resent), "
            "early (before the reply), out_of_order (after the endpoint's next event) or duplicated; and then what is "
            "forged, an attempt each, before the true ones.",
        ),
    ] = ()
    webhook_delay_seconds: Annotated[
        rates.WebhookDelaySeconds,
        Meta(description="How long an event is delayed, and held at most to be out of order."),
    ] = 60
    copies: Annotated[rates.Copies, Meta(description="How often a duplicated event is delivered.")] = 3
    failure_code: Annotated[
        Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")] | None,
        Meta(description="Why a refund fails. Not for charges: there, paymentMethod says it."),
    ] = None
    disputed: Annotated[
        bool, Meta(description="The charge succeeds, and is disputed CHARGE_DELAY_SECONDS later. Not for refunds.")
    ] = False

    @property
    def timing(self) -> rates.Timing | None:
        return next((fault for fault in rates.TIMINGS if fault in self.webhooks), None)

    @property
    def forgeries(self) -> tuple[rates.Forgery, ...]:
        return tuple(fault for fault in self.webhooks if fault in rates.FORGERIES)

    @property
    def deliveries(self) -> int:
        """How many there are of its event, to each endpoint."""
        return self.copies if "duplicated" in self.webhooks else 1


def charge_scenario(payment_method: str, asked: Mapping[str, Any], faults: rates.Faults, key: str) -> Scenario:
    """The faults of a charge. Raises ScenarioError."""
    told = _told(asked, faults)
    steps, outcome = chain_of(payment_method)
    if told.failure_code is not None:
        raise ScenarioError("/scenario/failureCode", "paymentMethod says how a charge fails")
    if steps and told.replies:
        raise ScenarioError("/scenario/replies", "paymentMethod already says how replies go wrong")
    ends = outcome or Outcome()
    if steps:
        told = msgspec.structs.replace(told, replies=tuple(steps), replies_forever=outcome is None)
    delay = ends.settle_delay_seconds if told.settle_delay_seconds is None else told.settle_delay_seconds
    disputed = told.disputed or ends.disputed
    told = msgspec.structs.replace(told, failure_code=ends.failure_code, settle_delay_seconds=delay, disputed=disputed)
    return _with_drawn(told, faults, key, rates.DECLINED, rates.DISPUTED)


def refund_scenario(payment_method: str, asked: Mapping[str, Any], faults: rates.Faults, key: str) -> Scenario:
    """The faults of a refund of a charge that was paid by `payment_method`. Raises ScenarioError."""
    told = _told(asked, faults)
    if told.disputed:
        raise ScenarioError("/scenario/disputed", "only a charge is disputed")
    outcome = chain_of(payment_method).outcome or Outcome()
    if told.failure_code is None and outcome.refund_failure_code:
        told = msgspec.structs.replace(told, failure_code=outcome.refund_failure_code)
    return _with_drawn(told, faults, key, rates.REFUND_FAILED)


def reply_fault(scenario: Scenario, attempt: int, faults: rates.Faults, key: str) -> rates.ReplyFault | None:
    """The fault of the reply to an attempt; the first attempt is 1."""
    if attempt <= len(scenario.replies):
        return scenario.replies[attempt - 1]
    if scenario.replies_forever:
        return scenario.replies[-1]
    return rates.drawn_reply(faults, key, attempt)


def settle_delay(scenario: Scenario, *, usual: timedelta) -> timedelta:
    """The time for which a charge or refund stays pending."""
    if scenario.settle_delay_seconds is not None:
        return timedelta(seconds=scenario.settle_delay_seconds)
    return timedelta() if scenario.timing == "early" else usual


def _told(asked: Mapping[str, Any], faults: rates.Faults) -> Scenario:
    """The scenario of a request. Where it is silent, the numbers of the rates count."""
    if asked or not faults.rates:
        return msgspec.convert(asked, Scenario)
    return Scenario(
        reply_seconds=faults.reply_seconds,
        retry_after_seconds=faults.retry_after_seconds,
        retry_after_as_date=faults.retry_after_as_date,
        webhook_delay_seconds=faults.webhook_delay_seconds,
        copies=faults.copies,
    )


def _contradiction(scenario: Scenario) -> tuple[str, str] | None:
    """A member that contradicts another, and the contradiction."""
    webhooks, timing = scenario.webhooks, scenario.timing
    timings = [fault for fault in webhooks if fault in rates.TIMINGS]
    none_stays = scenario.replies_forever and not scenario.replies
    rules = (
        (none_stays, "repliesForever", "`replies` is empty, so there is none that could stay"),
        (len(timings) > 1, "webhooks", f"more than one of {', '.join(rates.TIMINGS)}"),
        (webhooks.count("duplicated") > 1, "webhooks", "duplicated more than once: say `copies`"),
        (timing == "dropped" and len(webhooks) > 1, "webhooks", "a dropped event can be delivered in no other way"),
        (timing == "early" and scenario.settle_delay_seconds, "webhooks", "early, and yet it settles after a delay"),
        (scenario.wrong_amount and timing not in {None, "early"}, "wrongAmount", f"the true event would be {timing}"),
        (scenario.disputed and scenario.failure_code, "disputed", "only a charge that succeeds is disputed"),
    )
    return next(((name, detail) for broken, name, detail in rules if broken), None)


def _with_drawn(scenario: Scenario, faults: rates.Faults, key: str, *outcomes: str) -> Scenario:
    """Adds the drawn faults that do not contradict the scenario. Raises ScenarioError if the scenario contradicts itself
    without them.
    """
    if contradiction := _contradiction(scenario):
        name, detail = contradiction
        raise ScenarioError(f"/scenario/{name}", detail)
    if not faults.rates:
        return scenario
    webhooks = [f"{rates.WEBHOOK}{fault}" for fault in rates.WEBHOOK_FAULTS]
    for name in rates.drawn(faults, key, (*outcomes, rates.SETTLE_SLOW, rates.WRONG_AMOUNT, *webhooks)):
        more = msgspec.structs.replace(scenario, **_added(scenario, faults, name))
        if _contradiction(more) is None:
            scenario = more
    return scenario


def _added(scenario: Scenario, faults: rates.Faults, name: str) -> dict[str, Any]:
    match name:
        case "declined":
            return {"failure_code": scenario.failure_code or OUTCOMES["pm_card_declined"].failure_code}
        case "disputed":
            return {"disputed": True}
        case "refund_failed":
            return {"failure_code": scenario.failure_code or REFUND_FAILURE}
        case "settle_slow":
            asked = scenario.settle_delay_seconds
            return {"settle_delay_seconds": faults.settle_delay_seconds if asked is None else asked}
        case "wrong_amount":
            return {"wrong_amount": True}
    fault = name.removeprefix(rates.WEBHOOK)
    room = fault not in scenario.webhooks and len(scenario.webhooks) < rates.STEPS_MAX
    return {"webhooks": (*scenario.webhooks, fault)} if room else {}
