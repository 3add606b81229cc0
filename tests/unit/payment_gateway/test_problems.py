"""A merchant that is refused learns why, whichever flow has refused."""

from collections.abc import Iterator
from inspect import getmembers, iscoroutinefunction
from typing import Any, get_args, get_type_hints

import pytest

from payment_gateway.app import Application
from payment_gateway.faults.misbehave import Misbehaved
from payment_gateway.money.charge import ExceedsCharge, NotRefundable, TooManyRefunds
from payment_gateway.money.dispute_charge import ClosedOtherwise, NotDisputable, TooManyDisputes
from payment_gateway.problems import PROBLEMS
from payment_gateway.settings import Settings
from payment_gateway.webhooks.endpoint import Endpoint, TooManyEndpoints, TooManyRotations
from payment_gateway.webhooks.resend import EndpointDisabled, ForgingDisabled, Resent
from shared import wire
from shared.edge.problems import COMMON
from shared.env import Secret
from shared.idempotency import Answer, KeyReused
from shared.not_found import NotFound

TABLE = {**COMMON, **PROBLEMS}
SUCCESSES = {Answer, Misbehaved, wire.Charge, wire.Refund, wire.Dispute, Endpoint, Resent}
WINGS = ("payment_gateway.money.", "payment_gateway.webhooks.")


@pytest.mark.parametrize(
    ("refusal", "slug", "detail"),
    [
        (KeyReused(), "idempotency-key-reused", ""),
        (NotFound("charge"), "not-found", "no such charge"),
        (NotRefundable("pending"), "not-refundable", "the charge is pending"),
        (TooManyRefunds(), "not-refundable", "the charge has 500 refunds already"),
        (ExceedsCharge(7), "exceeds-paid", "7 of the charge is left to refund or dispute"),
        (NotDisputable("failed"), "not-disputable", "the charge is failed"),
        (TooManyDisputes(), "not-disputable", "the charge has 100 disputes already"),
        (ClosedOtherwise("won"), "dispute-closed", "it is won"),
        (TooManyEndpoints(), "too-many-endpoints", "there are 100 already"),
        (TooManyRotations(), "rate-limited", "an endpoint's secret is rotated at most 99 times a day"),
        (EndpointDisabled(), "endpoint-disabled", ""),
        (ForgingDisabled(), "test-endpoints-disabled", "a forgery is for tests only"),
    ],
)
def test_a_refusal_is_answered_with_its_problem(refusal: object, slug: str, detail: str) -> None:
    problem = TABLE[type(refusal)](refusal)
    assert (problem.slug, problem.detail) == (slug, detail)


def outcomes() -> Iterator[Any]:
    """All that the public methods of the flows return, by their annotations."""
    for part in vars(Application(Settings(mongodb_uri=Secret("mongodb://127.0.0.1:1")))).values():
        if type(part).__module__.startswith(WINGS):
            for name, method in getmembers(type(part), iscoroutinefunction):
                if not name.startswith("_"):
                    yield from get_args(get_type_hints(method)["return"])


def test_every_outcome_of_a_flow_is_a_success_or_has_a_problem() -> None:
    found = {one for one in outcomes() if one.__module__.startswith(("payment_gateway.", "shared."))}
    assert found == SUCCESSES | {kind for kind in TABLE if not issubclass(kind, Exception)}
