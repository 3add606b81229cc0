"""What a JSON body may be. Whatever it is, the answer is a value or a problem, never a surprise."""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.connection import ASGIConnection
from msgspec import Meta

from shared.edge.problems import ProblemError
from shared.edge.requests import Fields, decode_json, require_json
from shared.edge.values import Amount


class Command(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    amount: Amount
    order_number: Annotated[str, Meta(min_length=1, max_length=64)] = "ORD-1"
    quantity: Annotated[int, Meta(ge=1, le=9)] = 1
    metadata: dict[str, str] = {}


def problem(body: bytes | str, kind: Any = Command) -> ProblemError:
    with pytest.raises(ProblemError) as refused:
        decode_json(body.encode() if isinstance(body, str) else body, kind)
    return refused.value


def slug_of(body: bytes, kind: Any) -> str | None:
    """What kind of problem `body` is; None if it is a value. Every other exception is a failure of the test."""
    try:
        decode_json(body, kind)
    except ProblemError as refused:
        return refused.slug
    return None


def pointers(refused: ProblemError) -> list[str]:
    return [error.pointer for error in refused.errors]


def test_a_valid_body_becomes_its_command() -> None:
    body = b' {"amount": 99.90, "orderNumber": "\\u0041-1", "quantity": 2, "metadata": {"a": "\\ud83d\\ude00"}}\n'
    assert decode_json(body, Command) == Command(Amount("99.90"), "A-1", 2, {"a": "😀"})


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        '{"amount": 1}}',
        '{"amount": 1} {"amount": 1}',
        "{'amount': 1}",
        '{"amount": 1,}',
        "{amount: 1}",
        '{"amount": 1} // comment',
        '{"amount": 01}',
        '{"amount": -01}',
        '{"amount": .5}',
        '{"amount": 1.}',
        '{"amount": +1}',
        '{"amount": 0x10}',
        '{"amount": 1_0}',
        '{"amount": ١٢}',
        '{"amount": NaN}',
        '{"amount": Infinity}',
        '{"amount": -Infinity}',
        '{"metadata": {"a": NaN}}',
        '{"orderNumber": "line\nbreak"}',
        '{"orderNumber": "\\x41"}',
        '\u00a0{"amount": 1}',
        "nul\0",
    ],
)
def test_what_rfc_8259_does_not_allow_is_malformed(body: str) -> None:
    assert problem(body).slug == "malformed-json"


@pytest.mark.parametrize(
    "body", ['{"amount": 1, "amount": 1}', '{"amount": 1, "am\\u006funt": 2}', '{"metadata": {"a": "1", "a": "2"}}']
)
def test_duplicate_keys_are_malformed(body: str) -> None:
    refused = problem(body)
    assert refused.slug == "malformed-json"
    assert "duplicate key" in refused.detail


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_byte_order_mark_or_another_encoding_is_malformed(encoding: str) -> None:
    assert problem('{"amount": 1}'.encode(encoding)).slug == "malformed-json"


@pytest.mark.parametrize("broken", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"])
def test_invalid_utf_8_is_malformed(broken: bytes) -> None:
    assert problem(b'{"orderNumber": "' + broken + b'"}').slug == "malformed-json"


@pytest.mark.parametrize(
    "body",
    ['{"orderNumber": "\\ud800"}', '{"metadata": {"\\udc00": "x"}}', '{"a": ["\\ud83d", "\\ude00"]}', '"\\ud800"'],
)
def test_a_lone_surrogate_is_malformed_wherever_it_stands(body: str) -> None:
    assert problem(body).slug == "malformed-json"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"\\u0041":', "}"), ('[{"b":', "}]")])
def test_nesting_of_any_depth_is_answered(opening: str, closing: str) -> None:
    for depth in [*range(400, 1002), 30_000]:
        body = (opening * depth + "0" + closing * depth).encode()
        assert slug_of(body, Any) in {None, "malformed-json"}
        assert slug_of(body, Command) in {"malformed-json", "invalid-fields"}


def test_nesting_30_000_deep_is_malformed() -> None:
    assert problem("[" * 30_000).slug == "malformed-json"


def test_a_body_that_is_nested_too_deeply_is_malformed_at_whatever_depth() -> None:
    """The parser and the look for lone surrogates reach their ends at depths of their own."""
    for depth in range(1, 1_200):
        refused = problem('{"amount": ' + "[" * depth + r'"\u0041"' + "]" * depth + "}")
        assert refused.slug in {"malformed-json", "invalid-fields"}, depth


@pytest.mark.parametrize("digits", [65, 400, 5_000, 60_000])
def test_thousands_of_digits_are_refused(digits: int) -> None:
    assert pointers(problem('{"amount": ' + "9" * digits + "}")) == ["/amount"]
    assert pointers(problem('{"amount": 0.' + "9" * digits + "9" * 64 + "}")) == ["/amount"]
    assert pointers(problem('{"amount": "' + "9" * digits + "9" * 64 + '"}')) == ["/amount"]


@pytest.mark.parametrize("amount", ["99.99", '"99.99"'])
def test_an_amount_is_a_number_or_a_string(amount: str) -> None:
    assert decode_json(f'{{"amount": {amount}}}'.encode(), Command).amount == Decimal("99.99")


@pytest.mark.parametrize(
    "amount", ["0.1", "1.10", "123456789.000000000000001", "9007199254740993", "0", "0.0000000001"]
)
def test_an_amount_arrives_as_written_with_no_float_between(amount: str) -> None:
    decoded = decode_json(f'{{"amount": {amount}}}'.encode(), Command)
    assert f"{decoded.amount:f}" == amount


@pytest.mark.parametrize(
    "amount",
    [
        "1e2",
        "1E+3",
        "1.5e1",
        "1e400",
        "1e-400",
        "-1",
        "-0.5",
        "true",
        "null",
        "[1]",
        "{}",
        '""',
        '"1e2"',
        '" 1"',
        '"1 "',
        '"1\\n"',
        '"1_0"',
        '"١٢"',
        '"NaN"',
        '"Infinity"',
        '"-1"',
        '"+1"',
        '"1,5"',
        '".5"',
        '"0x1"',
    ],
)
def test_an_amount_in_any_other_spelling_is_an_invalid_field(amount: str) -> None:
    refused = problem(f'{{"amount": {amount}}}')
    assert (refused.slug, pointers(refused)) == ("invalid-fields", ["/amount"])


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ('"orderNumber": ""', "/orderNumber"),
        ('"orderNumber": 5', "/orderNumber"),
        ('"orderNumber": 5.5', "/orderNumber"),
        ('"orderNumber": null', "/orderNumber"),
        ('"quantity": "2"', "/quantity"),
        ('"quantity": 2.0', "/quantity"),
        ('"quantity": 1e0', "/quantity"),
        ('"quantity": true', "/quantity"),
        ('"quantity": 0', "/quantity"),
        ('"quantity": 99999999999999999999', "/quantity"),
        ('"metadata": []', "/metadata"),
        ('"metadata": {"a": 1}', "/metadata"),
    ],
)
def test_a_wrong_field_is_pointed_at_and_nothing_is_coerced(members: str, pointer: str) -> None:
    refused = problem(f'{{"amount": 1, {members}}}')
    assert (refused.slug, pointers(refused)) == ("invalid-fields", [pointer])


@pytest.mark.parametrize(
    ("body", "pointer", "named"),
    [
        ("{}", "/amount", "amount"),
        ('{"amount": 1, "ammount": 2}', "/ammount", "ammount"),
        ("[]", "", "array"),
        ("null", "", "null"),
    ],
)
def test_a_missing_or_unknown_field_is_pointed_at_and_a_body_of_another_kind_as_a_whole(
    body: str, pointer: str, named: str
) -> None:
    refused = problem(body)
    assert (refused.slug, pointers(refused)) == ("invalid-fields", [pointer])
    assert named in refused.detail


@pytest.mark.parametrize("number", ["0.00001", "1e-5", "1E-5", "0.1e-4", "1e-05"])
def test_a_number_that_is_no_amount_may_have_an_exponent(number: str) -> None:
    assert decode_json(f'{{"rate": {number}}}'.encode(), dict[str, Annotated[float, Meta(ge=0, le=1)]]) == {
        "rate": 1e-5
    }


@pytest.mark.parametrize("number", ["1e400", "1e1", "-1e-5"])
def test_with_an_exponent_too_it_has_its_bounds(number: str) -> None:
    refused = problem(f'{{"rate": {number}}}', dict[str, Annotated[float, Meta(ge=0, le=1)]])
    assert refused.slug == "invalid-fields"


def test_a_number_is_never_taken_for_text_however_it_is_written() -> None:
    for number in ("1e5", "1E5", "1.5", "5"):
        assert pointers(problem(f'{{"amount": 1, "orderNumber": {number}}}')) == ["/orderNumber"]


@given(st.binary())
def test_arbitrary_bytes_are_a_value_or_a_problem_and_nothing_else(body: bytes) -> None:
    assert slug_of(body, Command) in {None, "malformed-json", "invalid-fields"}


FRAGMENTS = [
    '{"amount":',
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "1",
    "e9",
    ".",
    "-",
    "NaN",
    "\\u",
    "d800",
    "null",
    "amount",
]


@given(st.lists(st.sampled_from(FRAGMENTS)), st.sampled_from([Command, Any, dict[str, str]]))
def test_arbitrary_fragments_of_json_are_a_value_or_a_problem(fragments: list[str], kind: Any) -> None:
    assert slug_of("".join(fragments).encode(), kind) in {None, "malformed-json", "invalid-fields"}


def media_type_is_taken(*values: bytes) -> bool:
    scope: Any = {"type": "http", "fields": Fields((b"content-type", value) for value in values)}
    try:
        require_json(ASGIConnection(scope))
    except ProblemError:
        return False
    return True


@given(st.lists(st.sampled_from([*b' \t;="\\,/*', *b"application/json charset=utf-8 x"])))
def test_whatever_a_media_type_says_it_is_taken_or_refused(rest: list[int]) -> None:
    media_type_is_taken(b"application/json" + bytes(rest))


@given(st.lists(st.from_regex(r'[a-z]{1,8}="?[A-Za-z0-9]{1,8}"?', fullmatch=True).filter(lambda p: p.count('"') != 1)))
def test_parameters_other_than_the_charset_say_nothing(parameters: list[str]) -> None:
    others = [parameter for parameter in parameters if not parameter.startswith("charset")]
    assert media_type_is_taken(";".join(["application/json", *others, "charset=utf-8"]).encode())


def test_of_two_headers_of_one_name_neither_is_dropped() -> None:
    fields = Fields([(b"a", b"1"), (b"b", b"\xe9"), (b"a", b"2")])
    assert (fields.values(b"a"), fields.values(b"b"), fields.values(b"c")) == (["1", "2"], ["é"], [])


def test_a_media_type_with_many_quotes_costs_little() -> None:
    """Against a pattern that tries every way to divide them."""
    assert not media_type_is_taken(b"application/json" + b';a="\\' * 8_000)
