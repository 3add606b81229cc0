"""`Authorization`: one header, one scheme, one key; otherwise 401, before anything else of the request is looked at."""

from tests.hostile.requests import API_KEY, Case, Requests

KEY = API_KEY.encode()
REFUSED = (401, "unauthenticated")

# What is sent is the header's values.
CASES = [
    Case("a key", [b"Bearer " + KEY], 200),
    Case("the scheme in small letters", [b"bearer " + KEY], 200),  # RFC 9110 §11.1: schemes have no case
    Case("no header", [], *REFUSED),
    Case("an empty header", [b""], *REFUSED),
    Case("a scheme without a key", [b"Bearer"], *REFUSED),
    Case("a scheme and a space", [b"Bearer "], *REFUSED),
    Case("a key without a scheme", [KEY], *REFUSED),
    Case("another scheme", [b"Basic " + KEY], *REFUSED),
    Case("a scheme that starts like the right one", [b"BearerX " + KEY], *REFUSED),
    Case("a key in another case", [b"Bearer " + KEY.upper()], *REFUSED),
    Case("a key cut short", [b"Bearer " + KEY[:-1]], *REFUSED),
    Case("a key and more", [b"Bearer " + KEY + b" x"], *REFUSED),
    Case("a key in quotes", [b'Bearer "%s"' % KEY], *REFUSED),
    Case("two keys in one header", [b"Bearer %s, Bearer %s" % (KEY, KEY)], *REFUSED),
    Case("two headers", [b"Bearer " + KEY, b"Bearer " + KEY], *REFUSED),
    Case("a wrong header before the right one", [b"Bearer x", b"Bearer " + KEY], *REFUSED),
    Case("a wrong header after the right one", [b"Bearer " + KEY, b"Bearer x"], *REFUSED),
    Case("bytes that are not ASCII", ["Bearer schlüssel".encode()], *REFUSED),
    Case("bytes that are not UTF-8", [b"Bearer \xff\xfe"], *REFUSED),
    Case("an operator", [b'Bearer {"$ne": null}'], *REFUSED),
    Case("20,000 characters", [b"Bearer " + b"k" * 20_000], *REFUSED),
]


def with_authorization(target: Requests, case: Case) -> bytes:
    return target.get(f"{target.collection}?limit=1", {"Authorization": case.sent})
