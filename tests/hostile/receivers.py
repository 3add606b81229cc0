"""Receivers of webhooks that are odd rather than hostile. The status line decides, whatever is wrong with the rest."""

from typing import NamedTuple


class Odd(NamedTuple):
    """What it sends, in `parts` that come one by one; what is kept of it; and what the error begins with after `after the
    status line`, if the rest was wrong. Where it neither ends nor `closes`, only the time limit ends it.
    """

    name: str
    parts: tuple[bytes, ...]
    status: int | None = 200
    body: str = "ok"
    error: str | None = None
    closes: bool = False
    ends: bool = True


def _byte_by_byte(answer: bytes) -> tuple[bytes, ...]:
    return tuple(bytes([byte]) for byte in answer)


_INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n"
_END = b"Content-Length: 2\r\n\r\nok"
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
_MALFORMED, _CUT, _TIME = "ClientResponseError: ", "ClientPayloadError: ", "TimeoutError"

# The head is unusual, and all of the answer is read.
READ = [
    Odd("a header line of 9,000 bytes", (_OK + b"X: " + b"x" * 9_000 + b"\r\n" + _END,)),
    Odd("a reason of 9,000 bytes", (b"HTTP/1.1 200 " + b"x" * 9_000 + b"\r\n" + _END,)),
    Odd("200 headers", (_OK + b"".join(b"X-%d: y\r\n" % number for number in range(200)) + _END,)),
    Odd("br, and no br", (_OK + b"Content-Encoding: br\r\n" + _END,)),
    Odd("zstd, and no zstd", (_OK + b"Content-Encoding: zstd\r\n" + _END,)),
    Odd("gzip, and no gzip", (_OK + b"Content-Encoding: gzip\r\n" + _END,)),
    Odd("deflate, and no deflate", (_OK + b"Content-Encoding: deflate\r\n" + _END,)),
    Odd("a coding that nobody knows", (_OK + b"Content-Encoding: rot13\r\n" + _END,)),
    Odd("no reason", (b"HTTP/1.1 200\r\n" + _END,)),
    Odd("a reason in UTF-8", ("HTTP/1.1 200 schön\r\n".encode() + _END,)),
    Odd("a reason in Latin-1", ("HTTP/1.1 200 schön\r\n".encode("latin-1") + _END,)),
    Odd("an empty line before the answer", (b"\r\n" + _OK + _END,)),
    Odd("empty lines before the answer, apart", (b"\r\n\r\n", b"\r\n\n", b"\n\n" + _OK + _END)),
    Odd("bare line feeds", (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",)),
    Odd("a folded header", (_OK + b"X: a\r\n b\r\n" + _END,)),
    Odd("HTTP/1.0 without a length", (b"HTTP/1.0 200 OK\r\n\r\nok",), closes=True),
    Odd("HTTP/1.1 without a length", (_OK + b"\r\nok",), closes=True),
    Odd("byte by byte", _byte_by_byte(_OK + _END)),
    Odd("more than its length", (_OK + _END + b" and more",)),
    Odd("the answer twice", ((_OK + _END) * 2,)),
    Odd("a coding of chunks twice", (_OK + b"Transfer-Encoding: chunked\r\n" + _CHUNKED + b"2\r\nok\r\n0\r\n\r\n",)),
    Odd("204 with a body", (b"HTTP/1.1 204 No Content\r\n" + _END,), 204, ""),
    Odd("204 with a body and no length", (b"HTTP/1.1 204 No Content\r\n\r\nok",), 204, ""),
    Odd("a status of 999", (b"HTTP/1.1 999 Odd\r\n" + _END,), 999),
]  # fmt: skip

# The head makes no sense beyond its first line; what came with it is kept as it came.
MALFORMED = [
    Odd("a length twice", (_OK + b"Content-Length: 2\r\n" + _END,), error=_MALFORMED),
    Odd("two lengths", (_OK + b"Content-Length: 3\r\n" + _END,), error=_MALFORMED),
    Odd("a length twice, after interim answers", (_INTERIM * 3 + _OK + b"Content-Length: 2\r\n" + _END,), error=_MALFORMED),
    Odd("a length that is no number", (_OK + b"Content-Length: two\r\n\r\nok",), error=_MALFORMED),
    Odd("a negative length", (_OK + b"Content-Length: -1\r\n\r\nok",), error=_MALFORMED),
    Odd("a length and chunks", (_OK + b"Content-Length: 2\r\n" + _CHUNKED + b"ok",), error=_MALFORMED),
    Odd("a header without a colon", (_OK + b"and so on\r\n" + _END,), error=_MALFORMED),
    Odd("a space in a name", (_OK + b"X Y: z\r\n" + _END,), error=_MALFORMED),
    Odd("NUL in a value", (_OK + b"X: a\0b\r\n" + _END,), error=_MALFORMED),
    Odd("a length twice, byte by byte", _byte_by_byte(_OK + b"Content-Length: 2\r\n" + _END), body="", error=_MALFORMED),
    Odd("a length twice, and 500", (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n" + _END,), 500, error=_MALFORMED),
    Odd("a head of 100 KiB", (_OK + (b"X: " + b"x" * 1_000 + b"\r\n") * 100 + _END,), body="", error="HeadTooLongError: "),
]  # fmt: skip

# The body breaks off, or goes on for ever.
BROKEN_OFF = [
    Odd("closed within the body", (_OK + b"Content-Length: 9\r\n\r\nok",), error=_CUT, closes=True),
    Odd("closed within a chunk", (_OK + _CHUNKED + b"9\r\nok",), error=_CUT, closes=True),
    Odd("closed before the last chunk", (_OK + _CHUNKED + b"2\r\nok\r\n",), error=_CUT, closes=True),
    Odd("closed within the head", (_OK + b"Content-",), body="", error="ServerDisconnectedError: ", closes=True),
    Odd("a chunk without a size", (_OK + _CHUNKED + b"2\r\nok\r\nsize\r\n",), error=_CUT),
    Odd("a chunk without a size, apart", (_OK + _CHUNKED, b"2\r\nok\r\n", b"size\r\n"), error=_CUT),
    Odd("a chunk that is longer than its size", (_OK + _CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",), error=_CUT),
    Odd("a body that stops", (_OK + b"Content-Length: 9\r\n\r\nok",), error=_TIME, ends=False),
    Odd("chunks that stop", (_OK + _CHUNKED + b"2\r\nok\r\n",), error=_TIME, ends=False),
    Odd("a head that stops", (_OK + b"Content-",), body="", error=_TIME, ends=False),
    Odd("a body as long as it likes", (_OK + _CHUNKED + b"2\r\nok\r\n" * 5_000,), body="ok" * 1_024),
]  # fmt: skip

# No status line, so no answer.
NO_ANSWER = [
    Odd("HTTP/0.9", (b"ok\r\n\r\n",), None, "", _MALFORMED, closes=True),
    Odd("a page and no head", (b"<html>ok</html>\n\n",), None, "", _MALFORMED, closes=True),
    Odd("no space after the version", (b"HTTP/1.1200 OK\r\n" + _END,), None, error=_MALFORMED),
    Odd("no space after the status", (b"HTTP/1.1 200OK\r\n" + _END,), None, error=_MALFORMED),
    Odd("a status of four digits", (b"HTTP/1.1 2000 OK\r\n" + _END,), None, error=_MALFORMED),
    Odd("a status of two digits", (b"HTTP/1.1 20 OK\r\n" + _END,), None, error=_MALFORMED),
    Odd("two spaces before the status", (b"HTTP/1.1  200 OK\r\n" + _END,), None, error=_MALFORMED),
    Odd("a protocol in small letters", (b"http/1.1 200 OK\r\n" + _END,), None, error=_MALFORMED),
    Odd("HTTP/2 in text", (b"HTTP/2 200\r\n" + _END,), None, error=_MALFORMED),
    Odd("closed within the status line", (b"HTTP/1.1 200 O",), None, "", "ServerDisconnectedError: ", closes=True),
    Odd("closed with no answer", (), None, "", "ServerDisconnectedError: ", closes=True),
    Odd("closed after an interim answer", (_INTERIM,), None, "", "ServerDisconnectedError: ", closes=True),
]  # fmt: skip

RECEIVERS = [*READ, *MALFORMED, *BROKEN_OFF, *NO_ANSWER]
