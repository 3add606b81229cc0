"""The bounds of one process: how much it takes from its clients, and how long it waits for them."""

from typing import Annotated

from msgspec import Meta, Struct

BODY_BYTES_MAX = 64 * 1024
BODY_WIRE_BYTES_MAX = 1024 * 1024  # with the framing of chunks, or sent on after an early answer
BODY_BYTES_A_SECOND_MIN = 1024  # a client that keeps to this is waited for, however slow it is
HEAD_BYTES_MAX = 32 * 1024
TARGET_BYTES_MAX = 8 * 1024  # RFC 9112 §3 asks for at least 8,000
PIPELINE_MAX = 64  # requests on one connection that wait for an earlier one's answer
UNREAD_BYTES_MAX = 128 * 1024 * 1024  # of answers that wait to be read, by all clients of a process together

Patience = Annotated[float, Meta(gt=0, le=3600)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]


class HttpLimits(Struct, frozen=True, kw_only=True, rename=str.upper):
    """Read from the environment: `http_head_seconds` from `HTTP_HEAD_SECONDS`, and so on.

    A client that misses a deadline loses its connection. Beyond the counts the answer is 503 with Retry-After.
    """

    http_head_seconds: Patience = 10.0  # from the first byte of a request to the end of its headers
    http_body_seconds: Patience = 15.0  # from there to the end of its body, unless it comes slowly but steadily
    http_write_seconds: Patience = 30.0  # without the client being seen to take any of what it is sent
    http_requests_max: Count = 512  # at work at once; one whose body is still coming is not
    http_connections_max: Count = 2048
