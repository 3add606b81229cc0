"""`make demo`: both services and a MongoDB of its own, tried through their public API; every claim is checked.

Exit status 0 means that every claim held. Everything it started and stored is gone when it ends.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import aiohttp
import msgspec
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from shared.http_client import CALL_ERRORS, open_session
from shared.signing import sign
from shared.wire import RawPage
from tools.mongod import MongodError, temporary_mongod
from tools.process import free_port, tail
from tools.stack import Credentials, ServiceError, Stack, exit_on_sigterm

CHARGE_DELAY_SECONDS = 2  # long enough to see an order Pending
SETTLED_WITHIN_SECONDS = 10.0
MONGODB_ANSWERS_WITHIN_SECONDS = 5
LOG_LINES = 4  # of each service, shown when something was not as claimed

Json = dict[str, Any]


class UnexpectedError(Exception):
    """The services did not do what the demo claims of them; the message says what they did."""


def main() -> None:
    exit_on_sigterm()
    console = Console(highlight=False, soft_wrap=True)
    try:
        console.print("Starting MongoDB, order_api and payment_gateway ...")
        started = time.monotonic()
        with running_stack() as stack:
            console.print(f"Ready after {time.monotonic() - started:.1f} s.\n")
            asyncio.run(_demonstrate(stack, console))
    except (MongodError, ServiceError, UnexpectedError) as error:
        console.print(f"\ndemo failed: {error}", markup=False)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        console.print("\nstopped")
        raise SystemExit(130) from None


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Raises MongodError and ServiceError."""
    with TemporaryDirectory(prefix="demo-") as logs, _mongodb() as uri, _own_databases(uri) as environment:
        stack = Stack(uri, Path(logs), order_apis=[free_port()], gateways=[free_port()], environment=environment)
        with stack.running():
            yield stack


@contextmanager
def _mongodb() -> Iterator[str]:
    """The URI of MONGODB_URI, or of an embedded MongoDB that goes when we do. Raises MongodError."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    with temporary_mongod() as mongod:
        yield mongod.uri


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
    """Raises MongodError if MongoDB does not answer or is no replica set; the services would take much longer to say so."""
    try:
        client = MongoClient[Json](uri, serverSelectionTimeoutMS=MONGODB_ANSWERS_WITHIN_SECONDS * 1000)
        hello = client.admin.command("hello")
    except PyMongoError as error:
        reason = str(error).partition(" (configured timeouts")[0]
        raise MongodError(f"MONGODB_URI: {reason}\nunset it to use the embedded MongoDB") from None
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise MongodError("MONGODB_URI: it is not a replica set, and transactions need one")
    return client


async def _demonstrate(stack: Stack, console: Console) -> None:
    """All steps, shown as they go, then what they mean. Raises UnexpectedError."""
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
        except UnexpectedError as error:
            raise UnexpectedError(f"{error}\n{_ends_of_logs(stack)}") from None
        except (*CALL_ERRORS, msgspec.MsgspecError) as error:
            reason = f"a service gave no answer, or garbage: {type(error).__name__}: {error}"
            raise UnexpectedError(f"{reason}\n{_ends_of_logs(stack)}") from None
    _explain(console, arrived)


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

    def begin(self, step: "Step") -> None:
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


Say = Callable[[str], None]


class Shop:
    """A client of order_api that also has the gateway's key and the webhook secret. Remembers orders between steps."""

    paid: Json
    declined: Json

    def __init__(self, stack: Stack, http: aiohttp.ClientSession) -> None:
        self._orders = f"{stack.order_apis[0].url}/api/orders"
        self._webhooks = f"{stack.order_apis[0].url}/api/webhooks/payments"
        self._gateway = f"{stack.gateways[0].url}/v1"
        self._gateway_key = {"Authorization": f"Bearer {stack.api_key}"}
        self._http = http
        self.webhook_secret = stack.webhook_secret

    async def place(self, key: str, order: Json) -> tuple[int, Json, bool]:
        """Status, body, and whether it is the answer to an earlier request."""
        async with self._http.post(self._orders, json=order, headers={"Idempotency-Key": f'"{key}"'}) as response:
            replayed = response.headers.get("Idempotent-Replayed") == "true"
            return response.status, msgspec.json.decode(await response.read()), replayed

    async def settled(self, order_id: str) -> Json:
        """The order once it is no longer Pending. Raises UnexpectedError."""
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while (order := await self.order(order_id))["status"] == "Pending":
            _expect(time.monotonic() < deadline, f"{order['orderNumber']} settles", "it is still Pending")
            await asyncio.sleep(0.1)
        return order

    async def order(self, order_id: str) -> Json:
        return await self._get(f"{self._orders}/{order_id}")

    async def orders_numbered(self, number: str) -> list[Json]:
        return _list((await self._get(self._orders, orderNumber=number))["data"])

    async def events_of(self, order: Json) -> list[Json]:
        return _list((await self._get(f"{self._orders}/{order['id']}/events"))["data"])

    async def charges_of(self, order: Json) -> list[Json]:
        return _list((await self._get(f"{self._gateway}/charges", reference=order["id"]))["data"])

    async def event_bytes(self, order: Json) -> bytes:
        """The one event of an order exactly as the provider sent it."""
        async with self._http.get(
            f"{self._gateway}/events", params={"reference": order["id"]}, headers=self._gateway_key
        ) as response:
            events = msgspec.json.decode(await response.read(), type=RawPage).data
        _expect(len(events) == 1, "the provider has one event of the order", f"it has {len(events)}")
        return bytes(events[0])

    async def send_webhook(self, body: bytes, secret: str) -> tuple[int, Json]:
        headers = {"Content-Type": "application/json", "X-Signature": sign(body, [secret], int(time.time()))}
        async with self._http.post(self._webhooks, data=body, headers=headers) as response:
            return response.status, msgspec.json.decode(await response.read())

    async def _get(self, url: str, **query: str) -> Json:
        headers = self._gateway_key if url.startswith(self._gateway) else None
        async with self._http.get(url, params=query, headers=headers) as response:
            body: Json = msgspec.json.decode(await response.read())
            _expect(
                response.status == 200, f"GET {response.url.path} is answered with 200", f"{response.status} {body}"
            )
            return body


async def _an_order_that_is_paid(shop: Shop, say: Say) -> None:
    status, order, _ = await shop.place("demo-1", {"orderNumber": "DEMO-1", "amount": 99.99, "currency": "USD"})
    _expect(status == 201 and order["status"] == "Pending", "201 and Pending", f"{status} {order}")
    say(f"{status} {order['status']}, 99.99 USD")
    shop.paid = await shop.settled(order["id"])
    _expect(shop.paid["status"] == "Paid", "the order is paid", f"it is {shop.paid}")
    say(f"{shop.paid['status']} by a signed webhook")


async def _an_order_that_is_declined(shop: Shop, say: Say) -> None:
    wanted = {"orderNumber": "DEMO-2", "amount": "5000", "currency": "JPY", "paymentMethod": "pm_card_declined"}
    status, order, _ = await shop.place("demo-2", wanted)
    _expect(status == 201 and order["status"] == "Pending", "201 and Pending", f"{status} {order}")
    say(f"{status} {order['status']}, 5000 JPY")
    shop.declined = await shop.settled(order["id"])
    codes = [charge["failureCode"] for charge in shop.declined["charges"]]
    _expect((shop.declined["status"], codes) == ("Failed", ["card_declined"]), "it failed", f"it is {shop.declined}")
    say(f"{shop.declined['status']}: {codes[0]}")


async def _one_request_five_times(shop: Shop, say: Say) -> None:
    wanted = {"orderNumber": "DEMO-3", "amount": "12.500", "currency": "KWD"}
    answers = await asyncio.gather(*(shop.place("demo-3", wanted) for _ in range(5)))
    bodies, replays = [body for _, body, _ in answers], sum(replayed for _, _, replayed in answers)
    same = all(status == 201 and body == bodies[0] for status, body, _ in answers)
    _expect(same and replays == 4, "the same 201 five times, four of them replays", str(answers))
    say(f"5 x 201, one order; {replays} are replays")
    order = await shop.settled(bodies[0]["id"])
    orders, charges = await shop.orders_numbered("DEMO-3"), await shop.charges_of(order)
    counted = (order["status"], len(orders), len(charges))
    _expect(counted == ("Paid", 1, 1), "one order, one charge, paid", f"{orders}, {charges}")
    say(f"{order['status']}: {len(orders)} order, {len(charges)} charge")


async def _the_same_key_for_another_body(shop: Shop, say: Say) -> None:
    status, problem, _ = await shop.place("demo-1", {"orderNumber": "DEMO-4", "amount": 1.00, "currency": "USD"})
    _expect(_is_problem(problem, status, 422, "idempotency-key-reused"), "422", f"{status} {problem}")
    orders = await shop.orders_numbered("DEMO-4")
    _expect(not orders, "no order DEMO-4", str(orders))
    say(f"{status} {_slug(problem)}")


async def _a_forged_webhook(shop: Shop, say: Say) -> None:
    claim = (await shop.event_bytes(shop.declined)).replace(b"payment.failed", b"payment.succeeded")
    claim = claim.replace(b'"failed"', b'"succeeded"')
    status, problem = await shop.send_webhook(claim, secret=Credentials.new().webhook_secret)
    _expect(_is_problem(problem, status, 401, "invalid-signature"), "401", f"{status} {problem}")
    order = await shop.order(shop.declined["id"])
    _expect(order == shop.declined, "DEMO-2 unchanged", str(order))
    say(f"{status} {_slug(problem)}; still {order['status']}")


async def _a_webhook_replayed(shop: Shop, say: Say) -> None:
    status, receipt = await shop.send_webhook(await shop.event_bytes(shop.paid), secret=shop.webhook_secret)
    _expect((status, receipt) == (200, {"outcome": "duplicate"}), "200 duplicate", f"{status} {receipt}")
    order, events = await shop.order(shop.paid["id"]), await shop.events_of(shop.paid)
    _expect(order == shop.paid and len(order["charges"]) == 1, "DEMO-1 unchanged, with one charge", str(order))
    _expect([event["timesReceived"] for event in events] == [2], "one event, received twice", str(events))
    say(f"{status} {receipt['outcome']}; {order['status']}, {len(order['charges'])} charge")


def _expect(held: bool, claim: str, got: str) -> None:
    if not held:
        raise UnexpectedError(f"expected: {claim}\ngot: {got}")


def _is_problem(problem: Json, status: int, wanted: int, slug: str) -> bool:
    return status == problem.get("status") == wanted and _slug(problem) == slug


def _slug(problem: Json) -> str:
    return str(problem.get("type", "")).rpartition("/")[2]


def _list(data: Any) -> list[Json]:
    return msgspec.convert(data, list[Json])


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
    console.print(LOOK_FURTHER, markup=False)


class Step(NamedTuple):
    title: str
    why: str
    play: Callable[[Shop, Say], Awaitable[None]]


STEPS = (
    Step(
        "An order that is paid",
        "Order, key and provider message commit together: no crash splits them.",
        _an_order_that_is_paid,
    ),
    Step(
        "An order that is declined",
        "A decline is an answer, not an error: the order says Failed, and why.",
        _an_order_that_is_declined,
    ),
    Step(
        "One request, 5 times at once",
        "Whoever got no answer asks again with the same key: one order, one charge.",
        _one_request_five_times,
    ),
    Step(
        "The same key, another body",
        "One key, one request: any other answer would hide a client's mistake.",
        _the_same_key_for_another_body,
    ),
    Step(
        "A forged webhook",
        "Anybody can post to this URL: only the secret makes an order Paid.",
        _a_forged_webhook,
    ),
    Step(
        "A webhook replayed",
        "Providers deliver more than once: it counts once, and the trail shows both.",
        _a_webhook_replayed,
    ),
)

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
  README.md                       more to try, and a tour of the code
"""

if __name__ == "__main__":
    main()
