"""What a JSON body may be: one value by RFC 8259, in UTF-8, with no key twice, of a size and depth that cost nothing."""

import time

import pytest

from tests.e2e.hostile.raw import exchange
from tests.e2e.hostile.target import Case, Target

MALFORMED = (400, "malformed-json")
INVALID = (422, "invalid-fields")  # JSON, but not what is wanted

CASES = [
    Case("nothing", b"", *MALFORMED),
    Case("spaces", b"  \r\n\t ", *MALFORMED),
    Case("an object cut off after its brace", b"{", *MALFORMED),
    Case("an object cut off in a string", b'{"currency": "US', *MALFORMED),
    Case("an object cut off in an escape", b'{"currency": "\\u00', *MALFORMED),
    Case("an object cut off in a keyword", b'{"currency": nul', *MALFORMED),
    Case("a closing brace too many", b"{}}", *MALFORMED),
    Case("two values", b"{} {}", *MALFORMED),
    Case("NUL after the value", b"{}\0", *MALFORMED),
    Case("a comma at the end", b'{"amount": 1,}', *MALFORMED),
    Case("a comma at the start", b'{,"amount": 1}', *MALFORMED),
    Case("no colon", b'{"amount" 1}', *MALFORMED),
    Case("single quotes", b"{'amount': 1}", *MALFORMED),
    Case("a key without quotes", b"{amount: 1}", *MALFORMED),
    Case("a line comment", b"{} // done", *MALFORMED),
    Case("a block comment", b"{/* nothing */}", *MALFORMED),
    Case("a number for a key", b"{1: 1}", *MALFORMED),
    Case("a line break in a string", b'{"currency": "US\nD"}', *MALFORMED),
    Case("NUL in a string", b'{"currency": "US\0D"}', *MALFORMED),
    Case("an escape that JSON does not have", b'{"currency": "\\x55SD"}', *MALFORMED),
    Case("a no-break space before the value", b"\xc2\xa0{}", *MALFORMED),
    Case("a form in the guise of JSON", b"amount=1&currency=USD", *MALFORMED),
    # Encodings, RFC 8259 §8.1
    Case("a byte order mark", b"\xef\xbb\xbf{}", *MALFORMED),
    Case("UTF-16", "{}".encode("utf-16"), *MALFORMED),
    Case("UTF-16 without a mark", "{}".encode("utf-16-le"), *MALFORMED),
    Case("UTF-32", "{}".encode("utf-32"), *MALFORMED),
    Case("a byte that is not UTF-8", b'{"currency": "\xff"}', *MALFORMED),
    Case("Latin-1", '{"currency": "é"}'.encode("latin-1"), *MALFORMED),
    Case("a UTF-8 sequence cut off", b'{"currency": "\xe2\x82"}', *MALFORMED),
    Case("an overlong UTF-8 slash", b'{"currency": "\xc0\xaf"}', *MALFORMED),
    Case("a surrogate in UTF-8", b'{"currency": "\xed\xa0\x80"}', *MALFORMED),
    Case("beyond U+10FFFF", b'{"currency": "\xf4\x90\x80\x80"}', *MALFORMED),
    Case("a lone surrogate escaped in a value", b'{"currency": "\\ud800"}', *MALFORMED),
    Case("a lone surrogate escaped in a key", b'{"\\udfff": 1}', *MALFORMED),
    Case("surrogates in the wrong order", b'{"currency": "\\ude00\\ud83d"}', *MALFORMED),
    # Numbers, RFC 8259 §6
    Case("NaN", b'{"amount": NaN}', *MALFORMED),
    Case("Infinity", b'{"amount": Infinity}', *MALFORMED),
    Case("-Infinity", b'{"amount": -Infinity}', *MALFORMED),
    Case("NaN in metadata", b'{"metadata": {"a": NaN}}', *MALFORMED),
    Case("a leading zero", b'{"amount": 01}', *MALFORMED),
    Case("two leading zeros", b'{"amount": 00.5}', *MALFORMED),
    Case("a leading plus", b'{"amount": +1}', *MALFORMED),
    Case("a leading dot", b'{"amount": .5}', *MALFORMED),
    Case("a dot at the end", b'{"amount": 1.}', *MALFORMED),
    Case("a lone minus", b'{"amount": -}', *MALFORMED),
    Case("an exponent without digits", b'{"amount": 1e}', *MALFORMED),
    Case("hexadecimal", b'{"amount": 0x10}', *MALFORMED),
    Case("an underscore", b'{"amount": 1_000}', *MALFORMED),
    Case("full-width digits", '{"amount": \uff11\uff12}'.encode(), *MALFORMED),
    Case("10^400 in digits", b'{"amount": 1' + b"0" * 400 + b"}", *MALFORMED),  # RFC 8259 §6 lets us set the range
    Case("5,000 digits", b'{"amount": ' + b"9" * 5_000 + b"}", *MALFORMED),
    Case("60,000 digits", b'{"amount": ' + b"9" * 60_000 + b"}", *MALFORMED),
    Case("60,000 digits in a list", b"[" + b"9" * 60_000 + b"]", *MALFORMED),
    # Keys
    Case("a key twice", b'{"amount": 1, "amount": 1}', *MALFORMED),
    Case("a key twice, once escaped", b'{"amount": 1, "\\u0061mount": 2}', *MALFORMED),
    Case("a key twice in metadata", b'{"metadata": {"a": "1", "a": "2"}}', *MALFORMED),
    Case("a key twice that nobody asked for", b'{"x": {"y": {"z": 1, "z": 1}}}', *MALFORMED),
    Case("7,000 keys", b"{" + b",".join(b'"%x":1' % n for n in range(7_000)) + b"}", *INVALID),
    Case("a key of 60,000 characters", b'{"' + b"k" * 60_000 + b'": 1}', *INVALID),
    # Depth and size
    Case("30,000 arrays opened", b"[" * 30_000, *MALFORMED),
    Case("30,000 arrays", b"[" * 30_000 + b"]" * 30_000, *MALFORMED),
    Case("12,000 objects", b'{"":' * 12_000 + b"1" + b"}" * 12_000, *MALFORMED),
    Case("12,000 objects opened", b'{"a":' * 12_000, *MALFORMED),
    Case("30,000 arrays in metadata", b'{"metadata": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", *MALFORMED),
    Case("20,000 empty arrays", b"[" + b",".join([b"[]"] * 20_000) + b"]", *INVALID),
    Case("60,000 spaces before the value", b" " * 60_000 + b"{}", *INVALID),
    Case("a string of 10,000 escapes", b'{"currency": "' + b"\\u0041" * 10_000 + b'"}', *INVALID),
    Case("60,000 backslashes", b'{"currency": "' + b"\\" * 60_000 + b'"}', *INVALID),
    Case("60,000 quotes", b'"' * 60_000, *MALFORMED),
    # Other values than an object
    Case("null", b"null", *INVALID),
    Case("true", b"true", *INVALID),
    Case("a number", b"1", *INVALID),
    Case("a string", b'"order"', *INVALID),
    Case("an array", b"[]", *INVALID),
    Case("an array of objects", b"[{}]", *INVALID),
    Case("an empty object", b"{}", *INVALID),
]

COSTLY = [
    ("a whole number", b'{"amount": %s}', b"9"),
    ("a fraction", b'{"amount": 0.%s}', b"9"),
    ("an exponent", b'{"amount": 1e%s}', b"9"),
    ("a number in a string", b'{"amount": "%s"}', b"9"),
    ("arrays", b"%s", b"["),
    ("objects", b"%s", b'{"a":'),
    ("escapes", b'{"currency": "%s"}', b"\\u0041"),
    ("white space", b"%s", b" "),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_body_is_one_json_value_that_is_wanted(target: Target, case: Case) -> None:
    await target.expect(case, target.post(case.sent))


@pytest.mark.parametrize(("body", "unit"), [case[1:] for case in COSTLY], ids=[case[0] for case in COSTLY])
async def test_the_worst_body_costs_about_what_any_body_of_its_size_does(
    target: Target, body: bytes, unit: bytes
) -> None:
    """Against time that grows with the square of the size, as turning digits into a number can take."""
    worst = body.replace(b"%s", unit * (65_000 // len(unit)))
    harmless = b'"' + b"x" * 65_000 + b'"'
    assert await _fastest(target, worst) < 20 * await _fastest(target, harmless)


async def _fastest(target: Target, body: bytes) -> float:
    """The seconds that the fastest of ten such requests took."""
    taken = []
    for _ in range(10):
        started = time.perf_counter()
        answer = await exchange(target.port, target.post(body))
        taken.append(time.perf_counter() - started)
        assert answer.status in {400, 422}
    return min(taken)
