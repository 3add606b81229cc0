"""The command line for operators: what the API does not offer. It works on the database itself, with the same writes as the
services that run meanwhile.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import rich_click as click
from pymongo.errors import PyMongoError

from order_api.archive_events import ARCHIVE, KEPT_AT_LEAST, archive_events
from order_api.ask_now import ask_now
from order_api.gateway_client import GatewayUnavailableError
from order_api.schema import refuse_old_layout
from order_api.settings import DatabaseSettings, Settings, check, off
from order_api.store import Store
from shared import VERSION
from shared.doctor import DoctorSettings, patient_of, run_doctor
from shared.edge.server import await_database_or_exit, load_or_exit
from shared.mongo import connect, describe
from shared.times import rfc3339, stored, utc_now

FAILED = 1  # 2 is click's: the line could not be understood
INTERRUPTED = 130

EXIT_STATUSES = """
Exit status: 0 done, 1 MongoDB or the provider does not answer or refuses (say it again: what was done stays done),
2 the line or a setting could not be understood.
"""


def time(value: str) -> datetime:
    """A moment of the past, from `2026-11-15T08:00:00Z`; a date alone is its first moment in UTC. Raises BadParameter."""
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None and "T" not in value:
            at = at.replace(tzinfo=UTC)
        if at.tzinfo is None:
            raise click.BadParameter(f"{value!r} has no time zone: write {value}Z for UTC")
        at = stored(at)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time: write 2026-11-15 or 2026-11-15T08:00:00Z") from None
    if at > utc_now():
        raise click.BadParameter(f"{value!r} is in the future")
    return at


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_STATUSES)
@click.version_option(VERSION)
def order_api() -> None:
    """The order service: serve it, and look after its database.

    Without a command it serves. The settings come from the environment: MONGODB_URI, ORDER_API_DATABASE, …
    """


@order_api.command("serve")
def serve() -> None:
    """Serve until SIGTERM."""
    from order_api.serve import main  # noqa: PLC0415 - seconds of imports that only this one needs

    main()


@order_api.command("ask-now")
@click.option(
    "--updated-since",
    type=time,
    help="Ask about each order that changed since then, settled ones too: for after a restore.",
)
def ask_now_command(updated_since: datetime | None) -> None:
    """Ask the provider now, instead of after the pause.

    The services that run ask about every order with an open question at once, and send every call that waits for its next
    try. It may be said again at any time.
    """

    async def run(store: Store) -> str:
        orders = _counted(await ask_now(store, updated_since=updated_since), "order")
        return f"{orders} to ask the provider about now; calls of theirs that waited are sent now"

    _on_the_database(run)


@order_api.command("sweep")
@click.option("--since", type=time, required=True, help="Record what the provider has announced since then.")
def sweep_command(since: datetime) -> None:
    """Record everything that the provider has announced since a time.

    For after a restore: the provider's events are fetched from it, and recorded as if they came again. The services that
    run do the same by themselves for the last day, daily. It needs the settings of the service. It may be said again at any
    time.
    """
    from order_api.app import Application  # noqa: PLC0415 - seconds of imports that only this one needs

    settings = load_or_exit(Settings, os.environ)
    await_database_or_exit(settings.mongodb_uri)

    async def run() -> str:
        application = Application(settings)
        async with application.running(workers=False):
            swept = await application.sweep_events.run_once(since)
        return f"{_counted(swept, 'event')} recorded, announced since {rfc3339(since)}"

    _say(settings.order_api_database, run())


@order_api.command("archive")
@click.option("--before", type=time, required=True, help="Move what was received before then.")
def archive_command(before: datetime) -> None:
    """Move old events of the provider out of the way.

    Events whose outcome is final, or that belong to no order of ours, go from payment_events to payment_events_archive, in
    the same database. It may be broken off, and said again, at any time: an event is copied before it is taken away.
    """
    youngest = utc_now() - KEPT_AT_LEAST
    if before > youngest:
        complaint = f"the last {KEPT_AT_LEAST.days} days are kept: give a time before {rfc3339(youngest)}"
        raise click.BadParameter(complaint, param_hint="--before")

    async def run(store: Store) -> str:
        moved = await archive_events(store.payment_events, store.database[ARCHIVE], before=before)
        return f"{_counted(moved, 'event')} moved to {ARCHIVE}, received before {rfc3339(before)}"

    _on_the_database(run)


@order_api.command("doctor")
def doctor_command() -> None:
    """Look at the settings and at MongoDB, and say what is wrong, in one line each.

    It tries every privilege, measures a round trip and a write, and tries what the safety rests on in a scratch database
    beside that of the service. It needs the settings of the service. Of what is stored it changes only a counter in
    `barriers`. If its user may not write to the scratch database, DOCTOR_MONGODB_URI is the URI of a user that may.
    """
    settings = load_or_exit(Settings, os.environ)
    own, database = load_or_exit(DoctorSettings, os.environ), settings.order_api_database
    patient = patient_of(settings, own, database=database, check=check, off=off, check_layout=refuse_old_layout)
    sys.exit(run_doctor(patient, click.echo))


def _on_the_database(work: Callable[[Store], Awaitable[str]]) -> None:
    """Does the work and prints what it says of itself in one line."""
    settings = load_or_exit(DatabaseSettings, os.environ)
    await_database_or_exit(settings.mongodb_uri)

    async def run() -> str:
        client = connect(settings.mongodb_uri, app_name="order-api")
        try:
            return await work(Store(client, settings.order_api_database, reconcile_after=timedelta(0)))
        finally:
            await client.close()

    _say(settings.order_api_database, run())


def _say(database: str, work: Coroutine[Any, Any, str]) -> None:
    try:
        click.echo(f"{database}: {asyncio.run(work)}")
    except (PyMongoError, GatewayUnavailableError) as error:
        click.echo(f"broken off: {describe(error)}", err=True)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def main() -> None:
    order_api(prog_name="order-api")
