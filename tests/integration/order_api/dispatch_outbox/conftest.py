"""One round of the dispatcher; and after each test, that it has left nothing that nobody takes on."""

from collections.abc import AsyncIterator

import pytest

from order_api.app import Application

PROBLEM = '{"type": "/problems/%s"}'


async def dispatch(application: Application) -> int:
    return await application.dispatch_outbox.work.run_once()


@pytest.fixture(autouse=True)
async def _nothing_left(application: Application) -> AsyncIterator[None]:
    """Every call is in a state that somebody will take it on from, or that is final; an order is due when its calls are."""
    yield
    async for order in application.store.orders.find():
        due = [call["due_at"] for call in order["calls"] if call["state"] == "open"]
        assert None not in due
        assert order["due_at"] == min(due, default=None)
        assert not any(call["claim"] or call["due_at"] for call in order["calls"] if call["state"] != "open")
