"""The answers of the server itself, before there is a request to route. They are plain text, and end the connection."""

from http import HTTPStatus
from typing import NamedTuple

from shared.edge.limits import HEAD_BYTES_MAX, PIPELINE_MAX, TARGET_BYTES_MAX


class Refusal(NamedTuple):
    """The status, and the reason for the client to read."""

    status: HTTPStatus
    reason: str

    def answer(self, *headers: str) -> bytes:
        """The whole answer, with more header lines if they are given."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            "content-type: text/plain; charset=utf-8",
            f"content-length: {len(self.reason)}",
            "connection: close",
            *headers,
        ]
        return "\r\n".join([*lines, "", self.reason]).encode()


def bad_request(reason: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, reason)


NOT_HTTP = bad_request("not a valid HTTP request")
TOO_MANY_CONNECTIONS = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
TOO_MANY_PIPELINED = Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"more than {PIPELINE_MAX} pipelined requests")
TARGET_TOO_LONG = Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, f"the target exceeds {TARGET_BYTES_MAX} bytes")
HEAD_TOO_LARGE = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers exceed {HEAD_BYTES_MAX} bytes")
BODY_TOO_LARGE = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
TOO_SLOW = Refusal(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")
