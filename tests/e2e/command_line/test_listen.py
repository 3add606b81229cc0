"""`payment-gateway listen`: what a gateway delivers reaches a service that it could not reach, and the answers come back."""

import asyncio
import signal
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import standardwebhooks
from aiohttp import BasicAuth, web

from payment_gateway.cli.listen import EXPIRES_SECONDS
from tests.e2e.command_line.conftest import PROGRAM, CommandLine, Listening, Merchant
from tests.guarded_mongod import make_certificates
from tests.http_double import Asked, HttpDouble
from tests.raw_receiver import OK, always, raw_receiver
from tests.waiting import until
from tools.process import free_port


class Back(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


async def delivered_to(listening: Listening) -> Back:
    """What `listen` answers to something that is delivered to it."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.post(listening.announced["url"], data=b"{}", allow_redirects=False) as response,
    ):
        headers = [(name.decode(), value.decode()) for name, value in response.raw_headers]
        return Back(response.status, headers, await response.read())


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_nothing_of_it_stays_at_the_gateway(
    command: CommandLine, merchant: Merchant, service: HttpDouble, number: signal.Signals
) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as under nohup, and `listen` survives it too")
    async with command.listening(service.url) as listening:
        listening.process.send_signal(number)
        status, talk = await listening.ends()
    assert status == 0
    assert talk.count("\n") == 1, talk  # where it forwards to
    assert merchant.listed("webhook-endpoints") == []


async def test_one_that_was_killed_leaves_an_endpoint_that_expires(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    async with command.listening(service.url) as listening:
        listening.process.kill()
        await listening.process.wait()
    [left] = merchant.listed("webhook-endpoints")
    left_seconds = (datetime.fromisoformat(left["expiresAt"]) - datetime.now(UTC)).total_seconds()
    assert left_seconds <= EXPIRES_SECONDS
    merchant.call("PATCH", f"/v1/webhook-endpoints/{left['id']}", {"expiresInSeconds": 10})  # the least that there is

    async def is_gone() -> bool:
        return merchant.listed("webhook-endpoints") == []

    await until(is_gone, "the endpoint has expired")


async def test_another_takes_the_place_of_one_that_was_killed(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    port = str(free_port())
    async with command.listening(service.url, "--port", port) as killed:
        killed.process.kill()
        await killed.process.wait()
    async with command.listening(service.url, "--port", port) as listening:
        [endpoint] = merchant.listed("webhook-endpoints")
        assert endpoint["id"] == listening.announced["endpointId"] != killed.announced["endpointId"]


async def test_an_endpoint_of_somebody_s_own_at_the_same_address_stays(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    port = free_port()
    own = merchant.endpoint(f"http://127.0.0.1:{port}")
    async with command.listening(service.url, "--port", str(port)):
        assert len(merchant.listed("webhook-endpoints")) == 2
    assert [one["id"] for one in merchant.listed("webhook-endpoints")] == [own["id"]]


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


async def test_the_service_gets_headers_of_one_s_own_which_are_not_shown(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    headers = ("--header", "X-Tenant: t0ps3cret", "--header", "user-agent: mine", "--header", "X-Tenant: other")
    url = service.url.replace("://", "://ann:p%40ssw0rd@")
    async with command.listening(f"{url}/hooks", *headers) as listening:
        await merchant.charge()
        await listening.shows(1)
        listening.process.terminate()
        _, talk = await listening.ends()
    [asked] = service.asked
    assert asked.headers.getall("X-Tenant") == ["t0ps3cret", "other"]
    assert asked.headers.getall("User-Agent") == ["mine"]
    assert BasicAuth.decode(asked.headers["Authorization"]) == ("ann", "p@ssw0rd", "latin1")
    shown = f"{listening.announced} {[*listening.shown]} {talk}"
    assert listening.announced["forwardTo"] == f"{service.url.replace('://', '://…@')}/hooks"
    assert not [secret for secret in ("t0ps3cret", "ssw0rd", "ann:") if secret in shown]
    assert talk.count("\n") == 1, talk  # where it forwards to


async def test_a_service_that_is_down_is_named_without_its_password(command: CommandLine, merchant: Merchant) -> None:
    async with command.listening(f"http://ann:passw0rd@127.0.0.1:{free_port()}") as listening:
        await merchant.charge()
        [first, *_] = await listening.shows(1)
    assert "Connect" in first["error"]
    assert "passw0rd" not in first["error"]


@pytest.mark.parametrize("written", ["{host}/hooks", ":{port}/hooks"])
async def test_a_service_may_be_named_without_a_scheme(
    command: CommandLine, merchant: Merchant, service: HttpDouble, written: str
) -> None:
    host = service.url.removeprefix("http://")
    async with command.listening(written.format(host=host, port=host.rpartition(":")[2])) as listening:
        await merchant.charge()
        await listening.shows(1)
    assert [asked.path for asked in service.asked] == ["/hooks"]


async def test_a_certificate_that_the_service_has_signed_itself_is_taken_if_one_says_so(
    command: CommandLine, tmp_path: Path, merchant: Merchant
) -> None:
    make_certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem")
    async with raw_receiver(always(OK), tls=tls) as service:
        url = service.url.replace("http:", "https:")
        async with command.listening(url) as listening:
            assert (await delivered_to(listening)).status == 502
            [first] = await listening.shows(1)
            assert first["error"].endswith("(--skip-verify takes any certificate)")
        async with command.listening(url, "--skip-verify") as listening:
            assert (await delivered_to(listening)).status == 200


async def test_no_more_come_at_a_time_than_were_asked_for(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    async with command.listening(service.url, "--max-in-flight", "3"):
        [endpoint] = merchant.listed("webhook-endpoints")
    assert endpoint["maxInFlight"] == 3


ODD_ANSWERS = {
    "a status without a name": b"HTTP/1.1 299 \r\nX-Shop: a\r\nX-Shop: b\r\nContent-Length: 2\r\n\r\nok",
    "a status beyond the classes": b"HTTP/1.1 799 Odd\r\nServer: shop\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\nX-Shop: a\r\n\r\n",
    "a body that looks compressed": (
        b"HTTP/1.1 500 Oops\r\nContent-Encoding: gzip\r\nContent-Type: text/x\r\nContent-Length: 4\r\n\r\n\x00\xffno"
    ),
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
}
OF_THE_CONNECTION = {"content-length", "transfer-encoding", "connection"}


async def test_an_answer_comes_back_as_the_service_gave_it(command: CommandLine) -> None:
    async with raw_receiver(always(OK)) as service, command.listening(service.url) as listening:
        for name, raw in ODD_ANSWERS.items():
            service.answer = always(raw)
            head, _, body = raw.partition(b"\r\n\r\n")
            status, *lines = head.decode().split("\r\n")
            given = [(key, value) for key, _, value in (line.partition(": ") for line in lines)]
            back = await delivered_to(listening)
            assert back.status == int(status.split()[1]), name
            assert back.body == body, name
            assert [one for one in back.headers if one[0].lower() not in OF_THE_CONNECTION] == [
                one for one in given if one[0].lower() not in OF_THE_CONNECTION
            ], name


async def test_an_answer_that_breaks_off_is_given_back_as_far_as_it_came(command: CommandLine) -> None:
    cut = always(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nhalf", closes=True)
    async with raw_receiver(cut) as service, command.listening(service.url) as listening:
        back = await delivered_to(listening)
        [shown] = await listening.shows(1)
    assert (back.status, back.body) == (503, b"half")
    assert (shown["status"], bool(shown["error"])) == (503, True)


async def test_an_answer_that_does_not_end_is_given_back_before_the_gateway_hangs_up(command: CommandLine) -> None:
    endless = always(b"HTTP/1.1 200 OK\r\n\r\ntaken")
    async with raw_receiver(endless) as service, command.listening(service.url) as listening:
        back = await delivered_to(listening)
        [shown] = await listening.shows(1)
    assert (back.status, back.body) == (200, b"taken")
    assert (shown["status"], bool(shown["error"])) == (200, True)


async def test_the_service_is_left_alone_when_the_gateway_has_hung_up(command: CommandLine) -> None:
    """However long the service takes, until then it is waited for."""
    was_asked, was_left = asyncio.Event(), asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        was_asked.set()
        await reader.read()
        was_left.set()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with server, command.listening(f"http://127.0.0.1:{port}") as listening:
        asking = asyncio.create_task(delivered_to(listening))
        await asyncio.wait_for(was_asked.wait(), 60)
        asking.cancel()
        await asyncio.wait_for(was_left.wait(), 60)
        [shown] = await listening.shows(1)
    assert (shown["status"], shown["error"]) == (None, "the gateway has hung up before the service answered")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--forward-to http://ann:passw0rd@127.0.0.1:99999/", "--forward-to"),
        ("--forward-to http://127.0.0.1:9/ --header X-Key:passw0rd\x7f", "the value of X-Key"),
        ("--forward-to http://127.0.0.1:9/ --header passw0rd", "'Name: value'"),
        ("--forward-to http://127.0.0.1:9/ --header Content-Length:1", "where a message ends"),
        ("--forward-to http://127.0.0.1:9/ --skip-verify", "--skip-verify is for a service at https"),
    ],
)
async def test_a_line_that_makes_no_sense_is_2_and_shows_no_secret(
    command: CommandLine, line: str, complaint: str
) -> None:
    ended = await command("listen", *line.split())
    assert ended.status == 2
    said = " ".join(ended.talk.replace("│", " ").split())
    assert complaint in said
    assert "passw0rd" not in said


async def test_it_ends_when_nobody_reads_what_it_prints(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"exec '{PROGRAM}' listen --forward-to {service.url} | {{ head -1; exec <&-; echo gone; }}"),
        env=command.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readuntil(b"gone\n"), 60)
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
