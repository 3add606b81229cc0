"""Strict reading of JSON bodies, headers and query parameters. Nothing that a client sends is ignored in silence.

Litestar alone decodes laxly, answers some hostile bodies with 500, and shows only the first of two headers of one name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from shared.edge.limits import BODY_BYTES_MAX
from shared.edge.media_types import parse_media_type
from shared.edge.problems import ProblemError, invalid_field
from shared.edge.types import Connection, Request
from shared.edge.values import Amount
from shared.idempotency import parse_key
from shared.money import AmountError, parse_plain_decimal
from shared.strict_json import has_lone_surrogate, parse_json

T = TypeVar("T")

PARAMETERS_MAX = 32

_DIGITS = re.compile(r"[0-9]{1,9}\Z")


def decode_json(body: bytes, kind: type[T]) -> T:
    """`body` as a `kind`, without coercion: one JSON value (RFC 8259), UTF-8, no duplicate keys, no NaN.

    Raises ProblemError: `malformed-json`, or `invalid-fields` with a pointer.
    """
    try:
        text = body.decode()
        value = parse_json(text)
        if has_lone_surrogate(value, text):
            raise ValueError("the body holds a lone surrogate")
    except UnicodeDecodeError:
        raise ProblemError("malformed-json", "the body is not UTF-8") from None
    except ValueError as error:
        raise ProblemError("malformed-json", str(error)) from None
    try:
        return msgspec.convert(value, kind, dec_hook=_decode_own)
    except msgspec.ValidationError as error:
        raise _field_error(error) from None


class Fields:
    """The headers of a request, read once. Litestar's own mapping is made anew each time it is asked for."""

    __slots__ = ("_headers", "_single", "_some_repeat")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._headers = list(headers)
        self._single = dict(self._headers)
        self._some_repeat = len(self._single) < len(self._headers)

    def values(self, name: bytes) -> list[str]:
        """The values of all headers called `name` (in lower case), as they came."""
        if self._some_repeat:
            return [value.decode("latin-1") for header, value in self._headers if header == name]
        return [self._single[name].decode("latin-1")] if name in self._single else []


class StrictRequest(Request):
    """Decodes a JSON body with `decode_json` into the type that the handler declares. Litestar still sees that type."""

    _taken: bytes | None = None

    async def body(self) -> bytes:
        """The whole body, read once. Raises ProblemError `body-too-large`, or `malformed-json` if the client hangs up."""
        if self._taken is None:
            self._taken = await self._take()
        return self._taken

    async def _take(self) -> bytes:
        announced = header_values(self, b"content-length")
        if (
            announced and int(announced[0]) > BODY_BYTES_MAX
        ):  # before a client that expects 100 Continue is told to go on
            raise ProblemError("body-too-large")
        pieces: list[bytes] = []
        left, more = BODY_BYTES_MAX, True
        while more:
            message: Any = await self.receive()
            if message["type"] == "http.disconnect":
                raise ProblemError("malformed-json", "the body ended early")
            pieces.append(message.get("body", b""))
            left -= len(pieces[-1])
            if left < 0:
                raise ProblemError("body-too-large")
            more = message.get("more_body", False)
        return b"".join(pieces)

    async def json(self) -> Any:
        require_json(self)
        field = self.route_handler.parsed_data_field
        return decode_json(await self.body(), field.annotation if field else Any)


def header_values(connection: Connection, name: bytes) -> list[str]:
    """The values of all headers called `name` (in lower case), from the Fields that `exchange.py` has read."""
    fields: Fields = connection.scope["fields"]  # type: ignore[typeddict-item]
    return fields.values(name)


def require_json(connection: Connection) -> None:
    """Raises ProblemError `unsupported-media-type` unless the headers say JSON in UTF-8 without a content encoding."""
    types = header_values(connection, b"content-type")
    if len(types) != 1 or not _is_json(types[0]):
        raise ProblemError("unsupported-media-type")
    require_no_coding(connection)


def require_no_coding(connection: Connection) -> None:
    """Raises ProblemError `unsupported-media-type` if the body is compressed."""
    for codings in header_values(connection, b"content-encoding"):
        if any(coding.strip().lower() not in {"", "identity"} for coding in codings.split(",")):
            raise ProblemError("unsupported-media-type")


def idempotency_key(request: Request) -> str:
    """The request's Idempotency-Key. Raises ProblemError `idempotency-key-missing`, KeyMalformedError."""
    values = header_values(request, b"idempotency-key")
    if not values:
        raise ProblemError("idempotency-key-missing")
    if len(values) > 1:
        raise ProblemError("idempotency-key-malformed", "more than one Idempotency-Key header")
    return parse_key(values[0])


def require_declared_query(request: Request) -> None:
    """Raises ProblemError for a query parameter that the handler does not declare, that is empty, that occurs twice, or that
    is no integer where one is needed. A filter that was ignored would show things that the client has not asked for.

    The number of parameters is bounded because Litestar keeps the last thousand parsed queries.
    """
    query = request.scope["query_string"]
    if not query:
        return
    if query.count(b"&") >= PARAMETERS_MAX:
        raise ProblemError("invalid-fields", f"more than {PARAMETERS_MAX} query parameters")
    declared = _declared(request.route_handler)
    seen = set()
    for name, value in request.query_params.multi_items():
        if name not in declared:
            raise invalid_field(name[:64], f"no parameter of this address; it takes {', '.join(declared) or 'none'}")
        if name in seen:
            raise invalid_field(name, "given more than once")
        if not value:
            raise invalid_field(name, "must not be empty: leave it out instead")
        if declared[name] in (int, int | None) and not _DIGITS.match(value):
            raise invalid_field(name, "must be a whole number of at most nine digits")
        seen.add(name)


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that needs none."""


async def require_body_as_declared(request: Request) -> None:
    """Reads the body. Raises ProblemError if there is a body with members and the handler reads none: the client would
    believe that they had an effect.
    """
    body = await request.body()
    handler = request.route_handler
    if body and handler.parsed_data_field is None and not handler.opt.get("raw_body"):
        require_json(request)
        decode_json(body, _Nothing)


@cache
def _declared(handler: BaseRouteHandler) -> Mapping[str, Any]:
    """The query parameters of a handler by the names that clients send, and their types."""
    own = [(name, field) for name, field in fields_of(handler) if isinstance(field.kwarg_definition, QueryParameter)]
    return {getattr(field.kwarg_definition, "name", None) or name: field.annotation for name, field in own}


def fields_of(handler: BaseRouteHandler) -> Iterator[tuple[str, FieldDefinition]]:
    """The parameters of a handler by name, and those of the dependencies that it asks for."""
    provided = handler.resolve_dependencies()
    for name, field in handler.parsed_fn_signature.parameters.items():
        yield name, field
        if field.is_di_field and name in provided:
            yield from provided[name].parsed_fn_signature.parameters.items()


def _is_json(content_type: str) -> bool:
    """`application/json`, without a charset or with UTF-8. Other parameters mean nothing (RFC 8259 §11)."""
    if content_type == "application/json":
        return True
    if (parsed := parse_media_type(content_type)) is None:
        return False
    media_type, parameters = parsed
    charsets = [value.lower() for name, value in parameters if name == "charset"]
    return media_type == "application/json" and charsets in ([], ["utf-8"])


_NAMED_FIELD = re.compile(r"(?:missing required|contains unknown) field `(\w+)`\Z")


def _decode_own(kind: Any, value: Any) -> Any:
    if kind is not Amount:
        raise NotImplementedError(f"no body holds a {kind}")
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("Expected a decimal number")
    try:
        return Amount(parse_plain_decimal(f"{value:f}" if isinstance(value, Decimal) else str(value)))
    except AmountError as error:
        raise ValueError(str(error)) from None


def _field_error(error: msgspec.ValidationError) -> ProblemError:
    """msgspec writes a place as `$.metadata[...]`. It names a missing or unknown field in the message only."""
    message, _, place = str(error).partition(" - at `")
    steps = place.rpartition("$")[2].rstrip("`").replace("[...]", "").replace("[", ".").replace("]", "").split(".")
    if named := _NAMED_FIELD.search(message):
        steps.append(named[1])
    return invalid_field("".join(f"/{step}" for step in steps if step), message)
