"""Either service as somebody sees it who speaks to its socket, and what holds after every request, however hostile."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.mongo import Database
from tests.e2e.hostile.raw import begun, exchange
from tests.hostile.answers import Answer
from tests.hostile.memory import resident_kib
from tests.hostile.requests import Case, Requests
from tests.logs import whole_lines
from tools.stack import Service


@dataclass(frozen=True)
class Target(Requests):
    """`stores` are the collections of `database` that only requests make grow."""

    service: Service
    database: Database
    stores: Sequence[str]

    @property
    def port(self) -> int:
        return self.service.port

    async def stored(self) -> list[int]:
        """How much there is in each of the stores."""
        return [await self.database[name].count_documents({}) for name in self.stores]

    async def expect(self, case: Case, sent: bytes) -> Answer:
        """The answer, which is what the case says. A refusal stores nothing, and the next request is served."""
        before = await self.stored()
        answer = await exchange(self.port, sent)
        assert (answer.status, answer.problem) == (case.status, case.problem), answer
        if case.is_refused:
            assert await self.stored() == before
        await self.assert_serving()
        return answer

    async def assert_serving(self) -> None:
        async with await begun(self.port, self.get(f"{self.collection}?limit=1")) as connection:
            answer = await connection.answer()
        assert answer.status == 200, answer

    def resident_kib(self, *, most: bool = False) -> int:
        assert self.service.process is not None
        return resident_kib(self.service.process.pid, most=most)

    def errors_logged(self, start: int) -> list[str]:
        """The lines of its log from byte `start` on that no stranger should be able to bring about."""
        lines = whole_lines(self.service.log_file, start)
        return [line for line in lines if not line.startswith("{") or _is_error(json.loads(line))]


def _is_error(line: Mapping[str, Any]) -> bool:
    return line["level"] in {"error", "critical"} or line.get("status", 0) >= 500 or "exception" in line
