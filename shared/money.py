"""Money: whole minor units (cents, yen, fils) and an ISO 4217 currency inside; decimal major units for people."""

import re
from decimal import Context, Decimal

from iso4217 import Currency

AMOUNT_MINOR_MAX = (
    999_999_999_999_999  # fifteen digits stay exact in a double, so in every JSON parser; an int64 has room
)

_DIGITS_MAX = 64
_EXACT = Context(prec=_DIGITS_MAX + 8)  # more digits than an amount may have: nothing is ever rounded
_PLAIN_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?\Z")
_EXPONENTS = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


class AmountError(ValueError):
    """An amount that is not payable in its currency; the message says why."""


class CurrencyError(ValueError):
    """Not the code of an ISO 4217 currency that has minor units."""


def exponent_of(currency: str) -> int:
    """How many decimal places a currency has: JPY 0, USD 2, KWD 3. Raises CurrencyError."""
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise CurrencyError("not an ISO 4217 currency code in capitals, such as USD") from None


def parse_plain_decimal(value: str) -> Decimal:
    """The number that `value` writes as digits, optionally a dot and more digits. Raises AmountError.

    Decimal alone would also take exponents, NaN, spaces, underscores and the digits of other scripts.
    """
    if len(value) > _DIGITS_MAX or not _PLAIN_DECIMAL.match(value):
        raise AmountError("write an amount in plain digits, such as 99.99")
    return Decimal(value)


def shortest(major: Decimal) -> Decimal:
    """The same number without zeros at its end, so that what is equal is written alike."""
    return _EXACT.normalize(major)


def in_minor(major: Decimal, currency: str, exponent: int) -> int:
    """`major` in minor units: 99.99 with 2 decimal places is 9999. Raises AmountError when it is not payable."""
    minor = _EXACT.scaleb(major, exponent)
    if minor != minor.to_integral_value():
        raise AmountError(f"{currency} has {exponent or 'no'} decimal places")
    if not 0 < minor <= AMOUNT_MINOR_MAX:
        raise AmountError(f"must be more than 0 and at most {in_major(AMOUNT_MINOR_MAX, exponent):f} {currency}")
    return int(minor)


def in_major(minor: int, exponent: int) -> Decimal:
    """`minor` in major units: 9990 with 2 decimal places is 99.90."""
    return Decimal(minor).scaleb(-exponent)
