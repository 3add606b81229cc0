from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import (
    AMOUNT_MINOR_MAX,
    AmountError,
    CurrencyError,
    exponent_of,
    in_major,
    in_minor,
    parse_plain_decimal,
)

CURRENCIES = st.sampled_from(["JPY", "USD", "EUR", "KWD", "CLF"])


@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("USD", 2), ("KWD", 3)])
def test_a_currency_has_the_decimal_places_of_iso_4217(currency: str, places: int) -> None:
    assert exponent_of(currency) == places


@pytest.mark.parametrize("currency", ["", "usd", "US", "USDX", "ZZZ", "USD\n", "XAU", "ＵＳＤ"])  # noqa: RUF001
def test_anything_else_is_no_currency(currency: str) -> None:
    with pytest.raises(CurrencyError):
        exponent_of(currency)


@pytest.mark.parametrize(
    ("major", "currency", "minor"),
    [("99.99", "USD", 9999), ("99.9", "USD", 9990), ("99.90", "USD", 9990), ("5", "JPY", 5), ("1.234", "KWD", 1234)],
)
def test_major_units_become_minor_units(major: str, currency: str, minor: int) -> None:
    assert in_minor(Decimal(major), currency, exponent_of(currency)) == minor


@given(st.integers(1, AMOUNT_MINOR_MAX), CURRENCIES)
def test_every_payable_amount_survives_the_way_to_major_units_and_back(minor: int, currency: str) -> None:
    assert in_minor(in_major(minor, exponent_of(currency)), currency, exponent_of(currency)) == minor


@given(st.integers(1, AMOUNT_MINOR_MAX), CURRENCIES)
def test_an_amount_is_never_shown_with_an_exponent(minor: int, currency: str) -> None:
    assert "E" not in str(in_major(minor, exponent_of(currency)))


def test_an_amount_is_shown_with_its_currencys_decimal_places() -> None:
    assert str(in_major(9990, 2)) == "99.90"


@pytest.mark.parametrize(
    ("major", "currency"),
    [("0.001", "USD"), ("1.5", "JPY"), ("1.0001", "KWD"), ("0." + "9" * 60, "USD"), ("1." + "0" * 58 + "1", "USD")],
)
def test_a_fraction_of_the_smallest_unit_is_not_payable(major: str, currency: str) -> None:
    with pytest.raises(AmountError, match="decimal places"):
        in_minor(Decimal(major), currency, exponent_of(currency))


@pytest.mark.parametrize("major", ["0", "0.00", "-1", "10000000000000.00"])
def test_nothing_less_than_nothing_and_too_much_are_not_payable(major: str) -> None:
    with pytest.raises(AmountError, match=r"at most 9999999999999\.99 USD"):
        in_minor(Decimal(major), "USD", 2)


@pytest.mark.parametrize("text", ["0", "1", "99.99", "007", "0.10", "9" * 64])
def test_plain_digits_are_a_number(text: str) -> None:
    assert parse_plain_decimal(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "1E+3",
        "NaN",
        "sNaN",
        "Infinity",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1,5",
        "0x10",
        "١٢",
        "1.٢",
        "९",
        "9" * 65,
        "1.2.3",
    ],
)
def test_nothing_but_plain_digits_is_a_number(text: str) -> None:
    """FACTS, Litestar 2: Decimal alone takes most of these."""
    with pytest.raises(AmountError):
        parse_plain_decimal(text)


@given(st.text())
def test_arbitrary_text_is_a_number_or_an_amount_error(text: str) -> None:
    with suppress(AmountError):
        assert parse_plain_decimal(text) >= 0


def test_an_amount_is_read_by_the_places_it_was_stored_with_whatever_the_table_says() -> None:
    assert in_minor(Decimal("1.5"), "ZZZ", 1) == 15
    assert in_major(15, 1) == Decimal("1.5")
    with pytest.raises(AmountError, match="ZZZ has 1 decimal places"):
        in_minor(Decimal("1.55"), "ZZZ", 1)
