"""Loaded by schemathesis: makes right what looks right, as no schema can say it, so that requests get further."""

import os
import re
import time
from typing import Any, TypeAlias
from uuid import uuid4

import requests
import schemathesis
from schemathesis import HookContext
from schemathesis.core.parameters import ParameterLocation

from payment_gateway.faults.payment_method import STEPS
from payment_gateway.faults.rates import REPLY_FAULTS
from payment_gateway.webhooks.target import URL_LENGTH_MAX
from shared.signing import sign
from tools.openapi.document import IDEMPOTENCY_KEY, SIGNATURE

Case: TypeAlias = schemathesis.Case[Any]

# What there is to be cancelled, refunded, resolved and redriven: no schema can say its ids.
_GIVEN = {name: os.environ[name.upper()] for name in ("order_id", "message_id", "code") if name.upper() in os.environ}
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")
_VISIBLE = re.compile(r"[!-~]{1,64}\Z")
_YEAR = re.compile(r"[0-9]{4}-")


@schemathesis.hook
def before_call(_context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    if case.headers.get("Idempotency-Key") == IDEMPOTENCY_KEY["example"]:
        case.headers["Idempotency-Key"] = uuid4().hex
    if case.method == "POST" and case.path.startswith(("/api/orders/", "/api/outbox/")):
        case.path_parameters |= {name: given for name, given in _GIVEN.items() if name in case.path_parameters}
    if case.path == "/api/webhooks/payments" and (_signature_looks_right(case) or _body_is_wrong(case)):
        kwargs["auth"] = _signed
    if isinstance(case.body, dict) and not _body_is_wrong(case):
        _make_plausible(case.body)


def _make_plausible(body: dict[str, Any]) -> None:
    match body:
        case {"currency": str(currency), "amount": amount} if _CURRENCY.match(currency) and _NUMBER.match(str(amount)):
            body |= {"currency": "USD", "amount": type(amount)(7)}
        case {"timestamp": str(timestamp)} if _YEAR.match(timestamp):
            body["timestamp"] = f"2026{timestamp[4:]}"
        case {"amount": amount, **others} if not others and _NUMBER.match(str(amount)):
            body["amount"] = type(amount)(7)
    _ask_for_true_replies(body)
    match body:
        case {"orderNumber": str(number)} if _VISIBLE.match(number):
            body["orderNumber"] = uuid4().hex
        case {"url": str(url)} if len(url) <= URL_LENGTH_MAX:
            body["url"] = "http://127.0.0.1:9/hooks"


def _ask_for_true_replies(body: dict[str, Any]) -> None:
    """A reply that goes wrong because it was asked to is no defect."""
    match body:
        case {"paymentMethod": str(chain)} if any(step in chain.split("|") for step in STEPS):
            body["paymentMethod"] = "pm_card_visa"
    match body:
        case {"scenario": {"replies": [*faults]} as scenario} if all(fault in REPLY_FAULTS for fault in faults):
            scenario |= {"replies": [], "repliesForever": False}


def _signature_looks_right(case: Case) -> bool:
    return re.search(SIGNATURE["schema"]["pattern"], str(case.headers.get("X-Signature"))) is not None


def _body_is_wrong(case: Case) -> bool:
    """Then the body is what is to be refused, and it must come signed for that."""
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    return body is not None and body.mode.is_negative


def _signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    body = request.body or b""
    assert isinstance(body, bytes), type(body)
    request.headers["X-Signature"] = sign(body, [os.environ["WEBHOOK_SECRET"]], int(time.time()))
    return request
