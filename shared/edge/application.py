"""Builds the application of a service: the edge around its routes, and its background work while it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ASGIApp, ControllerRouterHandler

from shared.edge.admit import Admission
from shared.edge.api_page import api_page
from shared.edge.console import Console, front_page
from shared.edge.exchange import exchanging
from shared.edge.health import health_ready, is_live
from shared.edge.limits import BODY_BYTES_MAX
from shared.edge.lists import PAGING
from shared.edge.metrics import show_metrics
from shared.edge.problems import Table, exception_handlers, explain_problem
from shared.edge.recent import Recent
from shared.edge.requests import StrictRequest
from shared.edge.server import stop_as_failed
from shared.leases import LeasedWork
from shared.telemetry import log

ROUTES_OF_EVERY_SERVICE = [health_ready, show_metrics, is_live, explain_problem]


def build(
    service: str,
    routes: Sequence[ControllerRouterHandler],
    *,
    admission: Admission,
    parts: Mapping[str, object],
    problems: Table,
    running: Callable[[], AbstractAsyncContextManager[None]],
    console: Console | None = None,
    recent: Recent | None = None,
) -> ASGIApp:
    """The ASGI application of the package `service`. Handlers get `parts` by name. The handlers that are called most take
    them from the application's state, because injecting one costs about five microseconds. `admission` decides who is
    served. `running` is entered before the first request. `console` is the page at `/`, and `recent` keeps requests for it.
    """

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with running():
            yield
        log.info("stopped")

    litestar = Litestar(
        route_handlers=[*routes, *ROUTES_OF_EVERY_SERVICE, *front_page(console), api_page(service)],
        lifespan=[lifespan],
        dependencies={**PAGING, **{name: _provide(part) for name, part in parts.items()}},
        request_class=StrictRequest,
        before_request=admission.admit,
        exception_handlers=exception_handlers(problems),
        request_max_body_size=BODY_BYTES_MAX,
        state=State(parts, deep_copy=False),
        openapi_config=None,
        logging_config=None,
    )
    return exchanging(litestar, recent)


class Writer(Protocol):
    """Writes for its callers, in batches, until it is cancelled."""

    async def run(self) -> None: ...


CANCEL_SECONDS = 3.0  # PyMongo may miss a cancellation; its own timeouts end the call then


@asynccontextmanager
async def at_work(writers: Sequence[Writer], workers: Sequence[LeasedWork[Any]]) -> AsyncIterator[None]:
    """Runs them. At the end the workers finish first, because the writers must still write their results."""
    runs = [*(writer.run() for writer in writers), *(worker.run() for worker in workers)]
    tasks = [asyncio.create_task(run) for run in runs]
    for task in tasks:
        task.add_done_callback(_must_not_end)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(_must_not_end)
        await asyncio.gather(*(worker.stop() for worker in workers))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)


def _must_not_end(task: "asyncio.Task[None]") -> None:
    """Stops the service, so that it is started again. Without one of its workers it would look alive and not be. C8"""
    log.critical("background work ended by itself; stopping", task=repr(task))
    stop_as_failed()


def _provide(part: object) -> Provide:
    return Provide(lambda: part, use_cache=True, sync_to_thread=False)
