"""The stage of a measurement: processes with a database of their own, started by the parts that need them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient
from pymongo.collection import Collection

from tools.bench.turns import Processes
from tools.mongod import Mongod
from tools.process import free_port
from tools.stack import Service, Stack

CONNECTIONS = 64
TEXTBOOK = "tools.textbook"

Documents = Collection[dict[str, Any]]


class Run(NamedTuple):
    """What every part is given. `seconds` is how long a turn takes, `stored_max` how many orders `growth` stores."""

    folder: Path
    seconds: int
    rounds: int
    stored_max: int


class Stage:
    """An order_api with a gateway of its own, as `make run` sets them up; charges settle at once. The gateway may be away:
    then order_api's breaker is open, and orders are only taken. `module` names another service in order_api's place.
    """

    def __init__(
        self, mongod: Mongod, folder: Path, name: str, *, module: str = "order_api", charge_delay_seconds: float = 0
    ) -> None:
        logs = folder / name
        logs.mkdir(exist_ok=True)
        environment = {
            "ORDER_API_DATABASE": name,
            "PAYMENT_GATEWAY_DATABASE": f"{name}_gateway",
            "CHARGE_DELAY_SECONDS": str(charge_delay_seconds),
        }
        stack = Stack(mongod.uri, logs, order_apis=[free_port()], gateways=[free_port()], environment=environment)
        [self.service], [self.gateway] = stack.order_apis, stack.gateways
        self.service.module = module
        self.folder, self.name, self.mongod, self.webhook_secret = logs, name, mongod, stack.webhook_secret
        self._client = MongoClient[dict[str, Any]](mongod.uri)
        self.database, self.gateway_database = self._client[name], self._client[f"{name}_gateway"]
        self.orders: Documents = self.database["orders"]

    @contextmanager
    def running(self, *, with_gateway: bool = False) -> Iterator["Stage"]:
        """Raises ServiceError."""
        try:
            if with_gateway:
                self.gateway.start()
            self.service.start()
            yield self
        finally:
            self.service.stop()
            self.gateway.stop()
            self._client.close()

    @property
    def processes(self) -> Processes:
        """The processes that run, by their names in figures."""
        name = "textbook" if self.service.module == TEXTBOOK else self.service.module
        has_gateway = self.gateway.process is not None and self.gateway.process.poll() is None
        gateway = {"payment_gateway": self.gateway} if has_gateway else {}
        return {name: self.service, **gateway, "mongod": self.mongod}


@contextmanager
def bare(folder: Path) -> Iterator[Service]:
    """The ceiling: see bare.py. Raises ServiceError."""
    port = free_port()
    service = Service("tools.bench.bare", port, {"BARE_PORT": str(port)}, folder / "bare.log")
    try:
        service.start()
        yield service
    finally:
        service.stop()
