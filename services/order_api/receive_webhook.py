"""Receives a webhook: verifies the raw bytes, then decodes them, then records the event."""

from collections.abc import Sequence

from order_api.event import NotAnEventError, Outcome, parse_event
from order_api.metrics import WEBHOOKS_REFUSED
from order_api.record_events import RecordEvents
from shared.batches import answered_within
from shared.env import Secret
from shared.signing import SignatureError, verify
from shared.telemetry import log
from shared.times import utc_now
from shared.tracing import current_trace


class ReceiveWebhook:
    def __init__(self, record: RecordEvents, secrets: Sequence[Secret], *, tolerance_seconds: int) -> None:
        self._record = record
        self._secrets = secrets
        self._tolerance_seconds = tolerance_seconds

    async def __call__(self, signatures: Sequence[str], body: bytes) -> Outcome:
        """Returns the event's outcome, once that is durable. `signatures` are the X-Signature headers as they came.

        Raises SignatureError, NotAnEventError, OverloadedError and UnavailableError.
        """
        now = utc_now()
        try:
            if len(signatures) != 1:
                raise SignatureError(f"{len(signatures)} X-Signature headers")
            signed = verify(signatures[0], body, self._secrets, now=now.timestamp(), tolerance=self._tolerance_seconds)
            event = parse_event(body, source="webhook", now=now, trace=current_trace(), signed=signed)
        except SignatureError as error:
            WEBHOOKS_REFUSED[error.kind].inc()
            log.warning("webhook refused", reason=str(error))
            raise
        except NotAnEventError as error:
            WEBHOOKS_REFUSED["not_an_event"].inc()
            log.warning("signed, but not an event", reason=str(error))
            raise
        async with answered_within():  # if time runs out, a stored event is taken up later by itself
            return await self._record(event)
