"""Asks the provider what it did unasked: a refund by hand, a dispute, a late success. That opens no question of ours, so
nobody would ask about it if its webhook were lost for ever. C22

Hourly it asks for what the provider could not deliver in a week, and daily for all that it announced in a day. We store an
event before we acknowledge it, and recording it again is recording it once, so every replica sweeps for itself.
"""

import asyncio
from datetime import datetime, timedelta

from order_api.gateway_client import GatewayClient
from order_api.record_events import RecordEvents
from shared.mongo import describe
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import continue_trace

EVERY_SECONDS = 3600.0
FIRST_SECONDS = 60.0  # after a start, which has other things to do
SWEEPS_A_DAY = 24
UNDELIVERED_SINCE = timedelta(days=7)
OVERLAP = timedelta(hours=1)  # with the last sweep of everything
SWEEP_SECONDS = 3000.0


class SweepEvents:
    def __init__(self, gateway: GatewayClient, record: RecordEvents) -> None:
        self._gateway = gateway
        self._record = record

    async def run(self) -> None:
        """Runs until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        all_since, sweeps = utc_now() - timedelta(days=1), 0
        while True:
            now = utc_now()
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self.run_once(now - UNDELIVERED_SINCE, undelivered=True)
                    if sweeps % SWEEPS_A_DAY == 0:
                        await self.run_once(all_since - OVERLAP)
                        all_since = now
                sweeps += 1
            except Exception as error:  # noqa: BLE001 - whatever the provider says, the next sweep comes
                log.warning("the provider was not swept", reason=describe(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def run_once(self, since: datetime, *, undelivered: bool = False) -> int:
        """Records the events that the provider has announced since then, and returns how many. Raises
        GatewayUnavailableError; what was recorded by then stays recorded.
        """
        continue_trace(None)
        recorded = 0
        async for raw in self._gateway.events_since(since, undelivered=undelivered):
            recorded += await self._record.heard(raw) is True
        log.info("swept the provider's events", recorded=recorded, undelivered=undelivered)
        return recorded
