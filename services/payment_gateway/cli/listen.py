"""`payment-gateway listen`: an endpoint that exists while the command runs, and whose deliveries are forwarded. It leaves no
endpoint behind: a signal removes it, and after any other end it expires.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic, sleep
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
RENEW_SECONDS = 15.0  # a renewal that fails is tried again at each look, so many may fail before the endpoint expires
WATCH_SECONDS = 1.0
CALL_SECONDS = 5.0
ENDPOINTS_MAX = 200  # a merchant has fewer
LOOK_SECONDS = 0.1  # from a signal between two tries to register until it is heeded; one during a try waits for its end
PATH = "/v1/webhook-endpoints"
_FAILURES = (RefusedError, UnreachableError, NoAnswerError)


class _StoppedError(Exception):
    """A signal has come before the endpoint was registered."""


@dataclass
class Listener:
    """Registers an endpoint and forwards its deliveries. `asked` holds its members besides the URL, as `endpoint_body` names
    them. `public_url` is the URL by which the gateway reaches us, if that is not where we listen.
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
        """Works until SIGINT, SIGTERM or SIGHUP. Raises OSError if it cannot listen, and what Gateway raises."""
        with _stopping_on_signals() as stopping:
            await self._run(host, port, stopping)

    async def _run(self, host: str, port: int, stopping: asyncio.Event) -> None:
        async with self.forward.serving(host, port) as own_url:
            url = self.public_url or own_url
            self._body = endpoint_body(url, **self.asked, expires_in_seconds=EXPIRES_SECONDS)
            try:
                await self._register(until=inf, pause=partial(_pause, stopping))
            except _StoppedError:
                await self._abandon()
                return
            try:
                self._announce()
                await self._watch(stopping)
            finally:
                await self._unregister()

    async def _register(self, *, until: float, pause: Callable[[float], None] = sleep) -> None:
        """Registers, after the first time with the same secret. It stops trying at `until`, in monotonic seconds, and waits
        by `pause` before it tries again.
        """
        await asyncio.to_thread(self._remove_leftovers)
        renew_at = monotonic() + RENEW_SECONDS
        made = await asyncio.to_thread(
            self.gateway.create, PATH, self._body, again=self.terminal.say, until=until, pause=pause
        )
        self._id, self._renew_at = str(made["id"]), renew_at
        self._body["secret"] = made["secret"]

    def _remove_leftovers(self) -> None:
        """Removes the endpoint that a killed listener has left at this URL: we have its port now. An endpoint that does not
        expire was made by a person and stays.
        """
        for one in self.gateway.list(PATH, ENDPOINTS_MAX)["data"]:
            if one["url"] == self._body["url"] and one["expiresAt"] is not None:
                with suppress(RefusedError):  # it has expired meanwhile, or soon will
                    self.gateway.call("DELETE", f"{PATH}/{one['id']}")

    def _announce(self) -> None:
        about = {"endpointId": self._id, "url": self._body["url"]}
        document = {**about, "secret": self._body["secret"], "forwardTo": self.forward.shown_url}
        self.terminal.result(document, Text.assemble("secret  ", Text(str(self._body["secret"]), "bold")))
        self.terminal.say(f"{self._id} forwards to {self.forward.shown_url}; Ctrl-C ends it")

    async def _watch(self, stopping: asyncio.Event) -> None:
        """Renews the endpoint, and warns when deliveries cannot come."""
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
        """Returns the endpoint, and renews it if it is time."""
        if monotonic() < self._renew_at:
            return await self._call("GET")
        renew_at = monotonic() + RENEW_SECONDS
        found = await self._call("PATCH", {"expiresInSeconds": EXPIRES_SECONDS})
        self._renew_at = renew_at
        return found

    async def _come_back(self) -> None:
        """Registers again, after the gateway was reset or the endpoint expired because this machine slept. If that fails,
        the next look finds the endpoint still missing.
        """
        try:
            await self._register(until=monotonic())
        except _FAILURES as error:
            self._warn(describe(error))
        else:
            self._warn("")
            self.terminal.say(f"the gateway had forgotten the endpoint: listening again, as {self._id}")

    async def _abandon(self) -> None:
        """Removes the endpoint that was made if only the answer was lost."""
        try:
            await asyncio.to_thread(self._remove_leftovers)
        except _FAILURES as error:
            said = f"an endpoint may be there, and expires within {EXPIRES_SECONDS} s"
            self.terminal.say(f"{said}: {describe(error)}", "red")

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
        """Warns once, however long the trouble lasts."""
        if trouble and trouble != self._trouble:
            self.terminal.say(trouble, "red")
        self._trouble = trouble


def _pause(stopping: asyncio.Event, seconds: float) -> None:
    """In a thread. Raises _StoppedError."""
    ends_at = monotonic() + seconds
    while not stopping.is_set():
        if monotonic() >= ends_at:
            return
        sleep(LOOK_SECONDS)
    raise _StoppedError


@contextmanager
def _stopping_on_signals() -> Iterator[asyncio.Event]:
    """Yields an event that SIGINT, SIGTERM or SIGHUP sets; SIGHUP not if we were started to survive it, as with `nohup`."""
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
