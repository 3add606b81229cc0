"""`payment-gateway listen`: what a gateway delivers reaches a service that it could not reach, and the answers come back."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import standardwebhooks
from aiohttp import web

from tests.e2e.command_line.conftest import PROGRAM, CommandLine
from tests.http_double import HttpDouble
from tests.waiting import until
from tools.process import free_port


async def attempts(command: CommandLine) -> list[int | None]:
    """What came of each attempt at the one delivery that there is, once it is over."""
    found: list[Any] = []

    async def is_over() -> bool:
        found[:] = (await command("deliveries", "list", "--json")).json["data"]
        return len(found) == 1 and found[0]["state"] != "pending"

    await until(is_over, "the delivery is over")
    return [attempt["status"] for attempt in found[0]["attempts"]]


async def test_what_the_service_refuses_is_delivered_to_it_again(
    command: CommandLine, service: HttpDouble, in_turn: Callable[..., Any]
) -> None:
    service.answer = in_turn(500, 200)
    async with command.listening(f"{service.url}/hooks") as listening:
        await command("trigger", "payment.succeeded")
        shown = await listening.shows(2)
    assert [(one["type"], one["status"]) for one in shown] == [("payment.succeeded", 500), ("payment.succeeded", 200)]
    assert [asked.path for asked in service.asked] == ["/hooks", "/hooks"]


async def test_the_gateway_records_what_the_service_answered(
    command: CommandLine, service: HttpDouble, in_turn: Callable[..., Any]
) -> None:
    service.answer = in_turn(503, 418, 204)
    async with command.listening(service.url):
        await command("trigger", "payment.failed")
        assert await attempts(command) == [503, 418, 204]


async def test_the_service_can_verify_what_is_forwarded(command: CommandLine, service: HttpDouble) -> None:
    async with command.listening(service.url) as listening:
        await command("trigger", "payment.succeeded")
        [asked] = service.asked
    verified: Any = standardwebhooks.Webhook(listening.announced["secret"]).verify(asked.body, dict(asked.headers))
    assert verified["type"] == "payment.succeeded"


async def test_a_service_that_is_down_is_a_502_to_the_gateway(command: CommandLine) -> None:
    async with command.listening(f"http://127.0.0.1:{free_port()}") as listening:
        await command("trigger", "payment.succeeded")
        [first, *_] = await listening.shows(1)
    assert first["status"] == 502
    assert "Connect" in first["error"]


async def test_a_redirect_is_given_back_and_not_followed(
    command: CommandLine, service: HttpDouble, in_turn: Callable[..., Any]
) -> None:
    async def elsewhere(_asked: Any) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{service.url}/elsewhere"})

    service.answer = elsewhere
    async with command.listening(service.url) as listening:
        await command("trigger", "payment.succeeded")
        [first, *_] = await listening.shows(1)
    assert first["status"] == 307
    assert {asked.path for asked in service.asked} == {"/"}


async def test_only_the_events_that_were_asked_for_come(command: CommandLine, service: HttpDouble) -> None:
    async with command.listening(service.url, "--events", "refund.succeeded,refund.failed") as listening:
        await command("trigger", "refund.succeeded")
        shown = await listening.shows(1)
    assert [one["type"] for one in shown] == ["refund.succeeded"]


async def test_nothing_of_it_stays_at_the_gateway(command: CommandLine, service: HttpDouble) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        async with command.listening(service.url) as listening:
            listening.process.send_signal(number)
            status, talk = await listening.ends()
        assert status == 0
        assert talk.count("\n") == 1, talk  # where it forwards to
        assert (await command("endpoints", "list", "--json")).json["data"] == []


async def test_it_goes_on_with_the_same_secret_after_a_reset(command: CommandLine, service: HttpDouble) -> None:
    async with command.listening(service.url) as listening:
        await command("reset")

        async def is_there_again() -> bool:
            return bool((await command("endpoints", "list", "--json")).json["data"])

        await until(is_there_again, "the endpoint is there again")
        await command("trigger", "payment.succeeded")
        [asked] = service.asked
    standardwebhooks.Webhook(listening.announced["secret"]).verify(asked.body, dict(asked.headers))


async def test_it_ends_when_nobody_reads_what_it_prints(command: CommandLine, service: HttpDouble) -> None:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"exec '{PROGRAM}' listen --forward-to {service.url} | head -1"),
        env=command.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 60)
    await command("trigger", "payment.succeeded")
    _, talk = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in talk
    assert (await command("endpoints", "list", "--json")).json["data"] == []


async def test_a_gateway_that_is_not_there_ends_it_with_3(service: HttpDouble) -> None:
    nowhere = CommandLine(f"http://127.0.0.1:{free_port()}")
    assert (await nowhere("listen", "--forward-to", service.url)).status == 3


async def test_a_port_that_is_taken_ends_it_with_2(command: CommandLine, service: HttpDouble) -> None:
    ended = await command("listen", "--forward-to", service.url, "--port", service.url.rpartition(":")[2])
    assert ended.status == 2
    assert "cannot listen on" in ended.talk
