"""Everything the judge looks at, collected once all is quiet: both databases, the history, the logs, the memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
from pymongo.errors import PyMongoError

from shared.mongo import Client, Database, Document, connect, describe
from tools.chaos.history import History, Operation
from tools.chaos.pauses import Pauses
from tools.chaos.watcher import Change, Watcher
from tools.chaos.world import World

__all__ = ["Evidence", "Watcher", "collect", "still_open"]

OURS = ("orders", "idempotency_keys", "outbox", "payment_events")
THEIRS = ("charges", "events", "deliveries", "webhook_endpoints")
PLACING = "POST /api/orders"  # the endpoint that an order's idempotency record names


class Evidence(msgspec.Struct, kw_only=True, dict=True):
    """`messages`, `stored_events` and `keys` are order_api's; what the provider has begins with `provider_`. `changes` are
    all writes to order_api's documents in their order; `memory` is resident bytes of each process, sample by sample;
    `pauses` are when processes were stopped on purpose. Unless `databases_read`, nobody knows what is in them, and there are
    no documents.
    """

    merchants: list[str]
    operations: list[Operation]
    databases_read: bool = True
    orders: list[Document] = []
    keys: list[Document] = []
    messages: list[Document] = []
    stored_events: list[Document] = []
    provider_charges: list[Document] = []
    provider_refunds: list[Document] = []
    provider_events: list[Document] = []
    provider_deliveries: list[Document] = []
    changes: list[Change] = []
    still_open: list[str] = []
    logs: list[Path] = []
    secrets: list[str] = []
    memory: Mapping[str, Sequence[int]] = {}
    pauses: Pauses = {}

    @cached_property
    def order_by_id(self) -> dict[str, Document]:
        return {order["_id"]: order for order in self.orders}

    @cached_property
    def keys_of(self) -> dict[str, list[Document]]:
        """Idempotency records, by the order or refund that their requests made."""
        return grouped(self.keys, "resource_id")

    @cached_property
    def operations_on(self) -> dict[str, list[Operation]]:
        """By order, where the client knew it."""
        on: dict[str, list[Operation]] = defaultdict(list)
        for operation in self.operations:
            on[operation.order_id or ""].append(operation)
        return on

    @cached_property
    def messages_of(self) -> dict[str, list[Document]]:
        """By order."""
        return grouped(self.messages, "order_id")

    @cached_property
    def charges_of(self) -> dict[str, list[Document]]:
        """The provider's, by the order that they name."""
        return grouped(self.provider_charges, "reference")

    @cached_property
    def refunds_of(self) -> dict[str, list[Document]]:
        """The provider's, by the order whose charge they give back."""
        return grouped(self.provider_refunds, "charge_reference")

    @cached_property
    def events_of(self) -> dict[str, list[Document]]:
        """Those that order_api has stored, by order."""
        return grouped(self.stored_events, "order_id")

    @cached_property
    def dead_letters_of(self) -> dict[str, list[Document]]:
        """By order: its messages as they were when they were dead, also if they have been redriven since."""
        written = [change.after for change in self.changes if change.collection == "outbox" and change.after]
        return grouped((one for one in [*written, *self.messages] if one["state"] == "dead"), "order_id")

    @cached_property
    def provider_event_by_id(self) -> dict[str, Document]:
        return {event["_id"]: event for event in self.provider_events}

    def of_kind(self, *kinds: str) -> list[Operation]:
        return [operation for operation in self.operations if operation.kind in kinds]


def grouped(documents: Iterable[Document], field: str) -> dict[str, list[Document]]:
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[document.get(field) or ""].append(document)
    return groups


async def collect(
    world: World,
    history: History,
    watcher: Watcher,
    memory: Mapping[str, Sequence[int]],
    stuck: Sequence[str],
) -> Evidence:
    """Past the proxies, by majority reads. `stuck` is what is known not to have come to rest; what cannot be read is too."""
    evidence = Evidence(
        merchants=[merchant.name for merchant in world.merchants],
        operations=history.operations,
        databases_read=False,
        still_open=list(stuck),
        logs=world.logs,
        secrets=_secrets(world),
        memory=memory,
    )
    try:
        async with connect(world.mongodb_uri, app_name="judge") as client:
            await _read(evidence, client, world.databases)
            evidence.databases_read = True
            await watcher.catch_up(client)
    except PyMongoError as error:
        evidence.still_open.append(f"the databases cannot be read: {describe(error)}")
    except TimeoutError:
        evidence.still_open.append("the change stream stays behind")
    evidence.changes = watcher.changes
    return evidence


async def _read(evidence: Evidence, client: Client, databases: tuple[str, str]) -> None:
    ours, theirs = (client[name] for name in databases)
    found = {name: await ours[name].find().to_list() for name in OURS}
    told = {name: await theirs[name].find().to_list() for name in THEIRS}
    evidence.orders, evidence.keys = found["orders"], found["idempotency_keys"]
    evidence.messages, evidence.stored_events = found["outbox"], found["payment_events"]
    evidence.provider_charges = told["charges"]
    evidence.provider_refunds = [
        {**refund, "_id": refund["id"], "charge_id": charge["_id"], "charge_reference": charge["reference"]}
        for charge in told["charges"]
        for refund in charge["refunds"]
    ]
    evidence.provider_events, evidence.provider_deliveries = told["events"], told["deliveries"]
    rotated = [one["value"] for endpoint in told["webhook_endpoints"] for one in endpoint["secrets"]]
    evidence.secrets = sorted({*evidence.secrets, *rotated})
    evidence.still_open += [left for left in await _still_open(ours, theirs) if left not in evidence.still_open]


def _secrets(world: World) -> list[str]:
    keys = [merchant.api_key for merchant in world.merchants]
    return sorted({*world.secrets, *world.webhook_secrets, world.gateway_key, *keys})


async def still_open(world: World) -> list[str]:
    """What has not come to rest, in words; nothing when all is quiet."""
    try:
        async with connect(world.mongodb_uri, app_name="judge") as client:
            ours, theirs = (client[name] for name in world.databases)
            return await _still_open(ours, theirs)
    except PyMongoError as error:
        return [f"the database does not answer: {describe(error)}"]


async def _still_open(ours: Database, theirs: Database) -> list[str]:
    """A message that is dead, and what waits for it, is at rest: a person is to look."""
    dead = {
        message["refund_id"] or message["order_id"]: message["order_id"]
        async for message in ours["outbox"].find({"state": "dead"}, {"order_id": 1, "refund_id": 1})
    }
    left = [
        f"message {one['_id']} of {one['order_id']} is {one['state']} after {one['attempts']} attempts: "
        f"{one.get('last_error') or 'no error'}"
        async for one in ours["outbox"].find({"state": {"$in": ["ready", "leased"]}})
    ]
    waiting = [{"status": "Pending"}, {"reconcile_at": {"$type": "date"}}, {"refunds.state": "requested"}]
    async for order in ours["orders"].find({"$or": waiting}):
        left += _open_in(order, set(dead), looked_at=set(dead.values()))
    async for event in ours["payment_events"].find({"outcome": "unmatched"}):
        if await ours["orders"].find_one({"_id": event["order_id"]}, {"_id": 1}):
            left.append(f"event {event['_id']} of {event['order_id']} is unmatched")
    open_at_theirs: dict[str, Document] = {
        "charges": {"$or": [{"due_at": {"$ne": None}}, {"announce": {"$ne": []}}]},
        "deliveries": {"$or": [{"state": "pending"}, {"hold": {"$exists": True}}]},
    }
    for name, is_open in open_at_theirs.items():
        left += [
            f"{one['_id']}, one of the provider's {name}, is not at rest"
            async for one in theirs[name].find(is_open, {"_id": 1})
        ]
    return left


def _open_in(order: Document, dead: set[str], *, looked_at: set[str]) -> list[str]:
    """`dead` has the ids of orders whose charge is a dead letter, and of such refunds; `looked_at` those of their orders."""
    left = [
        f"refund {refund['id']} of {order['_id']} is requested"
        for refund in order["refunds"]
        if refund["state"] == "requested" and refund["id"] not in dead
    ]
    if order["status"] == "Pending" and order["_id"] not in dead:
        left.append(f"order {order['_id']} is Pending")
    if order["reconcile_at"] is not None and order["_id"] not in looked_at:
        left.append(f"order {order['_id']} has an open question")
    return left
