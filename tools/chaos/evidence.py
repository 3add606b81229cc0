"""Everything the judge looks at, collected once all is quiet: both databases, the history, the logs, the memory."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import msgspec
from pymongo.errors import PyMongoError

from shared.mongo import Client, Document, connect, describe
from tools.chaos.history import History, Operation
from tools.chaos.pauses import Pauses
from tools.chaos.rest import open_in_all
from tools.chaos.watcher import Change, Watcher
from tools.chaos.world import World

__all__ = ["Evidence", "Watcher", "collect"]

OURS = ("orders", "payment_events")
THEIRS = ("charges", "events", "deliveries", "webhook_endpoints")
PLACING = "POST /api/orders"  # the endpoint that an order's idempotency record names


class Evidence(msgspec.Struct, kw_only=True, dict=True):
    """`orders` and `stored_events` are order_api's; names that begin with `provider_` are the provider's. `changes` are all
    writes to watched documents, by the cluster's time. `memory` is resident bytes of each process, sample by sample;
    `pauses` are when processes were stopped on purpose. `transactions` counts the multi-document transactions that were
    begun. Without `databases_read` there are no documents, and nobody knows what the databases have.
    """

    merchants: list[str]
    operations: list[Operation]
    databases_read: bool = True
    orders: list[Document] = []
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
    transactions: int | None = None

    @cached_property
    def order_by_id(self) -> dict[str, Document]:
        return {order["_id"]: order for order in self.orders}

    @cached_property
    def keys(self) -> list[Document]:
        """The entries of all idempotency keys, each with its merchant and its order."""
        return [
            {
                **key,
                "_id": f"{order['merchant']}:{key['value']}",
                "merchant": order["merchant"],
                "order_id": order["_id"],
            }
            for order in self.orders
            for key in order["keys"]
        ]

    @cached_property
    def keys_of(self) -> dict[str, list[Document]]:
        """The entries of keys, by the order or refund that their requests made."""
        return grouped(self.keys, "of")

    @cached_property
    def messages(self) -> list[Document]:
        """The calls of all orders."""
        return [message for order in self.orders for message in messages_in(order)]

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
        """The provider's, by the order that they pay."""
        return grouped(self.provider_charges, "reference", order_of)

    @cached_property
    def refunds_of(self) -> dict[str, list[Document]]:
        """The provider's, by the order whose charge they give back."""
        return grouped(self.provider_refunds, "charge_reference", order_of)

    @cached_property
    def events_of(self) -> dict[str, list[Document]]:
        """Those that order_api has stored, by order."""
        return grouped(self.stored_events, "order_id")

    @cached_property
    def dead_letters_of(self) -> dict[str, list[Document]]:
        """By order: its messages as they were when they were dead, redriven since or not. Each death once."""
        written = [change.after for change in self.changes if change.collection == "orders" and change.after]
        dead = [one for order in [*written, *self.orders] for one in messages_in(order) if one["state"] == "dead"]
        return grouped({(one["id"], one["redrives"]): one for one in dead}.values(), "order_id")

    @cached_property
    def provider_event_by_id(self) -> dict[str, Document]:
        return {event["_id"]: event for event in self.provider_events}

    def of_kind(self, *kinds: str) -> list[Operation]:
        return [operation for operation in self.operations if operation.kind in kinds]


def messages_in(order: Document) -> list[Document]:
    """The calls of an order, each with the order's id."""
    return [{**call, "order_id": order["_id"]} for call in order["calls"]]


def grouped(documents: Iterable[Document], field: str, name: Callable[[str], str] = str) -> dict[str, list[Document]]:
    """Groups by what `name` makes of the field."""
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[name(document.get(field) or "")].append(document)
    return groups


def order_of(reference: str) -> str:
    """The order that a payment attempt belongs to. Its second attempt has the reference `ord_….2`."""
    return reference.partition(".")[0]


async def collect(
    world: World,
    history: History,
    watcher: Watcher,
    memory: Mapping[str, Sequence[int]],
    stuck: Sequence[str],
) -> Evidence:
    """Reads past the proxies, by majority reads. What cannot be read is added to `stuck`, all that has not come to rest."""
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
    evidence.orders, evidence.stored_events = found["orders"], found["payment_events"]
    evidence.provider_charges = told["charges"]
    evidence.provider_refunds = refunds_in(told["charges"])
    evidence.provider_events, evidence.provider_deliveries = told["events"], told["deliveries"]
    rotated = [one["value"] for endpoint in told["webhook_endpoints"] for one in endpoint["secrets"]]
    evidence.secrets = sorted({*evidence.secrets, *rotated})
    evidence.still_open += [left for left in await open_in_all(ours, theirs) if left not in evidence.still_open]


def refunds_in(charges: Iterable[Document]) -> list[Document]:
    """The refunds in the documents of their charges, as if each had a document of its own."""
    return [
        {
            **refund,
            "_id": refund["id"],
            "charge_id": charge["_id"],
            "charge_reference": charge["reference"],
            "currency": charge["currency"],
        }
        for charge in charges
        for refund in charge.get("refunds", ())
    ]


def _secrets(world: World) -> list[str]:
    keys = [merchant.api_key for merchant in world.merchants]
    return sorted({*world.secrets, *world.webhook_secrets, world.gateway_key, *keys})
