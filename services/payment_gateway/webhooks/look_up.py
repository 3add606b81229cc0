"""Looks up the addresses of a receiver's host."""

import asyncio
import errno
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from payment_gateway.webhooks.target import LOOPBACK_ADDRESSES, is_localhost

LOOK_UPS_MAX = 48  # threads: small containers allow 64 processes and threads in all


class LookUps(AbstractResolver):
    """Uses a thread for each look-up, up to LOOK_UPS_MAX. The event loop has only four, so four hanging name servers would
    hold up all deliveries. aiohttp remembers answers for ten seconds, and asks for each name only once at a time. Names of
    this machine are not looked up: many systems do not know `shop.localhost`.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LOOK_UPS_MAX)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the addresses. Raises OSError, also if the system has no thread left."""
        if is_localhost(host):
            return [_result(host, port, _family(address), 0, address) for address in LOOPBACK_ADDRESSES]
        await self._free.acquire()
        loop, answer = asyncio.get_running_loop(), Future[list[Any]]()
        answer.set_running_or_notify_cancel()  # the caller may go away; the thread ends when it can

        def ask() -> None:
            try:
                answer.set_result(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG))
            except UnicodeError as error:
                answer.set_exception(OSError(errno.EINVAL, f"not a host name: {error}"))
            except Exception as error:  # noqa: BLE001 - the caller must get the error
                answer.set_exception(error)
            finally:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._free.release)

        try:
            threading.Thread(target=ask, name=f"look up {host[:64]}", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(errno.EAGAIN, f"no thread to look up the host: {error}") from None
        found = await asyncio.wrap_future(answer)
        return [_result(host, port, kind, protocol, str(address[0])) for kind, _, protocol, _, address in found]

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _result(host: str, port: int, family: int, protocol: int, address: str) -> ResolveResult:
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=protocol, flags=numeric)
