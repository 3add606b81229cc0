"""Both services, one of them to be killed at any step, and what must be true whenever that has happened."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import uuid4

from shared.mongo import Client
from tests.e2e.conftest import end_claims, end_leases
from tests.e2e.crash_points.proxy import Gate, Proxy
from tests.e2e.crash_points.steps import ANSWERS, HTTP, MONGODB
from tools.process import free_port
from tools.stack import Service, Stack

ARRIVAL_SECONDS = 60.0

# Nothing waits for long, and nothing is mended by reconciliation: what a crash leaves behind is found without it.
SETTINGS = {
    "CHARGE_DELAY_SECONDS": "0.05",
    "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(["0.2"] * 100),
    "RECONCILE_AFTER_SECONDS": "3600",
}

Module = Literal["order_api", "payment_gateway"]


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
        victim: Service,
        gate: Gate,
        proxies: Sequence[Proxy],
        order_api_url: str,
        provider: Provider,
    ) -> None:
        self.orders, self.gateway = mongo[database], mongo[f"{database}_gateway"]
        self.gate = gate
        self.order_api_url = order_api_url
        self.provider = provider
        self._own = self.orders if victim.module == "order_api" else self.gateway
        self._victim = victim
        self._proxies = proxies

    async def restart(self) -> None:
        """Kills the victim where it stands, lets the half minute pass that its leases last, and starts it anew."""
        await asyncio.to_thread(self._victim.kill)
        for proxy in self._proxies:
            await proxy.drop()
        self.gate.open()
        await self._end_leases()
        await asyncio.to_thread(self._victim.start)
        if self.gate.late:
            self.gate.release()
            await asyncio.wait_for(self.gate.has_arrived.wait(), ARRIVAL_SECONDS)
            await self._end_leases()

    async def _end_leases(self) -> None:
        if self._victim.module == "order_api":
            await end_claims(self.orders["orders"])
        await end_leases(self._own["deliveries"])
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
        named[module].environment["MONGODB_URI"] = _uri(("127.0.0.1", commands.port))
        for service in services.services:
            service.launch()
            stack.push_async_callback(asyncio.to_thread, service.stop)
        for service in services.services:
            await asyncio.to_thread(service.wait_until_ready)
        order_api_url = proxies[module].url if module == "order_api" else named[other].url
        provider = Provider(services.gateways[0].url, services.api_key)
        yield World(mongo, database, named[module], gate, [commands, *proxies.values()], order_api_url, provider)


def _uri(address: tuple[str, int | None]) -> str:
    return f"mongodb://{address[0]}:{address[1]}/?directConnection=true"
