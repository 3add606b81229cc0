"""The payment gateway beside itself with 100,000 charges stored, in turns. Settlement is held back."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from random import Random
from typing import Any

from pymongo import MongoClient

from tools.bench.figures import Figure, at_least, figure, ratio
from tools.bench.load import script, wrk
from tools.bench.mould import Mould, id_hex, unix_ms
from tools.bench.stage import Run
from tools.bench.stored import hex_of, new_key, store
from tools.mongod import Mongod, temporary_mongod
from tools.process import free_port
from tools.stack import Service

CONNECTIONS = 16
FEW, MANY = 1_000, 100_000  # charges stored
TURNS = 3  # a round: short ones, since a small difference is looked for on a machine whose speed changes
TURN_SECONDS = 2
SETTLES_AFTER_SECONDS = 86400

_API_KEY = "bench"
_CHARGES_LUA = """
function request()
  local key = unique()
  wrk.headers["Idempotency-Key"] = key
  local body = '{"amount":9999,"currency":"USD","reference":"' .. key .. '","paymentMethod":"pm_card_visa"}'
  return wrk.format("POST", "/v1/charges", nil, body)
end
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_API_KEY")
wrk.headers["Content-Type"] = "application/json"
"""


def measure(run: Run) -> list[Figure]:
    """Compares a gateway with MANY charges stored with one that has FEW and is new each time, in turns. Raises LoadError,
    ServiceError and MongodError.
    """
    few: list[float] = []
    many: list[float] = []
    with temporary_mongod() as mongod, Gateway(mongod, run.folder, "filled").running() as filled:
        filled.fill(MANY)
        for number in range(run.rounds * TURNS):
            with Gateway(mongod, run.folder, f"new_{number}").running() as new:
                new.fill(FEW)
                for gateway in (new, filled) if number % 2 else (filled, new):
                    (many if gateway is filled else few).append(gateway.rate(TURN_SECONDS))
    return [
        ratio(f"charges with {MANY:,} stored, beside {FEW:,}", many, few, goal=at_least(0.9)),
        figure(f"charges with {MANY:,} stored: rate", "/s", *many),
        figure(f"charges with {FEW:,} stored: rate", "/s", *few),
    ]


class Gateway:
    """A gateway on a database of its own, with no webhook endpoint."""

    def __init__(self, mongod: Mongod, folder: Path, name: str) -> None:
        port = free_port()
        environment = {
            "APP_ENV": "development",
            "MONGODB_URI": mongod.uri,
            "LOG_FORMAT": "json",
            "PAYMENT_GATEWAY_PORT": str(port),
            "PAYMENT_GATEWAY_DATABASE": name,
            "PAYMENT_GATEWAY_API_KEYS": _API_KEY,
            "CHARGE_DELAY_SECONDS": str(SETTLES_AFTER_SECONDS),
        }
        self._service = Service("payment_gateway", port, environment, folder / f"{name}.log")
        self._script = script(folder, "charges", _CHARGES_LUA)
        self._client = MongoClient[dict[str, Any]](mongod.uri)
        self._charges = self._client[name]["charges"]

    @contextmanager
    def running(self) -> Iterator["Gateway"]:
        """Raises ServiceError."""
        try:
            self._service.start()
            yield self
        finally:
            self._service.stop()
            self._client.close()

    def rate(self, seconds: int) -> float:
        """Charges taken a second. Raises LoadError."""
        load = wrk(self._service.url, self._script, connections=CONNECTIONS, seconds=seconds, BENCH_API_KEY=_API_KEY)
        return load.rate

    def fill(self, count: int) -> None:
        """Takes charges for a second, and casts `count` others from one of them. Raises LoadError."""
        self.rate(1)
        charge = self._charges.find_one({"status": "pending"})
        assert charge is not None, "some were taken"
        key = charge["keys"][0]["value"].encode()
        mould = Mould(charge, [hex_of(charge["_id"]), key, charge["writer"].binary])
        now_ms = time.time_ns() // 10**6
        later_ms = now_ms - unix_ms(charge["created_at"].replace(tzinfo=UTC))

        def cast(_number: int, random: Random, writer: bytes) -> tuple[bytes]:
            return (mould.cast([id_hex(now_ms, random), new_key(random, len(key)), writer], later_ms=later_ms),)

        store(count, cast, [self._charges])
