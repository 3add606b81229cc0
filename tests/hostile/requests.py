"""What a stranger may ask of either service, byte by byte, and which answer is due."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

API_KEY = "key-of-a-hostile-merchant"
ABSENT = object()

# All values that a header is sent with: none at all, one, or several headers.
Values = Sequence[bytes]


class Case(NamedTuple):
    """`sent` is what the test makes a request of; `problem` the slug of the document that answers it.

    No slug: the answer is a success, or a refusal from below HTTP, which nobody may be able to read as one.
    """

    name: str
    sent: Any
    status: int
    problem: str = ""

    @property
    def is_refused(self) -> bool:
        return self.status >= 400


def refused(cases: Iterable[Case]) -> list[Case]:
    """The cases that end before anything is stored or looked up, so they are tried without a socket and a database."""
    return [case for case in cases if case.is_refused]


def end_to_end(cases: Sequence[Case], *names: str) -> list[Case]:
    """The cases that are also tried on running services: every accepted one, because it needs a database, and the refused
    ones with these names.
    """
    found = {case.name: case for case in cases if case.name in names}
    assert len(found) == len(names), set(names) - set(found)
    return [case for case in cases if not case.is_refused or case.name in names]


def name_of(case: Case) -> str:
    """The id of its test."""
    return case.name


@dataclass(frozen=True)
class Requests:
    """Requests to the service `name`. `collection` is where things are created and listed; `valid` a body that creates one,
    `number` being its member that names the thing.
    """

    name: str
    collection: str
    valid: Mapping[str, Any]
    number: str

    def body(self, **changes: Any) -> bytes:
        """What would create one more, but for `changes`; a member that is ABSENT is left out."""
        members = {**self.valid, self.number: f"number-{uuid4().hex}", **changes}
        return json.dumps({name: value for name, value in members.items() if value is not ABSENT}).encode()

    def post(self, body: bytes | None = None, headers: Mapping[str, Values] = {}, *, to: str = "") -> bytes:
        """A request that creates one more, but for a body or headers that do not."""
        sent = self.body() if body is None else body
        usual = {
            "Idempotency-Key": [uuid4().hex.encode()],
            "Content-Type": [b"application/json"],
            "Content-Length": [b"%d" % len(sent)],
        }
        return self.request("POST", to or self.collection, {**usual, **headers}) + sent

    def get(self, to: str, headers: Mapping[str, Values] = {}) -> bytes:
        return self.request("GET", to, headers)

    def request(self, method: str, to: str, headers: Mapping[str, Values] = {}) -> bytes:
        """The head of a request with an API key."""
        usual = {"Host": [b"test"], "Authorization": [b"Bearer " + API_KEY.encode()]}
        lines = [
            b"%s: %s" % (name.encode(), value) for name, values in {**usual, **headers}.items() for value in values
        ]
        return b"\r\n".join([f"{method} {to} HTTP/1.1".encode(), *lines, b"", b""])


ORDER_API = Requests("order_api", "/api/orders", {"orderNumber": "", "amount": 99.99, "currency": "USD"}, "orderNumber")
GATEWAY = Requests("payment_gateway", "/v1/charges", {"reference": "", "amount": 9999, "currency": "USD"}, "reference")
