"""Strict JSON bodies. Litestar alone decodes laxly and answers some hostile bodies with a 500."""

import json
import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import InternalServerException

from shared.edge.problems import ProblemError, invalid_field
from shared.idempotency import parse_key
from shared.money import AMOUNT_MINOR_MAX, AmountError, parse_plain_decimal

T = TypeVar("T")


Metadata = Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=500)]], msgspec.Meta(max_length=50)]
_METADATA_KEY = re.compile(r"[^$.\x00-\x1f\x7f][^.\x00-\x1f\x7f]{0,39}\Z")


class Amount(Decimal):
    """A decimal amount of money as people write it, in a JSON number or string: digits, a dot, digits; no exponent."""

    SCHEMA: ClassVar[dict[str, Any]] = {
        "description": "In major units, with no more decimal places than the currency has; no exponent.",
        "type": ["number", "string"],
        "format": "decimal",
        "exclusiveMinimum": 0,
        "maximum": AMOUNT_MINOR_MAX,
        "pattern": r"^[0-9]+(\.[0-9]+)?$",
        "maxLength": 64,
    }


class ExponentNumber(float):
    """A JSON number in exponent notation, told apart so that whoever wants a plain number can refuse it."""


def decode_json(body: bytes, kind: type[T]) -> T:
    """`body` as a `kind`, without coercion: one JSON value (RFC 8259), UTF-8, no duplicate keys, no NaN.

    Raises ProblemError: `malformed-json`, or `invalid-fields` with a pointer.
    """
    try:
        value = _DECODER.decode(body.decode())
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False, default=str).encode()  # a lone surrogate cannot be stored
    except UnicodeDecodeError:
        raise ProblemError("malformed-json", "the body is not UTF-8") from None
    except UnicodeEncodeError:
        raise ProblemError("malformed-json", "the body holds a lone surrogate") from None
    except RecursionError:
        raise ProblemError("malformed-json", "the body is nested too deeply") from None
    except ValueError as error:
        raise ProblemError("malformed-json", str(error)) from None
    try:
        return msgspec.convert(value, kind, dec_hook=_decode_own)
    except msgspec.ValidationError as error:
        raise _field_error(error) from None


class StrictRequest(Request[Any, Any, Any]):
    """Decodes a JSON body with `decode_json` into the type that the handler declares; Litestar's OpenAPI is kept."""

    async def body(self) -> bytes:
        try:
            return await super().body()
        except InternalServerException:  # what Litestar makes of a client that hangs up in mid-body
            raise ProblemError("malformed-json", "the body ended early") from None

    async def json(self) -> Any:
        require_json(self)
        field = self.route_handler.parsed_data_field
        return decode_json(await self.body(), field.annotation if field else Any)


def require_json(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """Raises ProblemError `unsupported-media-type` unless the body says it is JSON in UTF-8."""
    media_type, _, parameters = connection.headers.get("content-type", "").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    encoded = connection.headers.get("content-encoding", "identity").lower() != "identity"
    if media_type.strip() != "application/json" or charset not in {"", "utf-8"} or encoded:
        raise ProblemError("unsupported-media-type")


def idempotency_key(request: Request[Any, Any, Any]) -> str:
    """The request's Idempotency-Key. Raises ProblemError `idempotency-key-missing`, KeyMalformedError."""
    values = [value for name, value in request.scope["headers"] if name == b"idempotency-key"]
    if not values:
        raise ProblemError("idempotency-key-missing")
    if len(values) > 1:
        raise ProblemError("idempotency-key-malformed", "more than one Idempotency-Key header")
    return parse_key(values[0].decode("latin-1"))


_NAMED_FIELD = re.compile(r"(?:missing required|contains unknown) field `(\w+)`\Z")


def check_metadata(metadata: dict[str, str]) -> None:
    """Raises ProblemError for a key that MongoDB, or a person who queries it, would stumble over."""
    if not all(_METADATA_KEY.match(name) for name in metadata):
        raise invalid_field("/metadata", "keys have 1 to 40 characters, no dot, no control, and no $ at the start")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"duplicate key {name[:40]!r}")
            seen.add(name)
    return members


def _number(literal: str) -> Decimal | ExponentNumber:
    return ExponentNumber(literal) if "e" in literal or "E" in literal else Decimal(literal)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(literal: str) -> int:
    if len(literal) > 20:  # more than an int64 holds, and costly to parse at thousands of digits
        raise ValueError("a number has too many digits")
    return int(literal)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_number, parse_int=_integer, parse_constant=_refuse_constant
)


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
    """msgspec names the place as `$.metadata[...]`, or as `key` in `$.metadata`; a missing or unknown field it only names
    in the message.
    """
    message, _, place = str(error).partition(" - at `")
    steps = place.rpartition("$")[2].rstrip("`").replace("[...]", "").replace("[", ".").replace("]", "").split(".")
    if named := _NAMED_FIELD.search(message):
        steps.append(named[1])
    return invalid_field("".join(f"/{step}" for step in steps if step), message)
