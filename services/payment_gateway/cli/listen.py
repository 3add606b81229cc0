"""`payment-gateway listen`: an endpoint of the gateway for as long as it runs, whose deliveries are forwarded. It leaves no
endpoint behind: a signal has it removed, and after any other end it expires.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

from rich.text import Text

from payment_gateway.cli.client import (
    Gateway,
    Json,
    NoAnswerError,
    RefusedError,
    UnreachableError,
    describe,
    endpoint_body,
)
from payment_gateway.cli.forward import Forward
from payment_gateway.cli.terminal import Terminal

EXPIRES_SECONDS = 60
RENEW_SECONDS = 15.0  # one that fails is tried again with each look: many may fail before it expires
WATCH_SECONDS = 1.0
CALL_SECONDS = 5.0
ENDPOINTS_MAX = 200  # a merchant has fewer
PATH = "/v1/webhook-endpoints"
_FAILURES = (RefusedError, UnreachableError, NoAnswerError)


@dataclass
class Listener:
    """`asked` is what the endpoint takes besides its URL, as `endpoint_body` names it. `public_url` is where the gateway
    reaches this, if that is not where it listens.
    """

    gateway: Gateway
    terminal: Terminal
    forward: Forward
    public_url: str | None
    asked: dict[str, Any]
    _body: Json = field(default_factory=dict, init=False)
    _id: str = field(default="", init=False)
    _renew_at: float = field(default=inf, init=False)  # monotonic
    _trouble: str = field(default="", init=False)

    async def run(self, host: str, port: int) -> None:
        """Until SIGINT, SIGTERM or SIGHUP. Raises OSError if it cannot listen, and what Gateway raises."""
        with _stopping_on_signals() as stopping:
            await self._run(host, port, stopping)

    async def _run(self, host: str, port: int, stopping: asyncio.Event) -> None:
        async with self.forward.serving(host, port) as own_url:
            url = self.public_url or own_url
            self._body = endpoint_body(url, **self.asked, expires_in_seconds=EXPIRES_SECONDS)
            await self._register(until=inf)
            try:
                self._announce()
                await self._watch(stopping)
            finally:
                await self._unregister()

    async def _register(self, *, until: float) -> None:
        """Again with the same secret, if it was registered before. It asks no more after `until`, in monotonic seconds."""
        await asyncio.to_thread(self._remove_leftovers)
        renew_at = monotonic() + RENEW_SECONDS
        made = await asyncio.to_thread(self.gateway.create, PATH, self._body, again=self.terminal.say, until=until)
        self._id, self._renew_at = str(made["id"]), renew_at
        self._body["secret"] = made["secret"]

    def _remove_leftovers(self) -> None:
        """Removes the endpoint of an earlier listener at this URL, which was killed: we have its port now. An endpoint that
        does not expire is somebody's own, and stays.
        """
        for one in self.gateway.list(PATH, ENDPOINTS_MAX)["data"]:
            if one["url"] == self._body["url"] and one["expiresAt"] is not None:
                with suppress(RefusedError):  # it has expired meanwhile, or will
                    self.gateway.call("DELETE", f"{PATH}/{one['id']}")

    def _announce(self) -> None:
        about = {"endpointId": self._id, "url": self._body["url"]}
        document = {**about, "secret": self._body["secret"], "forwardTo": self.forward.shown_url}
        self.terminal.result(document, Text.assemble("secret  ", Text(str(self._body["secret"]), "bold")))
        self.terminal.say(f"{self._id} forwards to {self.forward.shown_url}; Ctrl-C ends it")

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Renews the endpoint, and says when deliveries cannot come."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), WATCH_SECONDS)
                return
            try:
                found = await self._look()
                self._warn("the gateway has disabled the endpoint" if found["state"] == "disabled" else "")
            except RefusedError as error:
                if error.status == 404:
                    await self._come_back()
                else:
                    self._warn(describe(error))
            except (UnreachableError, NoAnswerError) as error:
                self._warn(str(error))

    async def _look(self) -> Json:
        """The endpoint, which is renewed if it is time."""
        if monotonic() < self._renew_at:
            return await self._call("GET")
        renew_at = monotonic() + RENEW_SECONDS
        found = await self._call("PATCH", {"expiresInSeconds": EXPIRES_SECONDS})
        self._renew_at = renew_at
        return found

    async def _come_back(self) -> None:
        """Registers again, after the gateway was reset, or this machine has slept until the endpoint expired. If that fails,
        the next look finds that there is still none.
        """
        try:
            await self._register(until=monotonic())
        except _FAILURES as error:
            self._warn(describe(error))
        else:
            self._warn("")
            self.terminal.say(f"the gateway had forgotten the endpoint: listening again, as {self._id}")

    async def _unregister(self) -> None:
        try:
            await self._call("DELETE")
        except _FAILURES as error:
            if not (isinstance(error, RefusedError) and error.status == 404):
                said = f"the endpoint {self._id} is still there, and expires within {EXPIRES_SECONDS} s"
                self.terminal.say(f"{said}: {describe(error)}", "red")

    async def _call(self, method: str, body: Json | None = None) -> Json:
        return await asyncio.to_thread(self.gateway.call, method, f"{PATH}/{self._id}", body, seconds=CALL_SECONDS)

    def _warn(self, trouble: str) -> None:
        """Once, however long it lasts."""
        if trouble and trouble != self._trouble:
            self.terminal.say(trouble, "red")
        self._trouble = trouble


@contextmanager
def _stopping_on_signals() -> Iterator[asyncio.Event]:
    """Is set by SIGINT, by SIGTERM, and by SIGHUP unless we were started to survive it, as `nohup` does."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
