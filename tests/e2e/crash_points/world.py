"""Both services, one of them to be killed at any step, and what must be true whenever that has happened."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

from shared.mongo import Client
from tests.e2e.conftest import end_leases
from tests.e2e.crash_points.proxy import Gate, Proxy
from tests.e2e.crash_points.steps import ANSWERS, HTTP, MONGODB
from tests.waiting import until
from tools.process import free_port, tail
from tools.stack import Service, Stack, is_ready

ARRIVAL_SECONDS = 10.0

# Nothing waits for long, and nothing is mended by reconciliation: what a crash leaves behind is found without it.
SETTINGS = {
    "CHARGE_DELAY_SECONDS": "0.05",
    "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(["0.2"] * 100),
    "RECONCILE_AFTER_SECONDS": "3600",
}

Module = Literal["order_api", "payment_gateway"]
_MAINS = {"order_api": "order_api.__main__", "payment_gateway": "payment_gateway.serve"}


class Victim:
    """One of the services, forked from a process that has imported it. It speaks through the proxies of its gate."""

    def __init__(self, service: Service) -> None:
        self.module = service.module
        self._service = service
        self._forks: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it is ready."""
        if self._forks is None:
            with self._service.log_file.open("ab") as log:
                self._forks = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "tests.e2e.crash_points.fork_server", _MAINS[self.module]),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=self._service._environment,
                )
        await self._tell("start")

        async def ready() -> bool:
            return await asyncio.to_thread(is_ready, self._service.url)

        try:
            await until(ready, f"{self.module} is ready")
        except AssertionError as error:
            error.add_note(f"its log ends with:\n{tail(self._service.log_file)}")
            raise

    async def kill(self) -> None:
        """kill -9. Returns when it is dead."""
        await self._tell("kill")

    async def stop(self) -> None:
        if self._forks:
            assert self._forks.stdin is not None
            self._forks.stdin.close()
            await self._forks.wait()

    async def _tell(self, command: str) -> None:
        assert self._forks is not None
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        self._forks.stdin.write(f"{command}\n".encode())
        assert await self._forks.stdout.readline() == b"done\n"


class Provider(NamedTuple):
    """The gateway, past the gate."""

    url: str
    api_key: str


class World:
    """`orders` and `gateway` are the two databases; `gate` is where the victim can be stopped."""

    def __init__(
        self,
        mongo: Client,
        database: str,
        victim: Victim,
        gate: Gate,
        proxies: Sequence[Proxy],
        order_api_url: str,
        provider: Provider,
    ) -> None:
        self.orders, self.gateway = mongo[database], mongo[f"{database}_gateway"]
        self.gate = gate
        self.order_api_url = order_api_url
        self.provider = provider
        self._mongo = mongo
        self._own = self.orders if victim.module == "order_api" else self.gateway
        self._victim = victim
        self._proxies = proxies

    async def restart(self) -> None:
        """Kills the victim where it stands, lets the seconds pass after which the server ends its transactions and the half
        minute that its leases last, and starts it anew.
        """
        await self._victim.kill()
        for proxy in self._proxies:
            await proxy.drop()
        self.gate.open()
        await self._end_transactions()
        if not self.gate.commits_late:  # then what is leased is locked, too
            await self._end_leases()
        await self._victim.start()
        if self.gate.late:
            self.gate.release()
            await asyncio.wait_for(self.gate.has_arrived.wait(), ARRIVAL_SECONDS)
            await self._end_leases()

    async def _end_transactions(self) -> None:
        if sessions := list(self.gate.open_transactions.values()):
            await self._mongo.admin.command("killSessions", sessions)
            self.gate.open_transactions.clear()

    async def _end_leases(self) -> None:
        for name in ("outbox", "deliveries"):
            await end_leases(self._own[name])
        await self._own["charges"].update_many({"hand_until": {"$ne": None}}, {"$set": {"hand_until": None}})


@asynccontextmanager
async def world_of(module: Module, mongo: Client, logs: Path) -> AsyncIterator[World]:
    """One in which `module` can be killed. It speaks to MongoDB and to the other service through proxies, and the other to
    it.
    """
    address = await mongo.address
    assert address is not None
    database = f"test_{uuid4().hex[:16]}"
    other: Module = "payment_gateway" if module == "order_api" else "order_api"
    ports = {"order_api": free_port(), "payment_gateway": free_port()}
    gate = Gate()
    commands = Proxy(MONGODB, gate, address)
    proxies = {
        module: Proxy(ANSWERS, gate, ("127.0.0.1", ports[module])),
        other: Proxy(HTTP, gate, ("127.0.0.1", ports[other])),
    }
    async with AsyncExitStack() as stack:
        for name in (database, f"{database}_gateway"):
            stack.push_async_callback(mongo.drop_database, name)
        for proxy in (commands, *proxies.values()):
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        services = Stack(
            _uri(address),
            logs,
            order_apis=[ports["order_api"]],
            gateways=[ports["payment_gateway"]],
            environment={
                **SETTINGS,
                "ORDER_API_DATABASE": database,
                "PAYMENT_GATEWAY_DATABASE": f"{database}_gateway",
                "PAYMENT_GATEWAY_URL": proxies["payment_gateway"].url,
                "WEBHOOK_ENDPOINT_URL": f"{proxies['order_api'].url}/api/webhooks/payments",
            },
        )
        named = {service.module: service for service in services.services}
        named[module]._environment["MONGODB_URI"] = _uri(("127.0.0.1", commands.port))
        named[other].launch()
        stack.push_async_callback(asyncio.to_thread, named[other].stop)
        victim = Victim(named[module])
        stack.push_async_callback(victim.stop)
        await victim.start()
        await asyncio.to_thread(named[other].wait_until_ready)
        order_api_url = proxies[module].url if module == "order_api" else named[other].url
        provider = Provider(services.gateways[0].url, services.api_key)
        yield World(mongo, database, victim, gate, [commands, *proxies.values()], order_api_url, provider)


def _uri(address: tuple[str, int | None]) -> str:
    return f"mongodb://{address[0]}:{address[1]}/?directConnection=true"
