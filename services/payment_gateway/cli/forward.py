"""A server that forwards each delivery to a service, byte for byte, and returns the service's answer. So the gateway's
retries and records are about the service.
"""

import asyncio
import json
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from rich.text import Text

from payment_gateway.cli.options import without_user
from payment_gateway.cli.terminal import Terminal, visible
from payment_gateway.webhooks.look_up import LookUps
from payment_gateway.webhooks.post import Post
from payment_gateway.webhooks.target import parse_target

BODY_BYTES_MAX = 1024 * 1024
CONNECTIONS_MAX = 128
FORWARD_SECONDS = 86400.0  # the gateway hangs up long before, and then the forwarded request ends too
BODY_SECONDS = 5.0  # an answer whose body has not ended by then is returned, while the gateway still waits for it
STOP_SECONDS = 5.0
NO_ANSWER = 502
# Headers about one connection, and those that are made anew for the next (RFC 9110 §7.6.1).
_HOP_BY_HOP = frozenset(
    ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host")
)
_ADDED = ("Content-Type", "Date", "Server")  # aiohttp adds these to an answer that lacks them
_UNSENDABLE = re.compile(r"[\r\n\0]")
_GIVEN = web.ResponseKey("given", CIMultiDict)  # the headers that the service's answer has


class _Answer(NamedTuple):
    """The answer for the gateway. `status` is None if the gateway hung up first. `error` says what was wrong with the
    service's answer, or why there is none.
    """

    status: int | None
    headers: CIMultiDict[str]
    body: bytes
    error: str | None = None


class Forward:
    """Forwards to `url`. Its `headers` are added to those of the gateway, and replace any of the same name. A user name and
    a password in the URL become a header and are shown nowhere.
    """

    def __init__(self, terminal: Terminal, url: str, headers: Sequence[tuple[str, str]], *, skip_verify: bool) -> None:
        """Takes a `url` that the options have checked, so it can be called."""
        bare_url, user = without_user(url)
        self._terminal = terminal
        self._target = parse_target(bare_url)
        self._headers = CIMultiDict(headers)
        self.shown_url = url if user is None else bare_url.replace("://", "://…@", 1)
        if user is not None:
            self._headers.setdefault("Authorization", _basic(user))
        self._tls = _trusting_all() if skip_verify else None

    @asynccontextmanager
    async def serving(self, host: str, port: int) -> AsyncIterator[str]:
        """Yields a URL, and forwards meanwhile what is sent to it. Raises OSError if it cannot listen."""
        options = {"connections_max": CONNECTIONS_MAX, "resolver": LookUps(), "tls": self._tls}
        async with Post(total_seconds=FORWARD_SECONDS, body_seconds=BODY_SECONDS, **options) as self._post:
            application = web.Application(client_max_size=BODY_BYTES_MAX)
            application.router.add_post("/{anything:.*}", self._answer)
            application.on_response_prepare.append(_take_back)
            runner = web.AppRunner(
                application, access_log=None, shutdown_timeout=STOP_SECONDS, handler_cancellation=True
            )
            await runner.setup()
            try:
                await web.TCPSite(runner, host, port).start()
                own_host, own_port = runner.addresses[0][:2]
                yield f"http://{f'[{own_host}]' if ':' in own_host else own_host}:{own_port}"
            finally:
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body, started = await request.read(), monotonic()
        try:
            answer = await self._ask(request, body)
        except asyncio.CancelledError:
            if request.transport is None or request.transport.is_closing():
                gone = _Answer(None, CIMultiDict(), b"", "the gateway has hung up before the service answered")
                self._show(request, body, gone, started)
            raise
        self._show(request, body, answer, started)
        assert answer.status is not None
        response = web.Response(status=answer.status, headers=answer.headers, body=answer.body)
        response[_GIVEN] = answer.headers
        return response

    async def _ask(self, request: web.Request, body: bytes) -> _Answer:
        """The service's answer; 502 if no status line came."""
        headers = CIMultiDict(
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in _HOP_BY_HOP and name not in self._headers
        )
        headers.extend(self._headers)
        answer = await self._post(self._target, body, [*headers.items()], body_bytes_max=BODY_BYTES_MAX)
        error = answer.error
        if isinstance(answer.failure, aiohttp.ClientConnectorCertificateError):
            error = f"{error} (--skip-verify takes any certificate)"
        if answer.status is None:
            said = f"no answer: {error}".encode()
            return _Answer(NO_ANSWER, CIMultiDict({"Content-Type": "text/plain"}), said, error)
        return _Answer(answer.status, _given_back(answer.headers), answer.body, error)

    def _show(self, request: web.Request, body: bytes, answer: _Answer, started: float) -> None:
        at, event_id, event_type = datetime.now().astimezone(), request.headers.get("webhook-id", "-"), _type_in(body)
        duration_ms = round((monotonic() - started) * 1000)
        style = "green" if answer.status is not None and 200 <= answer.status < 300 else "red"
        what = visible(f"{event_id}  {event_type:<17}")
        line = Text.assemble(f"{at:%H:%M:%S}  {what}  ", Text(str(answer.status or "-"), style), f"  {duration_ms} ms")
        if answer.error:
            line.append(f"  {visible(answer.error)}", "red")
        document = {
            "at": at.isoformat(timespec="milliseconds"),
            "eventId": event_id,
            "type": event_type,
            "status": answer.status,
            "durationMs": duration_ms,
            "error": answer.error,
        }
        self._terminal.result(document, line)


def _basic(user_info: str) -> str:
    """The Authorization header for the part of a URL before its `@` (RFC 7617)."""
    name, _, password = user_info.partition(":")
    return "Basic " + b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()


def _trusting_all() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _given_back(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers of the service's answer that are about more than its connection, if they can be sent again."""
    texts = ((name, value.encode(errors="surrogateescape").decode(errors="replace")) for name, value in headers.items())
    return CIMultiDict(
        (name, text) for name, text in texts if name.lower() not in _HOP_BY_HOP and not _UNSENDABLE.search(name + text)
    )


async def _take_back(_request: web.Request, response: web.StreamResponse) -> None:
    """Removes headers that aiohttp has added to the answer: the gateway would take them for the service's."""
    given = response.get(_GIVEN, _ADDED)
    for name in _ADDED:
        if name not in given:
            response.headers.popall(name, None)


def _type_in(body: bytes) -> str:
    """The event type that the body states, or "-" if it cannot be read."""
    try:
        return str(json.loads(body)["type"])
    except (ValueError, TypeError, KeyError):
        return "-"
