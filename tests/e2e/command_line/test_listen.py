"""`payment-gateway listen`: what a gateway delivers reaches a service that it could not reach, and the answers come back."""

import asyncio
import signal
from typing import Any

import standardwebhooks
from aiohttp import web

from tests.e2e.command_line.conftest import PROGRAM, CommandLine, Merchant
from tests.http_double import Asked, HttpDouble
from tests.waiting import until
from tools.process import free_port


async def test_the_service_s_answers_are_what_the_gateway_goes_by(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    answers = [web.Response(status=500), web.Response(status=307, headers={"Location": "/elsewhere"}), web.Response()]

    async def answer(_asked: Asked) -> web.StreamResponse:
        return answers.pop(0)

    service.answer = answer
    async with command.listening(f"{service.url}/hooks") as listening:
        await merchant.charge()
        [delivery] = await merchant.delivered(1)
        shown = await listening.shows(3)
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 307, 200]
    assert [one["status"] for one in shown] == [500, 307, 200]
    assert [asked.path for asked in service.asked] == ["/hooks"] * 3


async def test_the_service_can_verify_what_is_forwarded(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    async with command.listening(service.url) as listening:
        await merchant.charge()
        await listening.shows(1)
    [asked] = service.asked
    verified: Any = standardwebhooks.Webhook(listening.announced["secret"]).verify(asked.body, dict(asked.headers))
    assert verified["type"] == "payment.succeeded"


async def test_a_service_that_is_down_is_a_502_to_the_gateway(command: CommandLine, merchant: Merchant) -> None:
    async with command.listening(f"http://127.0.0.1:{free_port()}") as listening:
        await merchant.charge()
        [first, *_] = await listening.shows(1)
    assert first["status"] == 502
    assert "Connect" in first["error"]


async def test_only_the_events_that_were_asked_for_come(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    async with command.listening(service.url, "--events", "refund.succeeded,refund.failed") as listening:
        charge = await merchant.charge()
        merchant.call("POST", f"/v1/charges/{charge['id']}/refunds", {"amount": 1, "reference": "some-of-it"})
        shown = await listening.shows(1)
    assert [one["type"] for one in shown] == ["refund.succeeded"]


async def test_nothing_of_it_stays_at_the_gateway(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        async with command.listening(service.url) as listening:
            listening.process.send_signal(number)
            status, talk = await listening.ends()
        assert status == 0
        assert talk.count("\n") == 1, talk  # where it forwards to
        assert merchant.listed("webhook-endpoints") == []


async def test_it_goes_on_with_the_same_secret_after_a_reset(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    async with command.listening(service.url) as listening:
        merchant.call("POST", "/v1/test/reset", {})

        async def is_there_again() -> bool:
            return bool(merchant.listed("webhook-endpoints"))

        await until(is_there_again, "the endpoint is there again")
        await merchant.charge()
        await listening.shows(1)
    [asked] = service.asked
    standardwebhooks.Webhook(listening.announced["secret"]).verify(asked.body, dict(asked.headers))


async def test_it_ends_when_nobody_reads_what_it_prints(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"exec '{PROGRAM}' listen --forward-to {service.url} | head -1"),
        env=command.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 60)
    await merchant.charge()
    _, talk = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in talk
    assert merchant.listed("webhook-endpoints") == []


async def test_a_port_that_is_taken_ends_it_with_2(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    ended = await command("listen", "--forward-to", service.url, "--port", service.url.rpartition(":")[2])
    assert ended.status == 2
    assert "cannot listen on" in ended.talk
