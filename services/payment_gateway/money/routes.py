"""HTTP under /v1/charges, /v1/refunds and /v1/disputes: parse, call a verb, respond."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from payment_gateway.faults.misbehave import Misbehaved
from payment_gateway.faults.payment_method import OUTCOMES, PAYMENT_METHOD_PATTERN, STEPS
from payment_gateway.faults.replies import reply
from payment_gateway.faults.scenario import Scenario
from payment_gateway.money.create import CreateMoney
from payment_gateway.money.show import ShowMoney
from payment_gateway.reads import MAY_BE_SHORT, Text
from shared import wire
from shared.edge.auth import merchant_of
from shared.edge.lists import page_response
from shared.edge.problems import RefusedError, invalid_field, there
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response
from shared.edge.types import Request
from shared.edge.values import Metadata, check_metadata, require_visible
from shared.idempotency import Answer
from shared.money import AMOUNT_MINOR_MAX, CurrencyError, exponent_of
from shared.pages import Page, Paging
from shared.tracing import note

Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="Your own: visible characters in Unicode's form NFC, no spaces or controls.",
    ),
]
PaymentMethod = Annotated[
    str,
    Meta(
        max_length=255,
        description=f"How it ends: {', '.join(OUTCOMES)}. Before that, separated by `|`, how the reply to each attempt with "
        f"its Idempotency-Key goes wrong: {', '.join(STEPS)}. If the last is one of these, it is for all later attempts.",
        extra_json_schema={"anyOf": [{"enum": [*OUTCOMES, *STEPS]}, {"pattern": PAYMENT_METHOD_PATTERN}]},
    ),
]


class CreateChargeRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """What to charge: `amount` in minor units of `currency`; `reference` is your own id of what is paid."""

    amount: Annotated[Amount, Meta(examples=[9999])]
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z", examples=["USD"])]
    reference: Annotated[Reference, Meta(examples=["ord_01a209e9aac873d8b2de2b8cece39e02"])]
    payment_method: PaymentMethod = "pm_card_visa"
    metadata: Metadata = {}
    scenario: Scenario = Scenario()


class CreateRefundRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """What to give back, in minor units; `reference` is your own id of the refund."""

    amount: Annotated[Amount, Meta(examples=[1000])]
    reference: Annotated[Reference, Meta(examples=["refund-7"])]
    scenario: Scenario = Scenario()


@post("/v1/charges", tags=["Charges"], takes_key=True, problems=["rate-limited", "unavailable"])
async def create_charge(request: Request, data: JSONBody[CreateChargeRequest]) -> Response[wire.Charge]:
    """Takes a charge. It is `pending` until it settles after a delay; then an event says how it ended."""
    create_money: CreateMoney = request.app.state.create_money
    merchant, key = merchant_of(request), idempotency_key(request)
    _check(data)
    asked = msgspec.convert(msgspec.to_builtins(data), wire.ChargeRequest)
    return await _answer(request, await create_money.charge(merchant, key, asked))


@get("/v1/charges/{charge_id:str}", tags=["Charges"])
async def get_charge(
    request: Request, charge_id: FromPath[str], show_money: NamedDependency[ShowMoney]
) -> Response[wire.Charge]:
    """Shows one charge."""
    charge = there(await show_money.charge(merchant_of(request), charge_id))
    note(reference=charge.reference)
    return json_response(wire.encode(charge))


@get("/v1/charges", tags=["Charges"])
async def list_charges(
    request: Request,
    reference: Text = None,
    status: Annotated[wire.MoneyState | None, QueryParameter(description=MAY_BE_SHORT)] = None,
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[wire.Charge]]:
    """A page of charges, newest first."""
    show_money: ShowMoney = request.app.state.show_money
    note(reference=reference)
    found = await show_money.charges(merchant_of(request), paging, reference=reference, status=status)
    return page_response(request, found, wire.encode)


@post(
    "/v1/charges/{charge_id:str}/refunds",
    tags=["Refunds"],
    takes_key=True,
    problems=["not-refundable", "exceeds-paid", "rate-limited"],
)
async def create_refund(
    request: Request,
    charge_id: FromPath[str],
    data: JSONBody[CreateRefundRequest],
    create_money: NamedDependency[CreateMoney],
) -> Response[wire.Refund]:
    """Refunds a charge, in full or in part. The refund is `pending` until it settles after a delay; then an event says how
    it ended.
    """
    merchant, key = merchant_of(request), idempotency_key(request)
    require_visible("/reference", data.reference)
    asked = msgspec.convert(msgspec.to_builtins(data), wire.RefundRequest)
    return await _answer(request, await create_money.refund(merchant, key, charge_id, asked))


@get("/v1/refunds/{refund_id:str}", tags=["Refunds"])
async def get_refund(
    request: Request, refund_id: FromPath[str], show_money: NamedDependency[ShowMoney]
) -> Response[wire.Refund]:
    """Shows one refund."""
    refund = there(await show_money.refund(merchant_of(request), refund_id))
    note(reference=refund.charge_reference)
    return json_response(wire.encode(refund))


@get("/v1/refunds", tags=["Refunds"])
async def list_refunds(
    request: Request,
    reference: Text = None,
    charge_id: Annotated[str | None, QueryParameter(name="chargeId", max_length=255)] = None,
    status: Annotated[wire.MoneyState | None, QueryParameter()] = None,
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[wire.Refund]]:
    """A page of refunds, newest first."""
    show_money: ShowMoney = request.app.state.show_money
    merchant = merchant_of(request)
    found = await show_money.refunds(merchant, paging, charge_id=charge_id, reference=reference, status=status)
    return page_response(request, found, wire.encode)


@get("/v1/disputes/{dispute_id:str}", tags=["Disputes"])
async def get_dispute(
    request: Request, dispute_id: FromPath[str], show_money: NamedDependency[ShowMoney]
) -> Response[wire.Dispute]:
    """Shows one dispute."""
    dispute = there(await show_money.dispute(merchant_of(request), dispute_id))
    note(reference=dispute.charge_reference)
    return json_response(wire.encode(dispute))


@get("/v1/disputes", tags=["Disputes"])
async def list_disputes(
    request: Request,
    reference: Annotated[
        str | None, QueryParameter(max_length=255, description="That of the charge that is disputed.")
    ] = None,
    *,
    paging: NamedDependency[Paging],
) -> Response[Page[wire.Dispute]]:
    """A page of disputes, newest first."""
    show_money: ShowMoney = request.app.state.show_money
    note(reference=reference)
    found = await show_money.disputes(merchant_of(request), paging, reference=reference)
    return page_response(request, found, wire.encode)


def _check(data: CreateChargeRequest) -> None:
    """Checks what types alone cannot check. Raises ProblemError."""
    try:
        exponent_of(data.currency)
    except CurrencyError as error:
        raise invalid_field("/currency", str(error)) from None
    require_visible("/reference", data.reference)
    check_metadata(data.metadata)


async def _answer(request: Request, outcome: object) -> Response[Any]:
    """Raises RefusedError."""
    if isinstance(outcome, (Answer, Misbehaved)):
        return await reply(request, outcome)
    raise RefusedError(outcome)


MONEY_ROUTES = [
    create_charge,
    get_charge,
    list_charges,
    create_refund,
    get_refund,
    list_refunds,
    get_dispute,
    list_disputes,
]
