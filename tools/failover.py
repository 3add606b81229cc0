"""`make failover`: kills the primary of MongoDB while orders are placed, then looks for all that was acknowledged.

Exit status 0 means that nothing was lost and nothing was charged twice. Everything it started and stored is gone when it
ends.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from pymongo import MongoClient

from shared.http_client import CALL_ERRORS, open_session
from tools.demo_shop import Json, Shop, UnexpectedError, expect
from tools.mongod import MongodError
from tools.process import free_port
from tools.replica_set import Member, ReplicaSet, temporary_replica_set
from tools.stack import ServiceError, Stack, exit_on_sigterm, set_aside

BEFORE = AFTER = 40  # orders that are acknowledged before the kill, and by the new primary
CUSTOMERS = 16
PAUSE_SECONDS = 0.2  # before a customer asks again
PLACED_WITHIN_SECONDS = 60.0
PAID_WITHIN_SECONDS = 90.0  # more than the lease of a call that was claimed just then: 45 s
# The provider settles and retries soon, so that the run is short.
SOON = {"CHARGE_DELAY_SECONDS": "1", "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(["1"] * 60)}


@dataclass
class Seen:
    """What the customers saw: the ids of acknowledged orders by their numbers, and how often the answer was 503, or missing.
    They go on until it is `over`.
    """

    acknowledged: dict[int, str] = field(default_factory=dict)
    unknown: int = 0
    over: bool = False
    one_more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def note(self, number: int, order_id: str) -> None:
        self.acknowledged[number] = order_id
        async with self.one_more:
            self.one_more.notify_all()

    async def wait_for(self, count: int) -> None:
        """Waits until so many orders are acknowledged."""
        async with self.one_more:
            await self.one_more.wait_for(lambda: len(self.acknowledged) >= count)


def main() -> None:
    exit_on_sigterm()
    # Readers of docs/how-it-works.md export these two, for the command line of the gateway.
    if unused := set_aside("PAYMENT_GATEWAY_URL", "PAYMENT_GATEWAY_API_KEY"):
        print(unused)
    print("Starting three members of MongoDB, order_api and payment_gateway ...", flush=True)
    try:
        with TemporaryDirectory(prefix="failover-") as logs, temporary_replica_set() as replica_set:
            stack = Stack(
                replica_set.uri, Path(logs), order_apis=[free_port()], gateways=[free_port()], environment=SOON
            )
            with stack.running():
                _kill_and_compare(stack, replica_set)
    except (MongodError, ServiceError, UnexpectedError) as error:
        raise SystemExit(f"failover failed: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _kill_and_compare(stack: Stack, replica_set: ReplicaSet) -> None:
    """Raises UnexpectedError if anything was lost or charged twice, or took too long, and MongodError."""
    try:
        seen, last = asyncio.run(_kill_the_primary(stack, replica_set))
    except TimeoutError:
        raise UnexpectedError(f"not all were acknowledged within {PLACED_WITHIN_SECONDS:.0f} s") from None
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    unknown = f"{seen.unknown} times a customer got 503 or no answer, and asked again with the same key"
    print(f"{len(seen.acknowledged)} orders are acknowledged; {unknown}")
    with MongoClient[Json](replica_set.wait_for_primary().uri) as client:
        _await_payment(client)
        _compare(client, seen, last)


async def _kill_the_primary(stack: Stack, replica_set: ReplicaSet) -> tuple[Seen, int]:
    """Returns what the customers saw, and the number of the last order that was acknowledged before the kill.

    Raises TimeoutError, and in an ExceptionGroup UnexpectedError and MongodError.
    """
    seen, numbers = Seen(), count(1)
    async with (
        open_session(connections_max=CUSTOMERS, connect_seconds=5, total_seconds=15) as http,
        asyncio.timeout(PLACED_WITHIN_SECONDS),
        asyncio.TaskGroup() as customers,
    ):
        shop = Shop(stack, http)
        for _ in range(CUSTOMERS):
            customers.create_task(_place(shop, numbers, seen))
        await seen.wait_for(BEFORE)
        primary = await asyncio.to_thread(replica_set.wait_for_primary)
        last, before = list(seen.acknowledged)[-1], len(seen.acknowledged)
        await asyncio.to_thread(primary.kill)
        killed_at = time.monotonic()
        name = _name(primary, replica_set)
        print(f"kill -9 of {name}, the primary, after {before} orders were acknowledged", flush=True)
        successor = await asyncio.to_thread(replica_set.wait_for_primary)
        took = time.monotonic() - killed_at
        print(f"{_name(successor, replica_set)} is the primary, {took:.1f} s later", flush=True)
        await seen.wait_for(len(seen.acknowledged) + AFTER)
        seen.over = True
    return seen, last


async def _place(shop: Shop, numbers: Iterator[int], seen: Seen) -> None:
    """Places orders as a careful customer does: the same key until there is an answer."""
    while not seen.over:
        number = next(numbers)
        order = {"orderNumber": f"FAILOVER-{number}", "amount": 99.99, "currency": "USD"}
        while True:
            try:
                status, answer, _ = await shop.place(f"failover-{number}", order)
            except CALL_ERRORS:
                status, answer = 0, {}
            if status == 201:
                await seen.note(number, answer["id"])
                break
            expect(status in {0, 409, 503}, "201, or an answer that says: not known yet", f"{status} {answer}")
            seen.unknown += 1
            await asyncio.sleep(PAUSE_SECONDS)


def _await_payment(client: MongoClient[Json]) -> None:
    """Waits until all orders are Paid. Raises UnexpectedError."""
    deadline = time.monotonic() + PAID_WITHIN_SECONDS
    while left := client["order_api"]["orders"].count_documents({"status": {"$ne": "Paid"}}):
        expect(
            time.monotonic() < deadline, f"all orders are Paid within {PAID_WITHIN_SECONDS:.0f} s", f"{left} are not"
        )
        time.sleep(0.1)


def _compare(client: MongoClient[Json], seen: Seen, last: int) -> None:
    """Compares what is stored with what was acknowledged. Raises UnexpectedError."""
    stored = {order["_id"] for order in client["order_api"]["orders"].find({}, {"_id": 1})}
    charged = [charge["reference"] for charge in client["payment_gateway"]["charges"].find({}, {"reference": 1})]
    lost = [number for number, order_id in seen.acknowledged.items() if order_id not in stored]
    twice = len(charged) - len(set(charged))
    print(f"lost: {len(lost)}, placed twice: {len(stored) - len(seen.acknowledged)}, charged twice: {twice}")
    expect(not lost, "no acknowledged order is lost", str(lost))
    expect(len(stored) == len(seen.acknowledged), "as many orders are stored as were acknowledged", str(len(stored)))
    expect(sorted(charged) == sorted(stored), "each order is charged once", f"{len(charged)} charges")
    shown = {"_id": 0, "order_number": 1, "status": 1, "keys.value": 1, "charges.state": 1}
    order = client["order_api"]["orders"].find_one({"_id": seen.acknowledged[last]}, shown) or {}
    print("The last order that was acknowledged before the kill, as the new primary has it:")
    print(json.dumps(order))


def _name(member: Member, replica_set: ReplicaSet) -> str:
    return f"member {replica_set.members.index(member) + 1}"


if __name__ == "__main__":
    main()
