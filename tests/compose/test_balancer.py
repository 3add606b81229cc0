"""ops/haproxy.cfg in HAProxy itself: what it sends again when a server goes away, and what it must not."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.compose.conftest import ROOT, docker
from tests.waiting import until
from tools.process import free_port

pytestmark = [
    pytest.mark.timeout(600),  # the first test may pull the image
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a container cannot reach a server of this process"),
]

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
WITH_A_KEY = {"Idempotency-Key": "first"}


@dataclass
class Servers:
    """Two servers behind the balancer. Both answer, but the one that is asked first while they `are_killed` closes the
    connection instead. `asked` are the numbers of the servers, in the order in which they were asked.
    """

    order_api: str = ""
    payment_gateway: str = ""
    are_killed: bool = False
    asked: list[int] = field(default_factory=list)
    listening: list[asyncio.Server] = field(default_factory=list)

    async def listen(self) -> int:
        """Starts one; its port."""
        number = len(self.listening)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/health/ready" not in head.partition(b"\r\n")[0]:
                self.asked.append(number)
            if not (self.are_killed and len(self.asked) == 1):
                writer.write(ANSWER)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.listening.append(server)
        return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def balanced(folder: Path) -> AsyncIterator[Servers]:
    """Two servers that the balancer has found. `folder` is for its configuration."""
    servers = Servers()
    addresses = [f"127.0.0.1:{await servers.listen()}" for _ in range(2)]
    ports = {"8000": free_port(), "8001": free_port()}
    servers.order_api, servers.payment_gateway = (f"http://127.0.0.1:{port}" for port in ports.values())
    async with running_haproxy(configured(folder / "haproxy.cfg", ports, addresses)):
        await until_ready(servers)
        yield servers
    for server in servers.listening:
        server.close()


def configured(file: Path, ports: Mapping[str, int], addresses: Sequence[str]) -> Path:
    """ops/haproxy.cfg with these ports instead of its own, and these servers instead of containers."""
    text = (ROOT / "ops" / "haproxy.cfg").read_text()
    for port, ours in ports.items():
        text = re.sub(rf"\bbind :{port}\b", f"bind 127.0.0.1:{ours}", text)
        text = re.sub(rf"\bdst_port {port}\b", f"dst_port {ours}", text)
    lines = [f"    server server-{number} {address}\n" for number, address in enumerate(addresses)]
    text, replaced = re.subn(r"^ +server-template .*\n", "".join(lines), text, flags=re.MULTILINE)
    assert replaced == len(ports)
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with balanced(tmp_path_factory.mktemp("balancer")) as servers:
        yield servers


@pytest.fixture
def killed(both: Servers) -> Servers:
    """The servers, of which the next that is asked is killed over it."""
    both.asked.clear()
    both.are_killed = True
    return both


@asynccontextmanager
async def running_haproxy(configuration: Path) -> AsyncIterator[None]:
    """It runs in the network of this machine, where it reaches servers of this process."""
    volume = f"{configuration}:/usr/local/etc/haproxy/haproxy.cfg:ro"
    options = ["--rm", "--detach", "--network", "host", "--volume", volume]
    started = await asyncio.to_thread(docker, "run", *options, "haproxy:3.2")
    try:
        yield
    finally:
        await asyncio.to_thread(docker, "rm", "--force", started.strip())


async def until_ready(servers: Servers) -> None:
    urls = [f"{url}/health/ready" for url in (servers.order_api, servers.payment_gateway)]

    async def ready() -> bool:
        try:
            return {await status("GET", url) for url in urls} == {200}
        except aiohttp.ClientConnectionError:
            return False

    await until(ready, "the balancer has found its servers")


async def status(method: str, url: str, headers: dict[str, str] | None = None) -> int:
    async with aiohttp.request(method, url, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/api/orders", {}),
        ("POST", "/api/orders", WITH_A_KEY),
        ("POST", "/api/webhooks/payments", {}),
        ("POST", "/api/orders/ord_1/cancel", {}),
        ("POST", "/api/orders/ord_1/reviews/dispute/resolve", {}),
    ],
)
async def test_a_request_that_may_come_twice_is_sent_to_the_other_server_when_one_is_killed_over_it(
    killed: Servers, method: str, path: str, headers: dict[str, str]
) -> None:
    assert await status(method, killed.order_api + path, headers) == 200
    assert sorted(killed.asked) == [0, 1]


@pytest.mark.parametrize("path", ["/api/outbox/obx_1/redrive", "/api/orders"])
async def test_a_request_that_must_not_come_twice_is_sent_once(killed: Servers, path: str) -> None:
    assert await status("POST", killed.order_api + path) == 502
    assert len(killed.asked) == 1


async def test_an_answer_that_the_provider_loses_is_lost(killed: Servers) -> None:
    assert await status("POST", f"{killed.payment_gateway}/v1/charges", WITH_A_KEY) == 502
    assert len(killed.asked) == 1


async def test_any_request_goes_to_the_other_server_when_one_takes_none(tmp_path: Path) -> None:
    async with balanced(tmp_path) as servers:
        servers.listening[0].close()
        statuses = [await status("POST", f"{servers.order_api}/api/outbox/obx_1/redrive") for _ in range(4)]
        assert (statuses, servers.asked) == ([200] * 4, [1] * 4)
