"""Either service as somebody sees it who speaks to its socket, and what holds after every request, however hostile."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from shared.mongo import Database
from tests.e2e.hostile.raw import Answer, exchange
from tools.stack import Service

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


@dataclass(frozen=True)
class Target:
    """`collection` is where things are created and listed; `valid` a body that creates one, `number` being its member that
    names the thing. `stores` are MongoDB's collections that only requests make grow.
    """

    service: Service
    collection: str
    valid: Mapping[str, Any]
    number: str
    database: Database
    stores: Sequence[str]

    @property
    def name(self) -> str:
        return self.service.module

    @property
    def port(self) -> int:
        return self.service.port

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

    async def stored(self) -> list[int]:
        """How much there is in each of the stores."""
        return [await self.database[name].count_documents({}) for name in self.stores]

    async def expect(self, case: Case, sent: bytes) -> Answer:
        """The answer, which is what the case says. A refusal stores nothing, and the next request is served."""
        before = await self.stored()
        answer = await exchange(self.port, sent)
        assert (answer.status, answer.problem) == (case.status, case.problem), answer
        if case.status >= 400:
            assert await self.stored() == before
        await self.assert_serving()
        return answer

    async def assert_serving(self) -> None:
        answer = await exchange(self.port, self.get(f"{self.collection}?limit=1"))
        assert answer.status == 200, answer

    def resident_kib(self) -> int:
        """The memory its process has in use, where that can be asked (Linux); elsewhere 0, and growth is not looked at."""
        if sys.platform != "linux":
            return 0
        assert self.service.process is not None
        status = Path(f"/proc/{self.service.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def errors_logged(self, start: int) -> list[str]:
        """The lines of its log from byte `start` on that no stranger should be able to bring about."""
        with self.service.log_file.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        return [line for line in lines if not line.startswith("{") or _is_error(json.loads(line))]


def _is_error(line: Mapping[str, Any]) -> bool:
    return line["level"] in {"error", "critical"} or line.get("status", 0) >= 500 or "exception" in line
