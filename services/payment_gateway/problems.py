"""The answer of the gateway to each refusal that a flow returns, and to each error that it raises: one table."""

from payment_gateway.clock.clock import ClockError
from payment_gateway.faults.payment_method import ScenarioError
from payment_gateway.money.charge import REFUNDS_MAX, ExceedsCharge, NotRefundable, TooManyRefunds
from payment_gateway.money.dispute_charge import DISPUTES_MAX, ClosedOtherwise, NotDisputable, TooManyDisputes
from payment_gateway.webhooks.endpoint import ENDPOINTS_MAX, KEYS_MAX, TooManyEndpoints, TooManyRotations
from payment_gateway.webhooks.resend import EndpointDisabled, ForgingDisabled
from shared.edge.problems import ProblemError, Table, invalid_field

_ROTATIONS = f"an endpoint's secret is rotated at most {KEYS_MAX - 1} times a day"

PROBLEMS: Table = {
    NotRefundable: lambda it: ProblemError("not-refundable", f"the charge is {it.status}"),
    TooManyRefunds: lambda _: ProblemError("not-refundable", f"the charge has {REFUNDS_MAX} refunds already"),
    ExceedsCharge: lambda it: ProblemError("exceeds-paid", f"{it.left} of the charge is left to refund or dispute"),
    NotDisputable: lambda it: ProblemError("not-disputable", f"the charge is {it.status}"),
    TooManyDisputes: lambda _: ProblemError("not-disputable", f"the charge has {DISPUTES_MAX} disputes already"),
    ClosedOtherwise: lambda it: ProblemError("dispute-closed", f"it is {it.status}"),
    TooManyEndpoints: lambda _: ProblemError("too-many-endpoints", f"there are {ENDPOINTS_MAX} already"),
    TooManyRotations: lambda _: ProblemError("rate-limited", _ROTATIONS, retry_after_seconds=3600),
    EndpointDisabled: lambda _: ProblemError("endpoint-disabled"),
    ForgingDisabled: lambda _: ProblemError("test-endpoints-disabled", "a forgery is for tests only"),
    ScenarioError: lambda error: invalid_field(error.pointer, error.detail),
    ClockError: lambda error: ProblemError("clock-conflict", str(error)),
}
