"""Both services, one of them to be killed at any step, and what must be true whenever that has happened."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

from shared.mongo import Client
from tests.e2e.conftest import end_leases
from tests.e2e.crash_points.proxy import Gate, Proxy
from tests.e2e.crash_points.steps import ANSWERS, HTTP, MONGODB
from tests.waiting import until
from tools.process import free_port
from tools.stack import Service, Stack, is_ready

REACH_SECONDS = 10.0

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
                    *(sys.executable, "-m", "tests.e2e.crash_points.fork_server", _MAINS[self._service.module]),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=self._service._environment,
                )
        await self._tell("start")

        async def ready() -> bool:
            return await asyncio.to_thread(is_ready, self._service.url)

        await until(ready, f"{self._service.module} is ready")

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


class World:
    """`orders` and `gateway` are the two databases; `gate` is where the victim can be stopped."""

    def __init__(self, mongo: Client, database: str, victim: Victim, gate: Gate, proxies: Sequence[Proxy]) -> None:
        self.mongo = mongo
        self.orders, self.gateway = mongo[database], mongo[f"{database}_gateway"]
        self.gate = gate
        self._own = self.orders if victim.module == "order_api" else self.gateway
        self._victim = victim
        self._proxies = proxies

    async def restart(self) -> None:
        """Kills the victim where it stands and starts it anew."""
        await self._victim.kill()
        for proxy in self._proxies:
            await proxy.drop()
        self.gate.open()
        await self._let_time_pass()
        await self._victim.start()
        if self.gate.late:
            self.gate.release()
            await asyncio.wait_for(self.gate.has_arrived.wait(), REACH_SECONDS)
            await self._end_leases()

    async def _let_time_pass(self) -> None:
        """The few seconds after which the server ends the transactions of the dead, and the half minute of its leases."""
        if sessions := list(self.gate.open_transactions.values()):
            await self.mongo.admin.command("killSessions", sessions)
            self.gate.open_transactions.clear()
        await self._end_leases()

    async def _end_leases(self) -> None:
        for name in ("outbox", "charges", "refunds", "deliveries"):
            await end_leases(self._own[name])


@asynccontextmanager
async def world_of(module: Module, mongo: Client, logs: Path) -> AsyncIterator[tuple[World, str]]:
    """With the URL where orders are placed. `module` is the one to be killed."""
    database = f"test_{uuid4().hex[:16]}"
    address = await mongo.address
    assert address is not None
    gate = Gate()
    ports = {"order_api": free_port(), "payment_gateway": free_port()}
    other: Module = "payment_gateway" if module == "order_api" else "order_api"
    commands = Proxy(MONGODB, gate, address)
    inbound = Proxy(ANSWERS, gate, ("127.0.0.1", ports[module]))
    outbound = Proxy(HTTP, gate, ("127.0.0.1", ports[other]))
    proxies = (commands, inbound, outbound)
    async with AsyncExitStack() as stack:
        for name in (database, f"{database}_gateway"):
            stack.push_async_callback(mongo.drop_database, name)
        for proxy in proxies:
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        before = {module: inbound.port, other: outbound.port}
        services = Stack(
            f"mongodb://{address[0]}:{address[1]}/?directConnection=true",
            logs,
            order_apis=[ports["order_api"]],
            gateways=[ports["payment_gateway"]],
            environment={
                **SETTINGS,
                "ORDER_API_DATABASE": database,
                "PAYMENT_GATEWAY_DATABASE": f"{database}_gateway",
                "PAYMENT_GATEWAY_URL": f"http://127.0.0.1:{before['payment_gateway']}",
                "WEBHOOK_ENDPOINT_URL": f"http://127.0.0.1:{before['order_api']}/api/webhooks/payments",
            },
        )
        services_by_module = {"order_api": services.order_apis[0], "payment_gateway": services.gateways[0]}
        dies, lives = services_by_module[module], services_by_module[other]
        dies._environment["MONGODB_URI"] = f"mongodb://127.0.0.1:{commands.port}/?directConnection=true"
        lives.launch()
        stack.push_async_callback(asyncio.to_thread, lives.stop)
        victim = Victim(dies)
        stack.push_async_callback(victim.stop)
        await victim.start()
        await asyncio.to_thread(lives.wait_until_ready)
        place_at = inbound.port if module == "order_api" else ports["order_api"]
        yield World(mongo, database, victim, gate, proxies), f"http://127.0.0.1:{place_at}"
