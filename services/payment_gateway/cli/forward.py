"""An endpoint on this machine that forwards each delivery, byte for byte, and gives the answer back: what the gateway tries
again and records is about the service behind it.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from aiohttp import web
from rich.text import Text

from payment_gateway.cli.client import Gateway, NoAnswerError, RefusedError, UnreachableError, describe
from payment_gateway.cli.terminal import Terminal, visible
from payment_gateway.webhooks.look_up import LookUps
from payment_gateway.webhooks.post import Post
from payment_gateway.webhooks.target import parse_target

BODY_BYTES_MAX = 1024 * 1024
CONNECTIONS_MAX = 128
FORWARD_SECONDS = 60.0  # the gateway gives up before
STOP_SECONDS = 5.0
WATCH_SECONDS = 1.0
NO_ANSWER = 502
# About one connection, or made anew for the next (RFC 9110 §7.6.1).
_HOP_BY_HOP = frozenset({"host", "connection", "keep-alive", "content-length", "transfer-encoding", "te", "upgrade"})
_GIVEN_BACK = ("Content-Type", "Retry-After")


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    error: str | None = None


@dataclass
class Listener:
    """Registered as an endpoint for as long as it runs."""

    gateway: Gateway
    terminal: Terminal
    forward_to: str
    event_types: list[str]
    secret: str | None
    public_url: str | None
    endpoint_id: str = field(default="", init=False)
    trouble: str = field(default="", init=False)

    async def run(self, host: str, port: int) -> None:
        """Until SIGINT or SIGTERM. Raises OSError if it cannot listen, and what Gateway raises."""
        stopping = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with self._serving(host, port) as own_url:
            self.public_url = self.public_url or own_url
            await self._register()
            try:
                self._announce()
                await self._watch(stopping)
            finally:
                await self._unregister()

    @asynccontextmanager
    async def _serving(self, host: str, port: int) -> AsyncIterator[str]:
        self._post = Post(total_seconds=FORWARD_SECONDS, connections_max=CONNECTIONS_MAX, resolver=LookUps())
        async with self._post:
            application = web.Application(client_max_size=BODY_BYTES_MAX)
            application.router.add_post("/{anything:.*}", self._forward)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
            await runner.setup()
            try:
                await web.TCPSite(runner, host, port).start()
                own_host, own_port = runner.addresses[0][:2]
                yield f"http://{f'[{own_host}]' if ':' in own_host else own_host}:{own_port}"
            finally:
                await runner.cleanup()

    async def _register(self) -> None:
        asked = (self.public_url, self.event_types, self.secret)
        made = await asyncio.to_thread(self.gateway.add_endpoint, *asked, again=self.terminal.say)
        self.endpoint_id, self.secret = str(made["id"]), str(made["secret"])

    def _announce(self) -> None:
        about = {"endpointId": self.endpoint_id, "url": self.public_url}
        document = {**about, "secret": self.secret, "forwardTo": self.forward_to}
        self.terminal.result(document, Text.assemble("secret  ", Text(str(self.secret), "bold")))
        self.terminal.say(f"{self.endpoint_id} forwards to {self.forward_to}; Ctrl-C ends it")

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Comes back after a reset of the gateway, which forgets endpoints, and says when deliveries cannot come."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), WATCH_SECONDS)
                return
            try:
                found = await self._call("GET")
                self._warn("the gateway has disabled the endpoint" if found["state"] == "disabled" else "")
            except RefusedError as error:
                self._warn(describe(error) if error.status != 404 else "")
                if error.status == 404:
                    self.terminal.say("the gateway was reset: listening again")
                    await self._register()
            except (UnreachableError, NoAnswerError) as error:
                self._warn(str(error))

    async def _unregister(self) -> None:
        try:
            await self._call("DELETE")
        except (RefusedError, UnreachableError, NoAnswerError) as error:
            self.terminal.say(f"the endpoint {self.endpoint_id} is still there: {describe(error)}", "red")

    async def _call(self, method: str) -> dict[str, object]:
        path = f"/v1/webhook-endpoints/{self.endpoint_id}"
        return await asyncio.to_thread(self.gateway.call, method, path, seconds=STOP_SECONDS)

    def _warn(self, trouble: str) -> None:
        """Once, however long it lasts."""
        if trouble and trouble != self.trouble:
            self.terminal.say(trouble, "red")
        self.trouble = trouble

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        started = monotonic()
        answer = await self._ask(request, body)
        self._show(request, body, answer, round((monotonic() - started) * 1000))
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _ask(self, request: web.Request, body: bytes) -> _Answer:
        """What the service answers; 502 if it does not."""
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP]
        answer = await self._post(parse_target(self.forward_to), body, headers, body_bytes_max=BODY_BYTES_MAX)
        if answer.status is None:
            told = f"no answer: {answer.error}".encode()
            return _Answer(NO_ANSWER, {"Content-Type": "text/plain"}, told, answer.error)
        given_back = {name: answer.headers[name] for name in _GIVEN_BACK if name in answer.headers}
        return _Answer(answer.status, given_back, answer.body, answer.error)

    def _show(self, request: web.Request, body: bytes, answer: _Answer, duration_ms: int) -> None:
        at, event_id, event_type = datetime.now().astimezone(), request.headers.get("webhook-id", "-"), _type_in(body)
        style = "green" if 200 <= answer.status < 300 else "red"
        what = visible(f"{event_id}  {event_type:<17}")
        line = Text.assemble(f"{at:%H:%M:%S}  {what}  ", Text(str(answer.status), style), f"  {duration_ms} ms")
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
        self.terminal.result(document, line)


def _type_in(body: bytes) -> str:
    """What the body says that it is, if it can be read."""
    try:
        return str(json.loads(body)["type"])
    except (ValueError, TypeError, KeyError):
        return "-"
