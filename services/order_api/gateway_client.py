"""The client of the payment provider. Every answer to a call becomes Accepted, Refused or Unavailable."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TypeVar

import aiohttp
import msgspec

from order_api.calls import PERMANENT_REFUSALS, Accepted, Call, Kind, Refused, Reply, Unavailable
from shared import wire
from shared.env import Secret
from shared.http_client import CALL_ERRORS, open_session, read_up_to, retry_after_seconds
from shared.telemetry import log
from shared.times import rfc3339, stored
from shared.tracing import span, trace_headers

CONNECT_SECONDS = 2.0
REQUEST_SECONDS = 5.0
REPLY_BYTES_MAX = 4 * 1024 * 1024
_SHAPES: Mapping[Kind, type[wire.Charge | wire.Refund]] = {"charge": wire.Charge, "refund": wire.Refund}
_PROBLEM_PREFIX = "/problems/"

T = TypeVar("T")
_Dated = TypeVar("_Dated", wire.Charge, wire.Dispute)


class GatewayUnavailableError(Exception):
    """A question got no usable answer; ask again later."""


class _Problem(msgspec.Struct):
    type: str = ""


class GatewayClient:
    """Calls the provider. Every call ends within REQUEST_SECONDS; nothing is retried here."""

    def __init__(self, url: str, api_key: Secret | None, *, connections_max: int) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = open_session(
            connections_max=self._connections_max,
            connect_seconds=CONNECT_SECONDS,
            total_seconds=REQUEST_SECONDS,
            headers=self._headers,
        )

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def post(self, call: Call) -> Reply:
        """Makes the request of `call`, under its id as Idempotency-Key. C12"""
        headers = {"Content-Type": "application/json", "Idempotency-Key": call.id}
        try:
            status, body, retry_after = await self._send(
                f"dispatch {call.kind}", "POST", call.path, data=call.body, headers=headers
            )
        except GatewayUnavailableError as error:
            return Unavailable(str(error))
        if status == 201:
            found = _decode(body, _SHAPES[call.kind])
            accepted = None if found is None else _accepted(call, found)
            return accepted or Unavailable("a 201 for something else than what was asked for")
        code = _problem_code(body)
        if 400 <= status < 500 and code in PERMANENT_REFUSALS:
            return Refused(status, code)
        return Unavailable(f"HTTP {status} {code}".rstrip(), retry_after)

    async def find(self, call: Call) -> Accepted | Unavailable | None:
        """Asks what the provider has for `call`, because it may have forgotten the key (C13). None if it has nothing."""
        path = "/v1/charges" if call.kind == "charge" else "/v1/refunds"
        found: list[Accepted] = []
        try:
            async for raw in self._pages(f"find {call.kind}", path, {"reference": call.reference}):
                one = _decode(bytes(raw), _SHAPES[call.kind])
                if one is None:
                    return Unavailable("a list with something else than what was asked for")
                if accepted := _accepted(call, one):
                    found.append(msgspec.structs.replace(accepted, adopted=True))
        except GatewayUnavailableError as error:
            return Unavailable(str(error))
        return min(found, key=lambda accepted: accepted.id, default=None)

    async def charges(self, reference: str) -> AsyncIterator[wire.Charge]:
        """Every charge with this reference, made by us or by others. Raises GatewayUnavailableError."""
        async for raw in self._pages("fetch charges", "/v1/charges", {"reference": reference}):
            charge = _decode(bytes(raw), wire.Charge)
            if charge is None or charge.reference != reference:
                raise GatewayUnavailableError("a list with something else than was asked for")
            yield _with_stored_time(charge)

    async def disputes(self, reference: str) -> AsyncIterator[wire.Dispute]:
        """Every dispute of a charge with this reference. Raises GatewayUnavailableError."""
        async for raw in self._pages("fetch disputes", "/v1/disputes", {"reference": reference}):
            dispute = _decode(bytes(raw), wire.Dispute)
            if dispute is None or dispute.charge_reference != reference:
                raise GatewayUnavailableError("a list with something else than was asked for")
            yield _with_stored_time(dispute)

    async def events(self, reference: str) -> AsyncIterator[bytes]:
        """The exact bytes of every event about `reference`, newest first. Raises GatewayUnavailableError."""
        async for raw in self._pages("fetch events", "/v1/events", {"reference": reference}):
            yield bytes(raw)

    async def events_since(self, at: datetime, *, undelivered: bool) -> AsyncIterator[bytes]:
        """The exact bytes of every event that the provider has announced since then, newest first. With `undelivered` only
        those that it has not delivered, as far as it knows. Raises GatewayUnavailableError.
        """
        wanted = {"createdFrom": rfc3339(at), **({"delivered": "false"} if undelivered else {})}
        async for raw in self._pages("sweep events", "/v1/events", wanted):
            yield bytes(raw)

    async def _pages(self, step: str, path: str, wanted: Mapping[str, str]) -> AsyncIterator[msgspec.Raw]:
        parameters, seen = {**wanted, "limit": "100"}, set[str]()
        while True:
            status, body, _ = await self._send(step, "GET", path, params=parameters)
            page = _decode(body, wire.RawPage) if status == 200 else None
            if page is None:
                raise GatewayUnavailableError(f"HTTP {status} for a list")
            for one in page.data:
                yield one
            if page.next_cursor is None:
                return
            if page.next_cursor in seen:
                raise GatewayUnavailableError("a list that does not go on")
            seen.add(page.next_cursor)
            parameters["cursor"] = page.next_cursor

    async def _send(
        self, step: str, method: str, path: str, *, headers: Mapping[str, str] = {}, **options: object
    ) -> tuple[int, bytes, float | None]:
        """Status, body and Retry-After in seconds; `step` names it in the trace. Raises GatewayUnavailableError."""
        assert self._session is not None, "not started"
        try:
            with span(step, "client", {"http.request.method": method, "url.path": path}) as calling:
                async with self._session.request(
                    method,
                    self._url + path,
                    headers={**headers, **trace_headers()},
                    allow_redirects=False,
                    **options,  # type: ignore[arg-type]
                ) as response:
                    body = await read_up_to(response, REPLY_BYTES_MAX)
                    calling.answered(response.status, failed=response.status >= 400)
                    return response.status, body, retry_after_seconds(response)
        except CALL_ERRORS as error:
            raise GatewayUnavailableError(type(error).__name__) from error
        except Exception as error:  # C15: an exception that nobody foresaw is no answer either
            log.error("a call of the provider failed", step=step, exc_info=True)
            raise GatewayUnavailableError(type(error).__name__) from error


def _accepted(call: Call, found: wire.Charge | wire.Refund) -> Accepted | None:
    """Returns what was found if it is what `call` asks for: reference, amount, currency and charge. C15"""
    if isinstance(found, wire.Charge):
        asked = msgspec.json.decode(call.body, type=wire.ChargeRequest)
        same = (found.reference, found.amount, found.currency) == (asked.reference, asked.amount, asked.currency)
    else:
        refund = msgspec.json.decode(call.body, type=wire.RefundRequest)
        path = f"/v1/charges/{found.charge_id}/refunds"
        same = (found.reference, found.amount, path) == (refund.reference, refund.amount, call.path)
    try:
        return Accepted(found.id, found.amount, stored(found.created_at)) if same else None
    except ValueError:  # a time that no database could keep is as good as any other garbage
        return None


def _with_stored_time(found: _Dated) -> _Dated:
    """Cuts the time to what a database keeps. Raises GatewayUnavailableError."""
    try:
        return msgspec.structs.replace(found, created_at=stored(found.created_at))
    except ValueError:
        raise GatewayUnavailableError("a time that no database could keep") from None


def _decode(body: bytes, kind: type[T]) -> T | None:
    """Returns None for anything that is not of this kind, and for whatever breaks the decoder. C15"""
    try:
        return msgspec.json.decode(body, type=kind)
    except Exception:  # noqa: BLE001 - not JSON, not UTF-8, nested too deep, or something that nobody foresaw
        return None


def _problem_code(body: bytes) -> str:
    problem = _decode(body, _Problem)
    return problem.type.rpartition(_PROBLEM_PREFIX)[2][:64] if problem else ""
