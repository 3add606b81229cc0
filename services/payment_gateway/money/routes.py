"""HTTP under /v1/charges, /v1/refunds and /v1/disputes: parse, call a verb, respond."""

from typing import Annotated, Any, assert_never

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from payment_gateway.faults.misbehave import Misbehaved
from payment_gateway.faults.payment_method import OUTCOMES, PAYMENT_METHOD_PATTERN, STEPS, ScenarioError
from payment_gateway.faults.replies import reply
from payment_gateway.faults.scenario import Scenario
from payment_gateway.money import charge as charges
from payment_gateway.money.charge import ExceedsCharge, NoSuchCharge, NotRefundable, Refusal, TooManyRefunds
from payment_gateway.money.create import CreateMoney
from payment_gateway.money.show import ShowMoney
from payment_gateway.reads import MAY_BE_SHORT, Text, there
from shared import wire
from shared.edge.auth import merchant_of
from shared.edge.lists import CreatedFrom, CreatedTo, Cursor, Limit, created_between, page_response, position_after
from shared.edge.problems import ProblemError, Table, invalid_field
from shared.edge.requests import idempotency_key
from shared.edge.responses import json_response
from shared.edge.values import Metadata, check_metadata, require_visible
from shared.idempotency import Answer, KeyReused
from shared.money import AMOUNT_MINOR_MAX, CurrencyError, exponent_of
from shared.pages import LIMIT_DEFAULT, Page
from shared.tracing import note

PROBLEMS: Table = {ScenarioError: lambda error: invalid_field(error.pointer, error.detail)}

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
async def create_charge(request: Request[Any, Any, Any], data: JSONBody[CreateChargeRequest]) -> Response[wire.Charge]:
    """Takes a charge. It is `pending`, settles after a delay, and then an event says how."""
    create_money: CreateMoney = request.app.state.create_money
    merchant, key = merchant_of(request), idempotency_key(request)
    _check(data)
    asked = msgspec.convert(msgspec.to_builtins(data), wire.ChargeRequest)
    return await _answer(request, await create_money.charge(merchant, key, asked))


@get("/v1/charges/{charge_id:str}", tags=["Charges"])
async def get_charge(
    request: Request[Any, Any, Any], charge_id: FromPath[str], show_money: NamedDependency[ShowMoney]
) -> Response[wire.Charge]:
    """One charge."""
    charge = there(await show_money.charge(merchant_of(request), charge_id), "charge")
    note(reference=charge.reference)
    return json_response(wire.encode(charge))


@get("/v1/charges", tags=["Charges"])
async def list_charges(
    request: Request[Any, Any, Any],
    show_money: NamedDependency[ShowMoney],
    reference: Text = None,
    status: Annotated[wire.MoneyState | None, QueryParameter(description=MAY_BE_SHORT)] = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[wire.Charge]]:
    """A page of charges, newest first."""
    note(reference=reference)
    created = created_between(created_from, created_to)
    conditions = {"merchant": merchant_of(request), "reference": reference, "created_at": created}
    found, following = await show_money.charges(conditions, status, limit, position_after(request, cursor))
    return page_response(request, map(wire.encode, found), following)


@post(
    "/v1/charges/{charge_id:str}/refunds",
    tags=["Refunds"],
    takes_key=True,
    problems=["not-refundable", "exceeds-paid", "rate-limited"],
)
async def create_refund(
    request: Request[Any, Any, Any],
    charge_id: FromPath[str],
    data: JSONBody[CreateRefundRequest],
    create_money: NamedDependency[CreateMoney],
) -> Response[wire.Refund]:
    """Refunds a charge, in full or in part. It is `pending`, settles after a delay, and then an event says how."""
    merchant, key = merchant_of(request), idempotency_key(request)
    require_visible("/reference", data.reference)
    asked = msgspec.convert(msgspec.to_builtins(data), wire.RefundRequest)
    return await _answer(request, await create_money.refund(merchant, key, charge_id, asked))


@get("/v1/refunds/{refund_id:str}", tags=["Refunds"])
async def get_refund(
    request: Request[Any, Any, Any], refund_id: FromPath[str], show_money: NamedDependency[ShowMoney]
) -> Response[wire.Refund]:
    """One refund."""
    refund = there(await show_money.refund(merchant_of(request), refund_id), "refund")
    note(reference=refund.charge_reference)
    return json_response(wire.encode(refund))


@get("/v1/refunds", tags=["Refunds"])
async def list_refunds(
    request: Request[Any, Any, Any],
    show_money: NamedDependency[ShowMoney],
    reference: Text = None,
    charge_id: Annotated[str | None, QueryParameter(name="chargeId", max_length=255)] = None,
    status: Annotated[wire.MoneyState | None, QueryParameter()] = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[wire.Refund]]:
    """A page of refunds, newest first."""
    created = created_between(created_from, created_to)
    conditions = {"reference": reference, "status": status, "created_at": created}
    position = position_after(request, cursor)
    found, following = await show_money.refunds(merchant_of(request), charge_id, conditions, limit, position)
    return page_response(request, map(wire.encode, found), following)


@get("/v1/disputes/{dispute_id:str}", tags=["Disputes"])
async def get_dispute(
    request: Request[Any, Any, Any], dispute_id: FromPath[str], show_money: NamedDependency[ShowMoney]
) -> Response[wire.Dispute]:
    """One dispute."""
    dispute = there(await show_money.dispute(merchant_of(request), dispute_id), "dispute")
    note(reference=dispute.charge_reference)
    return json_response(wire.encode(dispute))


@get("/v1/disputes", tags=["Disputes"])
async def list_disputes(
    request: Request[Any, Any, Any],
    show_money: NamedDependency[ShowMoney],
    reference: Annotated[
        str | None, QueryParameter(max_length=255, description="That of the charge that is disputed.")
    ] = None,
    created_from: CreatedFrom = None,
    created_to: CreatedTo = None,
    limit: Limit = LIMIT_DEFAULT,
    cursor: Cursor = None,
) -> Response[Page[wire.Dispute]]:
    """A page of disputes, newest first."""
    note(reference=reference)
    position = position_after(request, cursor)
    conditions = {"created_at": created_between(created_from, created_to)}
    found, following = await show_money.disputes(merchant_of(request), reference, conditions, limit, position)
    return page_response(request, map(wire.encode, found), following)


def _check(data: CreateChargeRequest) -> None:
    """What types alone cannot say. Raises ProblemError."""
    try:
        exponent_of(data.currency)
    except CurrencyError as error:
        raise invalid_field("/currency", str(error)) from None
    require_visible("/reference", data.reference)
    check_metadata(data.metadata)


async def _answer(request: Request[Any, Any, Any], outcome: Answer | Misbehaved | KeyReused | Refusal) -> Response[Any]:
    """Raises ProblemError."""
    match outcome:
        case Answer() | Misbehaved():
            return await reply(request, outcome)
        case KeyReused():
            raise ProblemError("idempotency-key-reused")
        case NoSuchCharge():
            raise ProblemError("not-found", "no such charge")
        case NotRefundable(status):
            raise ProblemError("not-refundable", f"the charge is {status}")
        case TooManyRefunds():
            raise ProblemError("not-refundable", f"the charge has {charges.REFUNDS_MAX} refunds already")
        case ExceedsCharge(left):
            raise ProblemError("exceeds-paid", f"{left} of the charge is left to refund")
        case _:
            assert_never(outcome)


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
