"""Puts the application together: its parts, and the work that runs for as long as it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from litestar.types import ASGIApp

from order_api.cancel_order import CancelOrder
from order_api.dispatch_outbox import SLOTS, DispatchOutbox
from order_api.gateway_client import GatewayClient
from order_api.pay_order import PayOrder
from order_api.place_order import PlaceOrder
from order_api.problems import PROBLEMS
from order_api.receive_webhook import ReceiveWebhook
from order_api.reconcile import Reconcile
from order_api.record_events import RecordEvents
from order_api.redrive_message import RedriveMessage
from order_api.refund_order import RefundOrder
from order_api.resolve_review import ResolveReview
from order_api.routes import ROUTES, WEBHOOKS_PATH
from order_api.schema import ensure_schema
from order_api.settings import Settings
from order_api.store import Store
from order_api.sweep_events import SweepEvents
from order_api.take_stock import counts
from shared.documents.keys import ForgetKeys
from shared.edge.admit import Admission, RateLimit
from shared.edge.application import Writer, at_work, build
from shared.edge.auth import parse_keys
from shared.edge.console import Console
from shared.edge.health import Readiness
from shared.edge.limits import HttpLimits
from shared.edge.metrics import Exposition
from shared.edge.recent import Recent
from shared.leases import LeasedWork
from shared.mongo import connect
from shared.watch import Watch


class Application:
    """The parts of order_api, which handlers get by their names. Nothing is connected before `running`."""

    def __init__(self, settings: Settings) -> None:
        self._watched = settings.has_console
        self.store = Store(
            connect(settings.mongodb_uri, app_name="order_api"),
            settings.order_api_database,
            reconcile_after=timedelta(seconds=settings.reconcile_after_seconds),
        )
        self.gateway = GatewayClient(
            settings.payment_gateway_url, settings.payment_gateway_api_key, connections_max=SLOTS
        )
        self.record_events = RecordEvents(self.store)
        self.dispatch_outbox = DispatchOutbox(self.store, self.gateway, self.record_events)
        ttl = timedelta(seconds=settings.idempotency_ttl_seconds)
        self.place_order = PlaceOrder(self.store, self.dispatch_outbox, idempotency_ttl=ttl)
        self.forget_keys = ForgetKeys(self.store.orders, "ord", idempotency_ttl=ttl)
        self.pay_order = PayOrder(self.store, idempotency_ttl=ttl)
        self.cancel_order = CancelOrder(self.store)
        self.refund_order = RefundOrder(self.store, idempotency_ttl=ttl)
        self.resolve_review = ResolveReview(self.store)
        self.redrive_message = RedriveMessage(self.store)
        self.receive_webhook = ReceiveWebhook(
            self.record_events, settings.secrets, tolerance_seconds=settings.webhook_tolerance_seconds
        )
        self.reconcile = Reconcile(self.store, self.gateway, self.record_events)
        self.sweep_events = SweepEvents(self.gateway, self.record_events)
        self.exposition = Exposition(self.store.client, counts(self.store))
        self.readiness = Readiness(self.store.client)
        self.keys = parse_keys(settings.order_api_keys, name="ORDER_API_KEYS")
        self.watch = Watch([self.store.orders])
        self.refused_webhooks = (
            Recent(_is_refused_webhook, self.watch.touch) if settings.app_env == "development" else None
        )

    @asynccontextmanager
    async def running(self, *, workers: bool = True) -> AsyncIterator[None]:
        """Makes the schema, and keeps client, writers and (unless told otherwise) workers running until the end."""
        work: list[LeasedWork[Any]] = [self.dispatch_outbox.work, self.reconcile.work] if workers else []
        try:
            # `serve` has done it already, to show an error in one line; other callers have not.
            await ensure_schema(self.store.database, watched=self._watched)
            await self.gateway.start()
            hourly: list[Writer] = [self.forget_keys, self.sweep_events] if workers else []
            writers: list[Writer] = [*self.store.writers, *self.place_order.writers, *hourly]
            async with at_work(writers, work):
                yield
        finally:
            await self.gateway.close()
            await self.store.client.close()


def create_app(settings: Settings, limits: HttpLimits) -> ASGIApp:
    """The ASGI application."""
    application = Application(settings)
    per_second = settings.order_api_rate_limit_per_second
    admission = Admission(
        application.keys,
        requests_max=limits.http_requests_max,
        rate_limit=RateLimit(per_second) if per_second else None,
    )
    parts = vars(application)
    console = Console(
        service="order_api",
        needs_key=bool(application.keys),
        development=settings.app_env == "development",
        gateway_console_url=settings.other_console_url,
    )
    return build(
        "order_api",
        ROUTES,
        admission=admission,
        parts=parts,
        problems=PROBLEMS,
        running=application.running,
        console=console if settings.has_console else None,
        recent=application.refused_webhooks,
    )


def _is_refused_webhook(method: str, path: str, status: int) -> bool:
    return method == "POST" and path == WEBHOOKS_PATH and status >= 400
