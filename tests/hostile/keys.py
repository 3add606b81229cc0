"""`Idempotency-Key`, by draft-ietf-httpapi-idempotency-key-header and RFC 8941 §3.3.3, or bare as Stripe takes it."""

from uuid import uuid4

from tests.hostile.requests import Case

MISSING = (400, "idempotency-key-missing")
MALFORMED = (400, "idempotency-key-malformed")

# What is sent is the header's values: none, one, or several headers.
CASES = [
    Case("no key", [], *MISSING),
    Case("an empty key", [b""], *MALFORMED),
    Case("a key of spaces", [b"   "], *MALFORMED),
    Case("an empty quoted key", [b'""'], *MALFORMED),
    Case("255 characters", [b"k" * 255], 201),
    Case("255 characters in quotes", [b'"%s"' % (b"q" * 255)], 201),
    Case("255 escaped quotes", [b'"%s"' % (b'\\"' * 255)], 201),
    Case("256 characters", [b"k" * 256], *MALFORMED),
    Case("256 characters in quotes", [b'"%s"' % (b"k" * 256)], *MALFORMED),
    Case("256 escaped quotes", [b'"%s"' % (b'\\"' * 256)], *MALFORMED),
    Case("30,000 characters", [b"k" * 30_000], *MALFORMED),
    Case("two keys", [b"one", b"two"], *MALFORMED),
    Case("one key in two headers", [b"same", b"same"], *MALFORMED),
    Case("a key and an empty header", [b"one", b""], *MALFORMED),
    Case("an unclosed quote", [b'"one'], *MALFORMED),
    Case("a quote at the end only", [b'one"'], *MALFORMED),
    Case("a quote in the middle", [b'"o"ne"'], *MALFORMED),
    Case("a lone quote", [b'"'], *MALFORMED),
    Case("a bare list", [b"one, two"], *MALFORMED),
    Case("a list of quoted keys", [b'"one", "two"'], *MALFORMED),
    Case("a quoted key with a parameter", [b'"one";a=b'], *MALFORMED),
    Case("a bare key with a parameter", [b"one;a=b"], *MALFORMED),
    Case("a space inside", [b"one two"], *MALFORMED),
    Case("a space inside quotes", [b'"one two"'], *MALFORMED),
    Case("a tab inside", [b"one\ttwo"], *MALFORMED),
    Case("a tab inside quotes", [b'"one\ttwo"'], *MALFORMED),
    Case("a bare backslash", [b"one\\two"], *MALFORMED),
    Case("an escape of neither quote nor backslash", [b'"one\\two"'], *MALFORMED),
    Case("a backslash that escapes the closing quote", [b'"one\\"'], *MALFORMED),
    Case("UTF-8", ["clé".encode()], *MALFORMED),
    Case("UTF-8 in quotes", ['"clé"'.encode()], *MALFORMED),
    Case("Latin-1", ["clé".encode("latin-1")], *MALFORMED),
    Case("a no-break space around it", [b"\xa0key-nbsp\xa0"], *MALFORMED),
    Case("spaces and tabs around it, which HTTP takes off", [b" \t %s \t " % uuid4().hex.encode()], 201),
    # Controls never get as far as the application: RFC 9110 §5.5.
    Case("NUL", [b"one\0two"], 400),
    Case("a control character", [b"one\x01two"], 400),
    Case("DEL", [b"one\x7ftwo"], 400),
    Case("a lone carriage return", [b"one\rtwo"], 400),
]
