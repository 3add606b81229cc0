"""Errors as problem documents (RFC 9457): one shape, one list of kinds, one table from error types to kinds."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from litestar import Response, get
from litestar.exceptions import HTTPException, ValidationException
from litestar.params import FromPath
from pymongo.errors import PyMongoError

from shared.batches import OverloadedError, UnavailableError, UnresolvedDuplicateError
from shared.edge.responses import Made, replayable
from shared.edge.types import Request
from shared.idempotency import Answer, KeyMalformedError, KeyReused
from shared.mongo import count_error, describe, is_refused_for_good
from shared.not_found import NotFound
from shared.pages import CursorError
from shared.telemetry import log

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 1
MESSAGE_LENGTH_MAX = 200  # Litestar's repeat what was sent, however long

T = TypeVar("T")


class Kind(NamedTuple):
    """One kind of problem. `meaning` explains it to a person, and what to do."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    "idempotency-key-missing": Kind(400, "Idempotency-Key is missing", "Send an Idempotency-Key header with every POST that creates something: a fresh random value for each thing you want created, the same value when you retry."),
    "idempotency-key-malformed": Kind(400, "Idempotency-Key is malformed", "Send exactly one Idempotency-Key header: 1 to 255 visible ASCII characters, in double quotes if it holds a comma, semicolon, quote or backslash."),
    "idempotency-key-reused": Kind(422, "Idempotency-Key was used for another request", "This key belongs to an earlier request with another body or to another endpoint. Use a fresh key for a new request."),
    "idempotency-key-in-flight": Kind(409, "A request with this Idempotency-Key is in flight", "The first request with this key has not been confirmed yet. Send the same request with the same key again."),
    "malformed-json": Kind(400, "The body is not valid JSON", "Send one JSON value (RFC 8259) in UTF-8, with no duplicate keys."),
    "invalid-fields": Kind(422, "Some fields are not acceptable", "See `errors`: each names a field by its JSON pointer and says what is wrong with it."),
    "unsupported-media-type": Kind(415, "The body must be application/json", "Send Content-Type: application/json, in UTF-8 and without a content encoding."),
    "body-too-large": Kind(413, "The body is too large", "Bodies are limited to 64 KiB."),
    "order-number-taken": Kind(409, "The order number is taken", "Another order of yours has this orderNumber. If you meant to retry that order, use its Idempotency-Key."),
    "test-endpoints-disabled": Kind(403, "Test endpoints are disabled", "Addresses under /v1/test are served in development only, or with PAYMENT_GATEWAY_TEST_ENDPOINTS=true."),
    "clock-conflict": Kind(409, "The clock cannot do that now", "While the clock advances it cannot be set: ask `GET /v1/test/clock` until it has arrived."),
    "not-found": Kind(404, "Not found", "There is nothing at this address, or it is not yours."),
    "method-not-allowed": Kind(405, "Method not allowed", "See the Allow header for the methods of this address."),
    "not-cancellable": Kind(409, "The order cannot be cancelled", "A charge of it has succeeded. Refund it instead."),
    "not-payable": Kind(409, "The order cannot be paid again", "Only an order that has Failed can be paid again, and it takes 20 payments at most. See its status and its payments."),
    "not-refundable": Kind(409, "It cannot be refunded", "Only a charge that has succeeded can be refunded. What is paid on a cancelled order is given back by itself."),
    "refund-number-taken": Kind(409, "The refund number is taken", "Another refund of this order has this refundNumber, whatever became of it. If you meant to retry that refund, it is there already."),
    "review-resolved": Kind(409, "The review is closed", "It was decided otherwise before, or it has closed by itself because its cause is gone. See the order's reviews."),
    "review-not-named": Kind(409, "Several reviews are open", "Say which one you have decided about: send its eventId."),
    "not-redrivable": Kind(409, "The message cannot be redriven", "Only a dead message can be sent again: one that was given up with its outcome unknown. What the provider has refused for good is over; ask for a new refund, or pay the order again."),
    "endpoint-disabled": Kind(409, "The webhook endpoint is disabled", "Nothing is sent to it. Enable it first: PATCH it with state enabled."),
    "too-many-endpoints": Kind(409, "Too many webhook endpoints", "A merchant has at most 100. Delete one that is not needed any more."),
    "not-disputable": Kind(409, "The charge cannot be disputed", "Only a charge that has succeeded can be disputed, and no more than 100 times."),
    "dispute-closed": Kind(409, "The dispute is closed", "It was closed with the other outcome before, which stays."),
    "exceeds-paid": Kind(409, "More than was paid", "The refunds of a charge, asked for and done, cannot exceed it."),
    "invalid-signature": Kind(401, "The webhook signature is not valid", "Sign the raw body with the shared secret and a current timestamp, and send it as X-Signature."),
    "unauthenticated": Kind(401, "No valid API key", "Send Authorization: Bearer <key>."),
    "rate-limited": Kind(429, "Too many requests", "Send fewer requests a second. Nothing was done: try again after Retry-After seconds, with the same Idempotency-Key."),
    "overloaded": Kind(503, "Too busy", "Nothing was done. Try again after Retry-After seconds, with the same Idempotency-Key."),
    "unavailable": Kind(503, "Not available", "It is not known whether the request took effect. Try again after Retry-After seconds with the same Idempotency-Key: it is never done twice."),
    "internal": Kind(500, "Internal error", "This is a defect of ours. The request id finds it in the logs."),
}  # fmt: skip

_KIND_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large", 415: "unsupported-media-type"}


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field. `pointer` is a JSON Pointer (RFC 6901), or names a header or query parameter."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document. `instance` is the request's id, as in X-Request-Id and the logs."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []


class ProblemError(Exception):
    """Ends a request with a problem of the kind `slug`."""

    def __init__(
        self,
        slug: str,
        detail: str = "",
        *,
        errors: list[FieldError] | None = None,
        retry_after_seconds: int = RETRY_AFTER_SECONDS,
    ) -> None:
        super().__init__(slug, detail)
        self.slug = slug
        self.detail = detail
        self.errors = errors or []
        self.retry_after_seconds = retry_after_seconds


def invalid_field(pointer: str, detail: str) -> ProblemError:
    return ProblemError("invalid-fields", f"{pointer}: {detail}", errors=[FieldError(pointer, detail)])


class RefusedError(Exception):
    """Ends a request with the problem that the table has for `outcome`, which is what a flow returned."""

    def __init__(self, outcome: object) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def answer_of(outcome: object) -> Response[Any]:
    """The answer to a request with a key. Raises RefusedError for every other outcome."""
    if isinstance(outcome, Answer):
        return replayable(outcome)
    raise RefusedError(outcome)


def there(found: T | NotFound) -> T:
    """Returns what a store has found. Raises RefusedError if it has found nothing."""
    if isinstance(found, NotFound):
        raise RefusedError(found)
    return found


# By the type of an outcome or of an error.
Table: TypeAlias = Mapping[type, Callable[[Any], ProblemError]]

COMMON: Table = {
    KeyReused: lambda _: ProblemError("idempotency-key-reused"),
    NotFound: lambda it: ProblemError("not-found", f"no such {it.what}"),
    KeyMalformedError: lambda error: ProblemError("idempotency-key-malformed", str(error)),
    CursorError: lambda error: invalid_field("cursor", str(error)),
    OverloadedError: lambda _: ProblemError("overloaded"),
    UnavailableError: lambda _: ProblemError("unavailable"),
    UnresolvedDuplicateError: lambda _: ProblemError("idempotency-key-in-flight"),
}


def exception_handlers(own: Table) -> dict[type[Exception] | int, Any]:
    """Litestar's handlers: for what is in `own` or common by the table, for everything else as what it is."""
    table = {**COMMON, **own}

    def refused(request: Request, error: RefusedError) -> Response[Problem]:
        if translate := table.get(type(error.outcome)):
            return respond(request, translate(error.outcome))
        return _internal(request, AssertionError(f"the table has no problem for {error.outcome!r}"))

    handlers: dict[type[Exception] | int, Any] = {
        ProblemError: respond,
        RefusedError: refused,
        ValidationException: _validation,
        HTTPException: _http,
        PyMongoError: _database,
        Exception: _internal,
    }
    for kind, translate in table.items():
        if issubclass(kind, Exception):
            handlers[kind] = lambda request, error, translate=translate: respond(request, translate(error))
    return handlers


def respond(request: Request, error: ProblemError, headers: Mapping[str, str] = {}) -> Response[Problem]:
    problem = problem_of(error, str(request.scope.get("request_id", "")))
    return Made(msgspec.json.encode(problem), problem.status, PROBLEM_JSON, {**headers_of(error), **headers})


def problem_of(error: ProblemError, request_id: str) -> Problem:
    kind = KINDS[error.slug]
    detail = error.detail or kind.meaning
    return Problem(f"/problems/{error.slug}", kind.title, kind.status, detail, request_id, error.errors)


def headers_of(error: ProblemError) -> Mapping[str, str]:
    """The headers of a problem of this kind: when to come again, or how to authenticate."""
    if error.slug == "unauthenticated":
        return {"WWW-Authenticate": "Bearer"}
    if KINDS[error.slug].status in {429, 503} or error.slug == "idempotency-key-in-flight":
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}


def _validation(request: Request, error: ValidationException) -> Response[Problem]:
    """Litestar's own validation: parameters, and a body that is missing."""
    found = error.extra if isinstance(error.extra, list) else []
    if any(item.get("source") == "body" or item.get("key") == "data" for item in found):
        return respond(request, ProblemError("malformed-json", "the body is empty"))
    errors = [FieldError(str(item.get("key", "")), str(item.get("message", ""))[:MESSAGE_LENGTH_MAX]) for item in found]
    detail = "; ".join(f"{one.pointer}: {one.detail}" for one in errors)  # Litestar's would show the whole URL
    return respond(request, ProblemError("invalid-fields", detail, errors=errors))


def _http(request: Request, error: HTTPException) -> Response[Problem]:
    slug = _KIND_OF_STATUS.get(error.status_code)
    if slug is None:
        if error.status_code >= 500:
            return _internal(request, error)
        slug = "malformed-json" if request.method in {"POST", "PUT", "PATCH"} else "not-found"
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if methods := headers.get("allow"):
        headers["allow"] = allow(methods)
    return respond(request, ProblemError(slug), headers)


def allow(methods: str) -> str:
    """The Allow header (RFC 9110 §10.2.1) where the handlers take `methods`: whatever can be got has a HEAD too."""
    found = {method.strip() for method in methods.split(",")} | {"OPTIONS"}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


def _database(request: Request, error: PyMongoError) -> Response[Problem]:
    """C7: a client is asked to come again only if that may help."""
    count_error(error)
    if is_refused_for_good(error):
        log.error("refused by the database", path=request.scope["path"], reason=describe(error))
        return respond(request, ProblemError("internal"))
    log.warning("database error", reason=describe(error))
    return respond(request, ProblemError("unavailable"))


def _internal(request: Request, error: Exception) -> Response[Problem]:
    log.error("internal error", path=request.scope["path"], exc_info=error)
    return respond(request, ProblemError("internal"))


@get("/problems/{slug:str}", tags=["Service"], public=True, media_type="text/plain", sync_to_thread=False)
def explain_problem(slug: FromPath[str]) -> str:
    """What the `type` of a problem means, for a person."""
    if slug not in KINDS:
        raise ProblemError("not-found")
    kind = KINDS[slug]
    return f"{kind.title} (HTTP {kind.status})\n\n{kind.meaning}\n"
