"""SSRF: whatever a URL, a name server or a receiver says, nothing reaches an address that the operator forbids."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from payment_gateway.app import Application
from payment_gateway.webhooks.destination import parse_destinations
from payment_gateway.webhooks.look_up import LOOK_UPS_MAX
from payment_gateway.webhooks.send import ERROR_LENGTH_MAX, SendWebhook
from tests.flood import ENDLESS, flooding
from tests.http_double import HttpDouble, always
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver
from tests.waiting import until
from tools.process import free_port

Sender = Callable[..., AbstractAsyncContextManager[SendWebhook]]


class Names(AbstractResolver):
    """A name server in somebody else's hands: each question gets the next answer, the last one for ever. An answer is one
    address, or several with spaces between them.
    """

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in answer.split()
        ]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def sending(
    *allowed: str,
    public_only: bool = True,
    timeout_seconds: float = 120,  # longer than `until` waits
    connections_max: int = 64,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[SendWebhook]:
    destinations = parse_destinations(allowed, public_only=public_only)
    send = SendWebhook(
        destinations, timeout_seconds=timeout_seconds, connections_max=connections_max, resolver=resolver
    )
    await send.start()
    try:
        yield send
    finally:
        await send.close()


def port_of(receiver: HttpDouble) -> int:
    port = urlsplit(receiver.url).port
    assert port is not None
    return port


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0", "localhost", "[::ffff:127.0.0.1]"],
)
async def test_production_connects_to_this_machine_by_no_spelling(receiver: HttpDouble, host: str) -> None:
    async with sending() as send:
        reply = await send(f"http://{host}:{port_of(receiver)}/", b"{}", {})
    assert (reply.status, receiver.asked) == (None, [])
    misspelt = "InvalidUrl: the URL must spell its IP address as 127.0.0.1"
    assert reply.failure == "forbidden" or str(reply.error).startswith(misspelt)


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]"])
async def test_development_connects_to_no_metadata(host: str) -> None:
    async with sending(public_only=False) as send:
        reply = await send(f"http://{host}/latest/meta-data/", b"{}", {})
    misspelt = "InvalidUrl: the URL must spell its IP address as 169.254.169.254"
    assert reply.failure == "forbidden" or str(reply.error).startswith(misspelt)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"])
async def test_a_name_that_leads_to_a_forbidden_address_is_not_connected_to(receiver: HttpDouble, address: str) -> None:
    async with sending(resolver=Names(address)) as send:
        reply = await send(f"http://shop.example:{port_of(receiver)}/", b"{}", {})
    assert (reply.status, reply.failure, receiver.asked) == (None, "forbidden", [])


async def test_a_name_that_leads_to_several_forbidden_addresses_is_told_of_each(receiver: HttpDouble) -> None:
    async with sending(resolver=Names("127.0.0.1 10.0.0.1 ::1")) as send:
        reply = await send(f"http://shop.example:{port_of(receiver)}/", b"{}", {})
    assert (reply.status, reply.failure, receiver.asked) == (None, "forbidden", [])
    assert all(f"{address} is not public" in str(reply.error) for address in ("127.0.0.1", "10.0.0.1", "::1"))


async def test_a_name_with_a_forbidden_address_is_called_at_its_other_one(receiver: HttpDouble) -> None:
    async with sending("127.0.0.1", resolver=Names("10.0.0.1 127.0.0.1")) as send:
        reply = await send(f"http://shop.example:{port_of(receiver)}/", b"{}", {})
    assert (reply.status, reply.failure, reply.error) == (200, None, None)


async def test_nobody_who_answers_is_not_taken_for_a_forbidden_address() -> None:
    port = free_port()
    async with sending("127.0.0.1", resolver=Names("127.0.0.1")) as send:
        reply = await send(f"http://forbidden.example:{port}/", b"{}", {})
    assert (reply.status, reply.failure) == (None, "no_answer")


async def test_a_name_that_changes_after_it_was_looked_at_is_judged_by_where_it_leads_now(
    receiver: HttpDouble,
) -> None:
    """DNS rebinding: the first answer is allowed, the next one is this machine."""
    async with sending("192.0.2.1", timeout_seconds=5, resolver=Names("192.0.2.1", "127.0.0.1")) as send:
        url = f"http://shop.example:{port_of(receiver)}/"
        assert send._destinations.fault_of(url) is None
        for post in send._posts.values():
            post._session.connector._use_dns_cache = False  # type: ignore[union-attr]
        async with asyncio.timeout(20):
            replies = [await send(url, b"{}", {}) for _ in range(2)]
    assert (replies[1].failure, receiver.asked) == ("forbidden", [])


async def test_an_address_that_the_operator_allows_is_connected_to(receiver: HttpDouble) -> None:
    async with sending("127.0.0.0/8") as send:
        reply = await send(receiver.url, b"{}", {})
    assert (reply.status, reply.error) == (200, None)


async def test_a_host_that_is_allowed_by_name_may_be_on_the_private_network(receiver: HttpDouble) -> None:
    async with sending("shop.example", resolver=Names("127.0.0.1")) as send:
        allowed = await send(f"http://SHOP.example:{port_of(receiver)}/", b"{}", {})
        other = await send(f"http://other.example:{port_of(receiver)}/", b"{}", {})
    assert (allowed.status, other.status, len(receiver.asked)) == (200, None, 1)


@pytest.mark.parametrize("entry", ["schön.example", "xn--schn-7qa.example"])
async def test_a_host_is_allowed_by_its_name_in_unicode_and_as_it_is_looked_up(
    receiver: HttpDouble, entry: str
) -> None:
    async with sending(entry, resolver=Names("127.0.0.1")) as send:
        reply = await send(f"http://xn--schn-7qa.example:{port_of(receiver)}/", b"{}", {})
    assert (reply.status, reply.error) == (200, None)


async def test_a_host_that_is_allowed_by_name_may_not_lead_to_metadata() -> None:
    async with sending("shop.example", resolver=Names("169.254.169.254")) as send:
        reply = await send("http://shop.example/", b"{}", {})
    assert reply.failure == "forbidden"


async def test_a_redirect_to_a_forbidden_address_is_not_followed(receiver: HttpDouble) -> None:
    receiver.answer = always(302, Location="http://169.254.169.254/latest/meta-data/")
    async with sending("127.0.0.1") as send:
        reply = await send(receiver.url, b"{}", {})
    assert (reply.status, len(receiver.asked)) == (302, 1)


@pytest.mark.parametrize(
    "url", ["", "http://", "shop", "http://[::1", "ftp://127.0.0.1/", "http://x:99999/", "http://a b/"]
)
async def test_what_is_no_url_is_an_error_of_the_attempt(url: str) -> None:
    async with sending(public_only=False) as send:
        reply = await send(url, b"{}", {})
    assert (reply.status, reply.failure) == (None, "no_answer")
    assert reply.error


async def test_a_forbidden_delivery_is_a_failed_attempt_that_says_why_and_is_tried_again(
    make_application: MakeApplication, receiver: HttpDouble
) -> None:
    async with make_application(app_env="production", webhook_allowed_hosts=("127.0.0.1",)) as application:
        elsewhere = {"url": f"http://localhost.localdomain:{port_of(receiver)}/"}
        await application.store.webhook_endpoints.update_many({}, {"$set": elsewhere})
        application.send_webhook._resolver = Names("127.0.0.2")
        await application.send_webhook.close()
        await application.send_webhook.start()
        delivery = await _delivered(application)
    assert (delivery["state"], delivery["attempts"][0]["failure"]) == ("pending", "forbidden")
    assert "Forbidden: not an allowed destination: 127.0.0.2 is not public" in delivery["attempts"][0]["error"]
    assert receiver.asked == []


async def test_name_servers_that_hang_hold_up_no_other_delivery(
    receiver: HttpDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio has a handful of threads for look-ups; more names than that hang here, for as long as the test runs."""
    look_up, asked, released = socket.getaddrinfo, list[str](), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hanging(host: str, *how: Any) -> Any:
        asked.append(host)
        if host != "receiver.example":
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result()
            raise socket.gaierror("no such name")
        return look_up("127.0.0.1", *how)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    async with sending(public_only=False) as send:
        stuck = [asyncio.create_task(send(f"http://shop-{number}.example/", b"{}", {})) for number in range(40)]
        try:

            async def all_hang() -> bool:
                return len(asked) == 40

            await until(all_hang, "40 look-ups under way")
            reply = await send(f"http://receiver.example:{port_of(receiver)}/", b"{}", {})
            assert reply.status == 200
            assert not any(task.done() for task in stuck)
        finally:
            released.set()
            await asyncio.gather(*stuck)


async def test_no_more_look_ups_than_a_bounded_number_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond it wait for their turn, and are made when one of the others has ended."""
    at_work, most, done = 0, 0, list[str]()
    lock, released = threading.Lock(), threading.Event()

    def look_up(host: str, *_how: Any) -> Any:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        released.wait()
        with lock:
            at_work -= 1
            done.append(host)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    count = LOOK_UPS_MAX * 2

    async def as_many_as_may() -> bool:
        return at_work == LOOK_UPS_MAX

    async with sending(public_only=False, connections_max=count) as send:
        sent = [asyncio.create_task(send(f"http://shop-{number}.example/", b"{}", {})) for number in range(count)]
        try:
            await until(as_many_as_may, "the look-ups are under way")
        finally:
            released.set()
            replies = await asyncio.gather(*sent)
    assert {reply.status for reply in replies} == {None}
    assert (most, len(done)) == (LOOK_UPS_MAX, count)


@contextmanager
def no_more_threads() -> Iterator[None]:
    """As in a container that allows few processes: the system has no room for the stack of another thread."""
    usual = threading.stack_size(2**47)
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threading.Thread(target=print).start()
        yield
    finally:
        threading.stack_size(usual)


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that the system has to look up, and that leads to this machine."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *how: look_up("127.0.0.1", *how))
    return "receiver.example"


async def test_a_delivery_whose_look_up_gets_no_thread_is_an_attempt_and_is_tried_again(
    make_application: MakeApplication, receiver: HttpDouble, looked_up: str
) -> None:
    async with make_application(webhook_retry_schedule_seconds=(0,)) as application:
        elsewhere = {"url": f"http://{looked_up}:{port_of(receiver)}/"}
        await application.store.webhook_endpoints.update_many({}, {"$set": elsewhere})
        with no_more_threads():
            delivery = await _delivered(application)
        assert (delivery["state"], receiver.asked) == ("pending", [])
        [attempt] = delivery["attempts"]
        assert "no thread to look up the host" in attempt["error"]
        await application.deliver_webhooks.work.run_once()
        [delivery] = await application.store.deliveries.find().to_list()
        assert (delivery["state"], len(receiver.asked)) == ("delivered", 1)


async def test_look_ups_that_get_no_thread_leave_their_places_to_others(receiver: HttpDouble, looked_up: str) -> None:
    async with sending(public_only=False) as send:
        with no_more_threads():
            for number in range(LOOK_UPS_MAX + 1):
                reply = await send(f"http://shop-{number}.example/", b"{}", {})
                assert "no thread to look up the host" in str(reply.error)
        reply = await send(f"http://{looked_up}:{port_of(receiver)}/", b"{}", {})
    assert reply.status == 200


async def test_an_error_that_nobody_foresaw_is_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async with sending(public_only=False) as send:

        def post(*_: object, **__: object) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(send._posts[False]._session, "post", post)
        reply = await send("http://127.0.0.1:1/", b"{}", {})
    assert (reply.status, reply.failure, reply.error) == (None, "no_answer", "ZeroDivisionError")


@pytest.mark.parametrize("name", ["100 Continue", "103 Early Hints"])
async def test_an_endless_stream_of_interim_answers_is_a_failed_attempt_that_says_why(name: str) -> None:
    with flooding(ENDLESS[name]) as flood:
        async with sending(public_only=False) as send:
            reply = await send(flood.url, b"{}", {})
    assert reply.status is None
    assert reply.error == "HeadTooLongError: more than 16 interim answers, and no other"


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"\xff\xfe\r\n\r\n", None), (b"HTTP/1.1 200 OK\r\nX" + b"\xff" * 7000 + b": a\r\n\r\n", 200)],
)
async def test_what_is_malformed_is_told_in_short_and_without_the_url(answer: bytes, status: int | None) -> None:
    """A URL may hold a secret, and the error goes to the log."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server, sending(public_only=False) as send:
        port = server.sockets[0].getsockname()[1]
        reply = await send(f"http://127.0.0.1:{port}/hooks?token=s3cret", b"{}", {})
    assert reply.status == status
    assert reply.error is not None
    assert "ClientResponseError: " in reply.error
    assert "s3cret" not in reply.error
    assert len(reply.error) <= ERROR_LENGTH_MAX


async def _delivered(application: Application) -> dict[str, Any]:
    await create(application)
    await settle_and_deliver(application)
    [delivery] = await application.store.deliveries.find().to_list()
    return delivery
