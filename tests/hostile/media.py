"""What a body may say it is: JSON in UTF-8, not encoded. Nothing is guessed, and nobody is answered 406."""

from tests.hostile.requests import Case

UNSUPPORTED = (415, "unsupported-media-type")

# What is sent is the values of Content-Type.
TYPES = [
    Case("no media type", [], *UNSUPPORTED),
    Case("an empty one", [b""], *UNSUPPORTED),
    Case("text", [b"text/plain"], *UNSUPPORTED),
    Case("a form", [b"application/x-www-form-urlencoded"], *UNSUPPORTED),
    Case("multipart", [b"multipart/form-data; boundary=x"], *UNSUPPORTED),
    Case("XML", [b"application/xml"], *UNSUPPORTED),
    Case("MessagePack", [b"application/x-msgpack"], *UNSUPPORTED),
    Case("another type with JSON's syntax", [b"application/problem+json"], *UNSUPPORTED),
    Case("a type that starts like JSON's", [b"application/json5"], *UNSUPPORTED),
    Case("a subtype alone", [b"json"], *UNSUPPORTED),
    Case("a wildcard", [b"*/*"], *UNSUPPORTED),
    Case("a list of types", [b"application/json, text/plain"], *UNSUPPORTED),
    Case("two headers", [b"application/json", b"text/plain"], *UNSUPPORTED),
    Case("two headers that say the same", [b"application/json", b"application/json"], *UNSUPPORTED),
    Case("a header before the right one", [b"text/plain", b"application/json"], *UNSUPPORTED),
    Case("bytes that are not ASCII", ["applicatión/json".encode()], *UNSUPPORTED),
    Case("30,000 characters", [b"application/" + b"j" * 30_000], *UNSUPPORTED),
    Case("ten thousand parameters", [b"application/json" + b";a" * 10_000], *UNSUPPORTED),
    Case("capitals", [b"Application/JSON"], 201),
    Case("UTF-8", [b"application/json; charset=utf-8"], 201),
    Case("UTF-8 in capitals and without a space", [b"application/json;charset=UTF-8"], 201),
    Case("UTF-8 in quotes", [b'application/json; CHARSET="utf-8"'], 201),
    Case("UTF-8 with a character escaped", [b'application/json; charset="utf\\-8"'], 201),
    # RFC 8259 §11 defines no parameters; what others add is ignored, RFC 6838 §4.3.
    Case("a parameter that nobody knows", [b"application/json; x=y"], 201),
    Case("one beside the charset", [b"application/json; charset=utf-8; x=y"], 201),
    Case("one with a semicolon and a quote in it", [b'application/json; x="a;\\"b"; charset=utf-8'], 201),
    Case("empty parameters", [b"application/json ; ; charset=utf-8;"], 201),  # RFC 9110 §5.6.6 allows them
    Case("spaces around it", [b"  application/json  "], 201),
    Case("another charset", [b"application/json; charset=utf-16"], *UNSUPPORTED),
    Case("another charset in quotes", [b'application/json; charset="iso-8859-1"'], *UNSUPPORTED),
    Case("an empty charset", [b"application/json; charset="], *UNSUPPORTED),
    Case("a charset without a value", [b"application/json; charset"], *UNSUPPORTED),
    Case("an alias that IANA does not have", [b"application/json; charset=utf8"], *UNSUPPORTED),
    Case("the charset twice", [b"application/json; charset=utf-8; charset=utf-8"], *UNSUPPORTED),
    Case("two charsets", [b"application/json; charset=utf-8; charset=utf-16"], *UNSUPPORTED),
    Case("two charsets, spelled differently", [b"application/json; charset=utf-16; Charset=utf-8"], *UNSUPPORTED),
    Case("an unclosed quote", [b'application/json; charset="utf-8'], *UNSUPPORTED),
    Case("a charset in single quotes", [b"application/json; charset='utf-8'"], *UNSUPPORTED),
    Case("spaces around the equals sign", [b"application/json; charset = utf-8"], *UNSUPPORTED),
    Case("a parameter without a semicolon", [b"application/json charset=utf-8"], *UNSUPPORTED),
]

CODINGS = [
    Case("no coding", [b"identity"], 201),
    Case("an empty header", [b""], 201),
    Case("gzip", [b"gzip"], *UNSUPPORTED),
    Case("gzip in capitals", [b"GZIP"], *UNSUPPORTED),
    Case("deflate", [b"deflate"], *UNSUPPORTED),
    Case("Brotli", [b"br"], *UNSUPPORTED),
    Case("a list", [b"identity, gzip"], *UNSUPPORTED),
    Case("two headers", [b"identity", b"gzip"], *UNSUPPORTED),
    Case("a coding that nobody knows", [b"x-unknown"], *UNSUPPORTED),
]

# RFC 9110 §12.4.1 lets a server disregard what it is asked to answer with: better JSON than nothing, and the order is made.
PREFERENCES = [
    Case("a picture", {"Accept": [b"image/png"]}, 201),
    Case("anything but JSON", {"Accept": [b"application/json;q=0, */*"]}, 201),
    Case("nothing at all", {"Accept": [b""]}, 201),
    Case("garbage", {"Accept": [b";;;q=,/"]}, 201),
    Case("no coding that exists", {"Accept-Encoding": [b"identity;q=0, *;q=0"]}, 201),
    Case("another charset", {"Accept-Charset": [b"utf-16;q=1, *;q=0"]}, 201),
    Case("no language", {"Accept-Language": [b"*;q=0"]}, 201),
    Case("an expectation that is met", {"Expect": [b"100-continue"]}, 201),
    Case("an expectation that nobody knows", {"Expect": [b"a-miracle"]}, 201),  # RFC 9110 §10.1.1: MAY be 417
    Case("a condition", {"If-Match": [b'"never"']}, 201),
    Case("another method", {"X-HTTP-Method-Override": [b"DELETE"]}, 201),
]
