"""A call is looked up before its order is changed: what that does not find may be there all the same."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from order_api.order import Order
from order_api.redrive_message import RedriveMessage
from order_api.store import Store
from shared.not_found import NotFound

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class NewPrimary:
    """It knows of the order that has the call only after a write of ours, which goes before an answer that there is none."""

    def __init__(self) -> None:
        self.changed: list[str] = []

    async def order_of_call(self, _merchant: str, _call_id: str) -> str:
        return "ord_2" if self.changed else "ord_1"

    async def change(self, order_id: str, decide: Callable[[Order | None, datetime | None], Any]) -> Any:
        self.changed.append(order_id)
        return decide(None, NOW).answer


async def test_c9_a_call_that_was_not_found_is_looked_up_once_more_when_its_absence_is_confirmed() -> None:
    store = NewPrimary()
    redrive = RedriveMessage(cast("Store", store))
    assert await redrive("default", "obx_1") == NotFound("message")
    assert store.changed == ["ord_1", "ord_2"]
