"""`make demo`: both services and a MongoDB of its own, tried through their public API; every claim is checked.

Exit status 0 means that every claim held. Everything it started and stored is gone when it ends.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from shared.http_client import CALL_ERRORS, open_session
from tools.demo_shop import Json, Shop, UnexpectedError
from tools.demo_steps import STEPS, Step
from tools.mongod import MongodError, temporary_mongod
from tools.process import free_port, tail
from tools.stack import ServiceError, Stack, exit_on_sigterm, set_aside

CHARGE_DELAY_SECONDS = 2  # long enough to see an order Pending
MONGODB_ANSWERS_WITHIN_SECONDS = 5
LOG_LINES = 4  # of each service, shown when something was not as claimed


def main() -> None:
    exit_on_sigterm()
    console = Console(highlight=False, soft_wrap=True)
    try:
        if unused := set_aside("MONGODB_URI"):
            console.print(unused)
        console.print("Starting MongoDB, order_api and payment_gateway ...")
        started = time.monotonic()
        with running_stack(console) as stack:
            console.print(f"Ready after {time.monotonic() - started:.1f} s.\n")
            asyncio.run(_demonstrate(stack, console))
    except (MongodError, ServiceError, UnexpectedError) as error:
        console.print(f"\ndemo failed: {error}", markup=False)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        console.print("\nstopped")
        raise SystemExit(130) from None


@contextmanager
def running_stack(console: Console) -> Iterator[Stack]:
    """Raises MongodError and ServiceError."""
    with TemporaryDirectory(prefix="demo-") as logs, _mongodb(console) as uri, _own_databases(uri) as environment:
        stack = Stack(uri, Path(logs), order_apis=[free_port()], gateways=[free_port()], environment=environment)
        with stack.running():
            yield stack


@contextmanager
def _mongodb(console: Console) -> Iterator[str]:
    """Yields the URI of MONGODB_URI, or of an embedded MongoDB that ends with this process. Raises MongodError."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    with temporary_mongod() as mongod:
        yield mongod.uri
    if mongod.transactions is not None:
        console.print(f"\nAll this began {mongod.transactions:,} multi-document transactions in MongoDB.")


@contextmanager
def _own_databases(uri: str) -> Iterator[Mapping[str, str]]:
    """The settings of both services: a short delay, and databases that nobody else uses, dropped at the end.

    Raises MongodError.
    """
    name = f"demo_{secrets.token_hex(4)}"
    databases = {"ORDER_API_DATABASE": f"{name}_order_api", "PAYMENT_GATEWAY_DATABASE": f"{name}_payment_gateway"}
    with _connected(uri) as client:
        try:
            yield {"CHARGE_DELAY_SECONDS": str(CHARGE_DELAY_SECONDS), **databases}
        finally:
            with suppress(PyMongoError):
                for database in databases.values():
                    client.drop_database(database)


def _connected(uri: str) -> MongoClient[Json]:
    """Raises MongodError if MongoDB does not answer or is no replica set. The services would take much longer to say so."""
    try:
        client = MongoClient[Json](uri, serverSelectionTimeoutMS=MONGODB_ANSWERS_WITHIN_SECONDS * 1000)
        hello = client.admin.command("hello")
    except PyMongoError as error:
        reason = str(error).partition(" (configured timeouts")[0]
        raise MongodError(f"MONGODB_URI: {reason}\nunset it to use the embedded MongoDB") from None
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise MongodError("MONGODB_URI: it is not a replica set, and the services need one")
    return client


async def _demonstrate(stack: Stack, console: Console) -> None:
    """Runs all steps, shows them as they go, and then what they mean. Raises UnexpectedError."""
    screen = Screen(console)
    async with open_session(connections_max=8, connect_seconds=5, total_seconds=15) as http:
        shop = Shop(stack, http)
        try:
            with screen:
                for step in STEPS:
                    screen.begin(step)
                    await step.play(shop, screen.say)
                    screen.end()
            arrived = [(order, await shop.events_of(order)) for order in (shop.paid, shop.declined)]
            life = await shop.timeline_of(shop.survivor)
        except UnexpectedError as error:
            raise UnexpectedError(f"{error}\n{_ends_of_logs(stack)}") from None
        except (*CALL_ERRORS, msgspec.MsgspecError) as error:
            reason = f"a service gave no answer, or garbage: {type(error).__name__}: {error}"
            raise UnexpectedError(f"{reason}\n{_ends_of_logs(stack)}") from None
    _explain(console, arrived)
    _tell(console, shop.survivor, life)
    console.print(LOOK_FURTHER, markup=False)


class Screen:
    """The steps and what came of them: a table that fills up on a terminal, otherwise plain lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[tuple[Step, list[str]]] = []
        self._done = 0
        self._failed = False
        self._live = Live(console=console, get_renderable=self._table) if console.is_terminal else None

    def __enter__(self) -> None:
        if self._live:
            self._live.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._failed = kind is not None
        if self._live:
            self._live.stop()

    def begin(self, step: Step) -> None:
        self._rows.append((step, []))
        if not self._live:
            self._console.print(f"{len(self._rows)}. {step.title}")

    def say(self, fact: str) -> None:
        self._rows[-1][1].append(fact)
        if not self._live:
            self._console.print(f"   {fact}")

    def end(self) -> None:
        self._done += 1

    def _table(self) -> Table:
        table = Table("", "what is tried", "what comes of it", "ok")
        under_way = "[red]no[/]" if self._failed else "[yellow]...[/]"
        for number, step in enumerate(STEPS, 1):
            facts = self._rows[number - 1][1] if number <= len(self._rows) else []
            begun, done = number <= len(self._rows), number <= self._done
            state = "[green]yes[/]" if done else under_way if begun else ""
            table.add_row(str(number), step.title, "\n".join(facts), state, style="" if begun else "dim")
        return table


def _ends_of_logs(stack: Stack) -> str:
    return "\n".join(f"{one.module} said last:\n{tail(one.log_file, LOG_LINES)}" for one in stack.services)


def _explain(console: Console, arrived: list[tuple[Json, list[Json]]]) -> None:
    console.print(f"\nAll {len(STEPS)} went as they should. Why it matters:\n")
    for number, step in enumerate(STEPS, 1):
        console.print(f"  {number}. {step.why}")
    console.print("\nThe audit trail (GET /api/orders/{id}/events):\n")
    for order, events in arrived:
        for event in events:
            times = {1: "once", 2: "twice"}.get(event["timesReceived"], f"{event['timesReceived']} times")
            came = f"{event['type']:<18} {event['outcome']}, received {times} by {event['source']}"
            console.print(f"  {order['orderNumber']}  {event['receivedAt'][11:23]}  {came}")
    console.print("  The forged event is not in it: what is not signed is not stored.")


def _tell(console: Console, order: Json, moments: list[Json]) -> None:
    """The life of an order, a line each moment."""
    console.print(f"\nThe life of {order['orderNumber']}, whose replies were lost (GET /api/orders/{{id}}/timeline):\n")
    for moment in moments:
        told = [moment.get(name) for name in ("type", "state", "reason", "source")]
        took = [f"took {moment['ms']} ms"] if "ms" in moment else []
        line = "  ".join([*map(str, filter(None, told)), *took])
        console.print(f"  {moment['at'][11:23]}  {moment['kind']:<8} {line}", markup=False)


LOOK_FURTHER = """
The data of this demo is gone. To look around yourself:

  make run      MongoDB and both services until Ctrl-C, and the data is kept;
                it prints the URLs, the keys and the mongosh line

Then, in another terminal:

  curl -i http://127.0.0.1:8000/api/orders \\
       -H 'Content-Type: application/json' -H 'Idempotency-Key: "first"' \\
       -d '{"orderNumber": "ORD-1", "amount": 99.99, "currency": "USD"}'
  curl 'http://127.0.0.1:8000/api/orders?status=Paid'
  mongosh "<as make run prints it>" --eval 'db.orders.find()'

  http://127.0.0.1:8000/schema    the API of order_api
  http://127.0.0.1:8001/schema    the API of payment_gateway
  docs/try-it.md                  more to try by hand
"""

if __name__ == "__main__":
    main()
