"""Fills databases with many orders. They are stored directly, each as a cast of one that order_api has stored itself."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from bson import Int64, ObjectId
from bson.raw_bson import RawBSONDocument

from tools.bench.load import LoadError
from tools.bench.mould import Mould, id_hex, unix_ms
from tools.bench.paying import place
from tools.bench.stage import Documents, Stage

KEY_KEPT = timedelta(hours=24)  # then order_api takes it off its order
MONTH = timedelta(days=30)
NUMBER = b"stored-%013d"
BATCH = 1000
THREADS = 2  # the server stores one batch while the next is made
REST_SECONDS = 30.0

Document = dict[str, Any]


class FinishedOrders:
    """Makes one order Paid in `stage`, whose gateway runs, to cast others from it and its event. `key_length` is that of
    their idempotency keys. Raises LoadError.
    """

    def __init__(self, stage: Stage, *, key_length: int = 32) -> None:
        self._orders, self._events = stage.orders, stage.database["payment_events"]
        self._key_length = key_length
        key, number = new_key(Random(), key_length), NUMBER % unix_ms(datetime.now(UTC))
        order, event = self._at_rest(place(stage.service.url, key.decode(), number.decode()))
        self._placed_ms = unix_ms(order["created_at"].replace(tzinfo=UTC))
        hexes = [hex_of(one) for one in (order["_id"], order["charges"][0]["id"], event["_id"])]
        own = [*hexes, key, number, order["writer"].binary]
        forgotten = {**order, "keys": [], "version": Int64(order["version"] + 1)}
        self._with_key, self._without = Mould(order, own), Mould(forgotten, own)
        self._event = Mould(event, [*hexes, event["writer"].binary])

    def fill(self, count: int, *, oldest: timedelta = MONTH, youngest: timedelta = timedelta(0)) -> None:
        """Stores `count` orders with their events, placed at even intervals between then and then, the oldest first. Those
        of more than a day ago have no key any more, as order_api leaves them; the others have random ones.
        """
        first_ms, last_ms = (unix_ms(datetime.now(UTC) - age) for age in (oldest, youngest))
        forgotten_ms = unix_ms(datetime.now(UTC) - KEY_KEPT)

        def cast(number: int, random: Random, writer: bytes) -> tuple[bytes, bytes]:
            at_ms = first_ms + (last_ms - first_ms) * number // count
            hexes = [id_hex(at_ms, random) for _ in range(3)]
            own = [*hexes, new_key(random, self._key_length), NUMBER % number, writer]
            later_ms = at_ms - self._placed_ms
            mould = self._with_key if at_ms > forgotten_ms else self._without
            return mould.cast(own, later_ms=later_ms), self._event.cast([*hexes, writer], later_ms=later_ms)

        store(count, cast, [self._orders, self._events])

    def _at_rest(self, order_id: str) -> tuple[Document, Document]:
        """The order and its event, once nothing more will be written. Raises LoadError."""
        at_rest = {"_id": order_id, "status": "Paid", "calls.state": "done", "due_at": None, "reconcile_at": None}
        deadline = time.monotonic() + REST_SECONDS
        while True:
            order = self._orders.find_one(at_rest)
            event = self._events.find_one({"order_id": order_id, "outcome": "applied"})
            if order and event:
                return order, event
            if time.monotonic() > deadline:
                raise LoadError(f"an order is not Paid after {REST_SECONDS:.0f} s")
            time.sleep(0.05)


def store_open_orders(stage: Stage, count: int, *, oldest: timedelta) -> None:
    """Stores `count` orders placed since then whose calls were never sent, as while the provider is away. There must be one
    already. Raises LoadError.
    """
    order = stage.orders.find_one({"status": "Pending", "version": 1, "calls.attempts": 0})
    if order is None:
        raise LoadError("there is no order whose call was never sent")
    [key] = order["keys"]
    own = [hex_of(order["_id"]), key["value"].encode(), order["order_number"].encode()]
    mould = Mould(order, [*own, order["writer"].binary])
    first_ms, last_ms = (unix_ms(datetime.now(UTC) - age) for age in (oldest, timedelta(0)))
    placed_ms = unix_ms(order["created_at"].replace(tzinfo=UTC))
    number_format = b"%%0%dd" % len(own[2])

    def cast(number: int, random: Random, writer: bytes) -> tuple[bytes]:
        at_ms = first_ms + (last_ms - first_ms) * number // count
        parts = [id_hex(at_ms, random), new_key(random, len(own[1])), number_format % number, writer]
        return (mould.cast(parts, later_ms=at_ms - placed_ms),)

    store(count, cast, [stage.orders])


def store(count: int, cast: Callable[[int, Random, bytes], Sequence[bytes]], collections: Sequence[Documents]) -> None:
    """Stores the documents that `cast` makes of each number, as BSON for each of the collections. Each batch has one
    `writer`. The validator sees the first batch of each thread; for all of them it would double the time. Raises
    PyMongoError.
    """

    def work(first: int) -> None:
        random = Random(first)
        for start in range(first * BATCH, count, THREADS * BATCH):
            writer = ObjectId().binary
            made = [cast(number, random, writer) for number in range(start, min(start + BATCH, count))]
            for collection, raws in zip(collections, zip(*made, strict=True), strict=True):
                documents = [RawBSONDocument(raw) for raw in raws]
                unseen = start >= THREADS * BATCH
                collection.insert_many(documents, ordered=False, bypass_document_validation=unseen)

    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as workers:
        for done in [workers.submit(work, number) for number in range(THREADS)]:
            done.result()
    collections[0].database.client.admin.command("fsync")  # so that no turn pays for it
    print(f"  stored {count:,} in {time.monotonic() - began:.0f} s", flush=True)


def new_key(random: Random, length: int) -> bytes:
    return b"%0*x" % (length, random.getrandbits(4 * length))


def hex_of(own_id: str) -> bytes:
    return own_id.partition("_")[2].encode()
