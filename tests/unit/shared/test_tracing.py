"""Spans go to a collector, and one that is not there is nobody's trouble but its own."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.collector import Collector, collector
from tests.http_double import Asked, always, http_double
from tests.waiting import until
from tools.process import free_port

# Makes fifty spans for every line on standard input.
SPANS = """
import sys
from shared.telemetry import configure_logs
from shared.tracing import exporting_traces, note, serving, span
configure_logs("INFO", "json", service="test")
with exporting_traces("test"):
    for line in sys.stdin:
        for number in range(50):
            with serving("GET", "/", None, recorded=True):
                note(order_id="ord_1")
                with span("work"):
                    pass
"""


class Recording:
    """A process that records spans. Its log is there when it has ended."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def make_spans(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()

    async def log_at_the_end(self) -> list[dict[str, Any]]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        output, _ = await self.process.communicate()
        assert self.process.returncode == 0
        return [json.loads(line) for line in output.splitlines()]


@asynccontextmanager
async def recording(**environment: str) -> AsyncIterator[Recording]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SPANS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**inherited, "OTEL_BSP_SCHEDULE_DELAY": "10", **environment},
    )
    try:
        yield Recording(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_spans_are_exported_with_what_the_log_lines_carry_under_the_services_name() -> None:
    async with collector() as collecting, recording(OTEL_EXPORTER_OTLP_ENDPOINT=collecting.url) as process:
        await process.make_spans()
        assert await process.log_at_the_end() == []
        spans = collecting.spans()
    assert len(spans) == 100
    assert {span.service for span in spans} == {"test"}
    assert {span.attributes["order_id"] for span in spans} == {"ord_1"}
    served = {span.span_id: span for span in spans if span.kind == "server"}
    assert all(served[span.parent_id].trace_id == span.trace_id for span in spans if span.kind == "internal")
    assert len({span.trace_id for span in spans}) == 50


async def test_the_standard_variables_name_the_service_and_sample() -> None:
    settings = {
        "OTEL_SERVICE_NAME": "orders-eu",
        "OTEL_TRACES_SAMPLER": "traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    async with collector() as collecting, recording(OTEL_EXPORTER_OTLP_ENDPOINT=collecting.url, **settings) as process:
        await process.make_spans()
        await process.make_spans()
        assert await process.log_at_the_end() == []
        spans = collecting.spans()
    assert {span.service for span in spans} == {"orders-eu"}
    assert 0 < len({span.trace_id for span in spans}) < 100


@pytest.mark.parametrize(
    "settings",
    [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}],
    ids=["disabled", "no exporter", "no endpoint"],
)
async def test_they_switch_it_off(settings: dict[str, str]) -> None:
    async with collector() as collecting:
        async with recording(**{"OTEL_EXPORTER_OTLP_ENDPOINT": collecting.url, **settings}) as process:
            await process.make_spans()
            assert await process.log_at_the_end() == []
        assert collecting.spans() == []


async def test_a_collector_that_refuses_is_spoken_of_once_and_once_again_when_it_takes_spans() -> None:
    async with collector() as collecting:
        takes, collecting.double.answer = collecting.double.answer, always(400)
        async with recording(OTEL_EXPORTER_OTLP_ENDPOINT=collecting.url) as process:
            for refused in range(3):
                await process.make_spans()
                await until_asked(collecting, times=refused + 1)
            collecting.double.answer = takes
            collecting.double.asked.clear()
            await process.make_spans()
            await until_asked(collecting, times=1)
            log = await process.log_at_the_end()
    assert [line["event"] for line in log] == [
        "traces are lost: the collector does not take them",
        "traces are exported again",
    ]
    assert "400" in log[0]["reason"]


async def test_a_collector_that_is_away_is_spoken_of_once_however_much_is_lost() -> None:
    settings = {
        "OTEL_BSP_MAX_QUEUE_SIZE": "4",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1",
    }
    endpoint = f"http://127.0.0.1:{free_port()}"
    async with recording(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **settings) as process:
        for _ in range(20):
            await process.make_spans()
        log = await process.log_at_the_end()
    assert {line["event"].partition(":")[0] for line in log} == {"traces are lost"}
    assert len(log) <= 2, "when it is found to be away, and for the last ones at the end"


async def test_a_collector_that_never_answers_does_not_keep_a_process_from_ending() -> None:
    async def hang(_asked: Asked) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with http_double(hang) as hanging:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": hanging.url, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        async with recording(**settings) as process:
            await process.make_spans()
            [line] = await process.log_at_the_end()
    assert line["event"].startswith("traces are lost")


async def until_asked(collecting: Collector, *, times: int) -> None:
    async def asked() -> bool:
        return len(collecting.double.asked) >= times

    await until(asked, f"{times} exports")
