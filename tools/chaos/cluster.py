"""The world that `make chaos` breaks: three mongods, two of each service, and a proxy before each of their ports."""

import asyncio
import hashlib
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from subprocess import TimeoutExpired
from types import TracebackType
from typing import Any, Self

import aiohttp
from pymongo.errors import PyMongoError

from tools.chaos import peers
from tools.chaos.links import Link
from tools.chaos.processes import Keeper
from tools.chaos.proxy import Proxy
from tools.chaos.webhook_secrets import WebhookSecrets
from tools.chaos.world import Merchant, World
from tools.process import free_port, spawn, stop
from tools.replica_set import SIZE, Member, ReplicaSet
from tools.stack import Credentials, Service, Stack, settings_given

CLIENTS = "clients"  # we ourselves: the workload, and the watcher and judge
ORDER_APIS = ("order_api_1", "order_api_2")
GATEWAYS = ("payment_gateway_1", "payment_gateway_2")
SERVICES = (*ORDER_APIS, *GATEWAYS)
MONGODS = tuple(f"mongod_{number}" for number in range(1, SIZE + 1))
GATEWAY, WEBHOOKS = "payment_gateway", "webhooks"  # the two targets that have two processes behind them
OPERATOR_SECONDS = 120.0  # for a command of order_api's command line
PAUSED_SECONDS_MAX = 20.0  # more than any pause of a member

# As in production, but with short waits, so that five minutes are long.
_SETTINGS = {
    "CHARGE_DELAY_SECONDS": "1",
    "RECONCILE_AFTER_SECONDS": "5",
    "WEBHOOK_RETRY_SCHEDULE_SECONDS": "1,2,4,8,15,30" + ",60" * 10,
    "WEBHOOK_TIMEOUT_SECONDS": "3",
    "PAYMENT_GATEWAY_TEST_ENDPOINTS": "true",
    "OTEL_SDK_DISABLED": "true",
}


class Cluster:
    """Keeps its data and logs in `directory`; its maker decides whether to delete that."""

    def __init__(self, directory: Path, *, seed: int) -> None:
        draw = random.Random(f"{seed}/cluster")
        self.directory = directory
        self.webhook_secrets = WebhookSecrets(random.Random(f"{seed}/webhook secrets"))
        self._merchants = [Merchant(name, draw.randbytes(18).hex()) for name in ("acme", "globex")]
        self._gateway_key = draw.randbytes(18).hex()
        self._ports = {name: free_port() for name in (*MONGODS, *SERVICES)}
        self.keeper = Keeper(CLIENTS)
        self._peers = peers.Peers(lambda: self.keeper.names)
        self.proxies = {name: self._proxy(name, [name], seed) for name in (*MONGODS, *ORDER_APIS)}
        self.proxies[GATEWAY] = self._proxy(GATEWAY, GATEWAYS, seed)
        self.proxies[WEBHOOKS] = self._proxy(WEBHOOKS, ORDER_APIS, seed)
        self._stack = AsyncExitStack()

    def _proxy(self, target: str, processes: Sequence[str], seed: int) -> Proxy:
        def source_of(port: int) -> str:
            return self._peers.name_of(port, connected_to=self.proxies[target].port)

        return Proxy([self._ports[name] for name in processes], source_of=source_of, seed=seed)

    async def __aenter__(self) -> Self:
        """Starts the world, and returns when all of it is ready. Raises MongodError and ServiceError."""
        async with AsyncExitStack() as stack:
            for proxy in self.proxies.values():
                await proxy.start()
                stack.push_async_callback(proxy.close)
            self.replica_set = ReplicaSet(
                self.directory,
                ports=[self._ports[name] for name in MONGODS],
                addresses=[f"127.0.0.1:{self.proxies[name].port}" for name in MONGODS],
            )
            stack.callback(self.replica_set.stop)
            self.members: dict[str, Member] = dict(zip(MONGODS, self.replica_set.members, strict=True))
            self.replica_set.launch()
            self.keeper.keep(self.members)
            await asyncio.to_thread(self.replica_set.initiate)
            self.services: dict[str, Service] = self._services()
            stack.callback(self.keeper.stop_services)
            self.keeper.keep(self.services)
            for service in self.services.values():
                service.launch()
            await self.keeper.wait_until_ready()
            await stack.enter_async_context(self.keeper.watching())
            self.world = self._world()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _services(self) -> dict[str, Service]:
        stack = Stack(
            self.replica_set.uri,
            self.directory,
            order_apis=[self._ports[name] for name in ORDER_APIS],
            gateways=[self._ports[name] for name in GATEWAYS],
            credentials=Credentials(self.webhook_secrets.accepted[0], self._gateway_key),
            environment={
                **_SETTINGS,
                "ORDER_API_KEYS": ",".join(f"{one.name}:{_sha256(one.api_key)}" for one in self._merchants),
                "PAYMENT_GATEWAY_URL": f"http://127.0.0.1:{self.proxies[GATEWAY].port}",
                "WEBHOOK_ENDPOINT_URL": self._webhook_url,
            },
        )
        return dict(zip(SERVICES, [*stack.order_apis, *stack.gateways], strict=True))

    @property
    def _webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.proxies[WEBHOOKS].port}/api/webhooks/payments"

    def _world(self) -> World:
        return World(
            order_apis=[f"http://127.0.0.1:{self.proxies[name].port}" for name in ORDER_APIS],
            gateways=[f"http://127.0.0.1:{self.proxies[GATEWAY].port}"],
            merchants=self._merchants,
            gateway_key=self._gateway_key,
            webhook_url=self._webhook_url,
            webhook_secrets=self.webhook_secrets,
            mongodb_uri=self.replica_set.uri,  # through the proxies, but nobody breaks our own links to MongoDB
            logs=[*(service.log_file for service in self.services.values()), self._operator_log],
        )

    @property
    def memory(self) -> dict[str, list[int]]:
        """Resident bytes of each service, sampled once a second."""
        return self.keeper.memory

    def link(self, source: str, target: str) -> Link:
        """The link of a process to `target`. If processes cannot be told apart, all of them share one."""
        return self.proxies[target].link(source if peers.ABLE else peers.UNKNOWN)

    async def ask_gateway(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Asks any gateway that answers, past the proxies. Raises OSError if none does within 30 s."""
        headers = {"Authorization": f"Bearer {self._gateway_key}", **({"Idempotency-Key": key} if key else {})}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=6)) as http:
            async with asyncio.timeout(30):
                while True:
                    for name in GATEWAYS:
                        with suppress(aiohttp.ClientError, TimeoutError):
                            async with http.request(method, self.services[name].url + path, json=body) as response:
                                response.raise_for_status()
                                return await response.json()
                    await asyncio.sleep(0.2)

    async def operate(self, *line: str) -> int:
        """Runs a command as an operator does, such as `ask-now`, with the environment that docs/operations.md asks for.
        Returns its exit status. Raises TimeoutError.
        """
        hidden = settings_given()
        environment = {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "APP_ENV": "development",
            "MONGODB_URI": self.replica_set.uri,
            "PAYMENT_GATEWAY_URL": f"http://127.0.0.1:{self.proxies[GATEWAY].port}",
            "PAYMENT_GATEWAY_API_KEY": self._gateway_key,
            "WEBHOOK_SECRETS": ",".join(self.webhook_secrets.accepted),
            "OTEL_SDK_DISABLED": "true",
        }
        command = [sys.executable, "-m", "order_api", *line]
        process = spawn(command, log_file=self._operator_log, environment=environment)
        try:
            return await asyncio.to_thread(process.wait, OPERATOR_SECONDS)
        except TimeoutExpired:
            raise TimeoutError(f"order-api {' '.join(line)} does not end") from None
        finally:
            await asyncio.to_thread(stop, process)

    @property
    def _operator_log(self) -> Path:
        return self.directory / "operator.log"

    async def heal(self) -> None:
        """Heals the world: all runs, every link is whole, and no error is injected. Raises MongodError and ServiceError."""
        for proxy in self.proxies.values():
            proxy.heal()
        for name in (*MONGODS, *SERVICES):
            self.keeper.resume(name)
        self.keeper.start_missing()
        await asyncio.to_thread(self.replica_set.wait_until_whole)
        await asyncio.to_thread(self.clear_failpoint)
        await self.keeper.wait_until_ready()
        await self.ask_gateway("DELETE", "/v1/test/faults")

    def set_failpoint(self, mode: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Sets failCommand on all members that answer, since any may become primary. Raises PyMongoError if none does."""
        errors = []
        for member in self.replica_set.members:
            try:
                member.run({"configureFailPoint": "failCommand", "mode": mode, "data": data})
            except PyMongoError as error:
                errors.append(error)
        if len(errors) == len(self.replica_set.members):
            raise errors[0]

    def clear_failpoint(self) -> None:
        """Ends failCommand. A member that is down forgets it; a paused one is waited for, or it would go on when resumed."""
        deadline = time.monotonic() + PAUSED_SECONDS_MAX
        for member in self.replica_set.members:
            while member.runs and time.monotonic() < deadline:
                with suppress(PyMongoError):
                    member.run({"configureFailPoint": "failCommand", "mode": "off"})
                    break


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
