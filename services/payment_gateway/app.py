"""Puts the application together: which part calls which, and what runs while it serves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from litestar.types import ASGIApp

from payment_gateway.clock.advance import AdvanceClock, Schedule, first_due_in
from payment_gateway.clock.clock import Clock
from payment_gateway.clock.stored_clock import StoredClock
from payment_gateway.controls.reset import Reset
from payment_gateway.faults.misbehave import Misbehave
from payment_gateway.faults.rates import Faults
from payment_gateway.faults.scenario import Scenario
from payment_gateway.faults.stored_faults import StoredFaults
from payment_gateway.money.charge import Charge, announced
from payment_gateway.money.create import CreateMoney
from payment_gateway.money.dispute_charge import DisputeCharge
from payment_gateway.money.settle import Settle
from payment_gateway.money.show import ShowMoney
from payment_gateway.money.stored_charges import stored_charges, told
from payment_gateway.money.tell_early import has_told
from payment_gateway.problems import PROBLEMS
from payment_gateway.routes import ROUTES, STREAM_PATH
from payment_gateway.schema import ensure_schema
from payment_gateway.settings import Settings
from payment_gateway.store import Store
from payment_gateway.take_stock import counts
from payment_gateway.webhooks.announce import Announce, AnnounceLeftOver
from payment_gateway.webhooks.change_endpoints import ChangeEndpoints
from payment_gateway.webhooks.deliver import SLOTS, DeliverWebhooks
from payment_gateway.webhooks.delivery import Delivery, pause_max
from payment_gateway.webhooks.endpoint import Endpoint, configured_endpoint
from payment_gateway.webhooks.endpoint import announced as endpoint_announced
from payment_gateway.webhooks.event import Told
from payment_gateway.webhooks.expire_endpoints import ExpireEndpoints
from payment_gateway.webhooks.judge_endpoint import JudgeEndpoint
from payment_gateway.webhooks.release_held import ReleaseHeld
from payment_gateway.webhooks.resend import ResendEvents
from payment_gateway.webhooks.send import SendWebhook
from payment_gateway.webhooks.stored_endpoints import ensure_endpoint, give_places, stored_endpoints
from shared.documents import Documents
from shared.documents.keys import ForgetKeys
from shared.edge.admit import Admission
from shared.edge.application import Writer, at_work, build
from shared.edge.console import Console
from shared.edge.health import Readiness
from shared.edge.limits import HttpLimits
from shared.edge.metrics import Exposition
from shared.edge.recent import Recent
from shared.leases import LeasedWork
from shared.mongo import connect
from shared.watch import State, Watch


class Application:
    """The parts of payment_gateway. Nothing is connected before `running`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(connect(settings.mongodb_uri, app_name="payment_gateway"), settings.payment_gateway_database)
        self.clock = StoredClock(self.store.clock, Clock, enabled=settings.test_endpoints)
        self.destinations = settings.destinations
        open_sender = partial(
            SendWebhook,
            self.destinations,
            timeout_seconds=settings.webhook_timeout_seconds,
            connections_max=SLOTS,
            tls=settings.tls,
        )
        self.send_webhook = open_sender()
        self.send_once = open_sender()  # its own connections, so that tests take none from deliveries
        self.release_held = ReleaseHeld(self.store, self.clock, wake=self._wake_deliveries)
        self.endpoints = stored_endpoints(self.store)
        self.deliveries = Documents[Delivery, None](self.store.deliveries, Delivery)
        self.announce_endpoints = Announce(
            self.store,
            self.endpoints,
            Endpoint,
            self.clock,
            told=lambda one: Told(one.merchant, one.id, None, lambda _object_id: Scenario()),
            without=endpoint_announced,
            wake=self._wake_deliveries,
        )
        self.announce_left_over = AnnounceLeftOver(self.store, self.clock, self.announce_endpoints)
        pause = pause_max(settings.webhook_retry_schedule_seconds)
        self.deliver_webhooks = DeliverWebhooks(
            self.store,
            self.deliveries,
            self.clock,
            self.send_webhook,
            JudgeEndpoint(self.store, self.endpoints, self.announce_endpoints, pause_max=pause),
            schedule_seconds=settings.webhook_retry_schedule_seconds,
            timeout_seconds=settings.webhook_timeout_seconds,
            tried=self.release_held.hint,
        )
        self.charges = stored_charges(self.store)
        self.announce_charges = Announce(
            self.store,
            self.charges,
            Charge,
            self.clock,
            told=told,
            without=announced,
            wake=self._wake_deliveries,
            claim_new=self.deliver_webhooks.claim_new,
        )
        delay = timedelta(seconds=settings.charge_delay_seconds)
        self.settle_charges = Settle(self.store, self.charges, self.clock, self.announce_charges, delay=delay)
        self.show_money = ShowMoney(self.store, self.announce_charges)
        self.dispute_charge = DisputeCharge(self.store, self.charges, self.clock, self.show_money)
        self.faults = StoredFaults(self.store.faults, Faults, enabled=settings.test_endpoints)
        self.misbehave = Misbehave(self.store, self.faults, partial(has_told, self.store))
        self.create_money = CreateMoney(
            self.store, self.charges, self.clock, self.misbehave, delay=delay, settle=self.settle_charges
        )
        self.forget_keys = [ForgetKeys(self.store.charges, "ch"), ForgetKeys(self.store.webhook_endpoints, "we")]
        self.change_endpoints = ChangeEndpoints(self.store, self.endpoints, self.clock)
        self.expire_endpoints = ExpireEndpoints(self.store, self.endpoints)
        self.resend_events = ResendEvents(
            self.store, self.clock, forges=settings.test_endpoints, wake=self._wake_deliveries
        )
        self.advance_clock = AdvanceClock(
            self.store, self.clock, self._schedules(), stuck_seconds=self.deliver_webhooks.lease_seconds
        )
        self.watch = self._watch()
        self.recent = Recent(_is_call, self.watch.touch) if settings.app_env == "development" else None
        self.reset = Reset(self.store, self.clock, self._begin_anew)
        self.readiness = Readiness(self.store.client)
        self.exposition = Exposition(self.store.client, counts(self.store, self.clock))
        self.keys = settings.keys

    @asynccontextmanager
    async def running(self, *, workers: bool = True) -> AsyncIterator[None]:
        """Makes the schema and runs the writers and, unless told otherwise, the workers; stops all at the end."""
        writers: list[Writer] = [*self.charges.writers, *self.endpoints.writers, *self.deliveries.writers]
        if workers:
            writers += self.forget_keys
        works: list[LeasedWork[Any]] = [
            self.settle_charges.work,
            self.announce_left_over.work,
            self.resend_events.work,
            self.deliver_webhooks.work,
            self.release_held.work,
            self.expire_endpoints.work,
        ]
        if self.settings.test_endpoints:
            works.append(self.advance_clock.work)
        try:
            # `serve` has done this already, to show an error in one line; others that run us have not.
            await ensure_schema(self.store.database, watched=self.settings.has_console)
            await self._ensure_endpoints()
            await self.send_webhook.start()
            await self.send_once.start()
            async with at_work(writers, works if workers else []):
                yield
        finally:
            await self.send_webhook.close()
            await self.send_once.close()
            await self.store.client.close()

    def _wake_deliveries(self) -> None:
        self.deliver_webhooks.work.wake.set()

    def _schedules(self) -> list[Schedule]:
        """The schedules, in the order in which one makes the next due."""
        store, deliver = self.store, self.deliver_webhooks
        pending = {"state": "pending"}
        return [
            Schedule("charges", first_due_in(store.charges, "due_at", {}), self.settle_charges.run_once),
            Schedule(
                "endpoints", first_due_in(store.webhook_endpoints, "due_at", {}), self.announce_left_over.run_once
            ),
            Schedule("resends", first_due_in(store.resends, "due_at", {}), self.resend_events.work.run_once),
            Schedule("deliveries", first_due_in(store.deliveries, "next_attempt_at", pending), deliver.work.run_once),
            Schedule("held", self.release_held.first_due, self.release_held.run_once),
        ]

    def _watch(self) -> Watch:
        store = self.store
        states: dict[str, State] = {"faults": self.faults.read, "clock": self.clock.read}
        documents = [store.charges, store.deliveries, store.webhook_endpoints]
        return Watch(documents, states if self.settings.test_endpoints else None)

    async def _begin_anew(self) -> None:
        self.watch.touch("clock")
        await self.faults.read()
        await self._ensure_endpoints()

    async def _ensure_endpoints(self) -> None:
        url = self.settings.webhook_endpoint_url
        if url is not None:
            secret = self.settings.endpoint_secret
            endpoint = configured_endpoint(self.settings.endpoint_merchant, url, secret, now=await self.clock.now())
            await ensure_endpoint(self.store.webhook_endpoints, endpoint)
        await give_places(self.store)


def create_app(settings: Settings, limits: HttpLimits) -> ASGIApp:
    """The ASGI application. Its handlers get the parts that they name."""
    application = Application(settings)
    admission = Admission(
        application.keys, requests_max=limits.http_requests_max, test_endpoints=settings.test_endpoints
    )
    console = Console(
        service="payment_gateway",
        needs_key=bool(application.keys),
        development=settings.app_env == "development",
        test_endpoints=settings.test_endpoints,
        order_console_url=settings.other_console_url,
    )
    return build(
        "payment_gateway",
        ROUTES,
        admission=admission,
        parts=vars(application),
        problems=PROBLEMS,
        running=application.running,
        console=console if settings.has_console else None,
        recent=application.recent,
    )


def _is_call(_method: str, path: str, _status: int) -> bool:
    return path.startswith("/v1/") and path != STREAM_PATH
