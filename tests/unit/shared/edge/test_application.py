"""C8: background work is watched."""

import asyncio
from typing import Any, cast

import pytest

from shared.batches import Batches, Limits
from shared.edge.application import at_work


async def test_c8_a_service_whose_writer_ends_by_itself_is_stopped_as_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = asyncio.Event()
    monkeypatch.setattr("shared.edge.application.stop_as_failed", stopped.set)
    batches = Batches[str, None](cast("Any", None), name="broken", limits=Limits())
    async with at_work([batches.run], []):
        monkeypatch.setattr(batches, "_take", lambda: 1 / 0)  # a defect outside of what a batch may throw
        waiting = asyncio.create_task(batches.submit("a"))
        await asyncio.wait_for(stopped.wait(), 5)
    await asyncio.gather(waiting, return_exceptions=True)
