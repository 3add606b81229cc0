"""Strict JSON, which every reader understands in the same way (RFC 7493): no duplicate member, no NaN, nothing rounded."""

import json
from decimal import Decimal
from typing import Any

_TOO_DEEP = "nested too deeply"


def parse_json(text: str) -> Any:
    """Parses one JSON value (RFC 8259). A number with a fraction becomes a Decimal, as written. One with an exponent becomes
    a float, which is never an amount of money. An integer beyond 64 bits becomes a Decimal. Raises ValueError.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def has_lone_surrogate(value: Any, text: str) -> bool:
    """Whether a string in `value`, parsed from `text`, has half of a surrogate pair, which cannot be stored (RFC 7493 §2.1).
    Raises ValueError.
    """
    if "\\u" not in text:
        return False
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return True
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"duplicate key {name[:40]!r}")
        members[name] = value
    return members


def _number(literal: str) -> Decimal | float:
    return float(literal) if "e" in literal.lower() else Decimal(literal)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(literal: str) -> int | Decimal:
    return int(literal) if len(literal) <= 20 else Decimal(literal)  # thousands of digits are costly to parse


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_number, parse_int=_integer, parse_constant=_refuse_constant
)
