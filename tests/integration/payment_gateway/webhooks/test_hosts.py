"""Hosts that no name server and no certificate authority of the Internet knows: names of this machine, and https at home."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from payment_gateway.webhooks.destination import parse_destinations
from payment_gateway.webhooks.send import Reply, SendWebhook
from payment_gateway.webhooks.trust import CaFileError, trusting
from tests.guarded_mongod import make_certificates
from tests.integration.payment_gateway.conftest import MakeApplication, create
from tests.integration.payment_gateway.webhooks.test_endpoints import settle_and_deliver
from tests.raw_receiver import OK, always, raw_receiver
from tools.process import free_port


@pytest.fixture
async def no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, *_how: Any) -> Any:
        raise socket.gaierror(f"no such name: {host}")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


async def send_once(url: str, *, tls: ssl.SSLContext | None = None) -> Reply:
    send = SendWebhook(parse_destinations([], public_only=False), timeout_seconds=60, connections_max=8, tls=tls)
    await send.start()
    try:
        return await send(url, b"{}", {})
    finally:
        await send.close()


@pytest.mark.usefixtures("no_name_server")
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("host", ["localhost", "localhost.", "shop.localhost", "A.Shop.LOCALHOST."])
async def test_names_of_this_machine_are_found_without_a_name_server(host: str, address: str) -> None:
    port = free_port()  # nobody listens on it at the other address
    async with raw_receiver(always(OK), host=address, port=port) as receiver:
        reply = await send_once(f"http://{host}:{port}/")
    assert (reply.status, reply.error) == (200, None)
    assert receiver.asked[0].header("Host") == f"{host}:{port}"


@pytest.mark.usefixtures("no_name_server")
async def test_other_names_are_looked_up() -> None:
    reply = await send_once("http://localhost.example/")
    assert (
        reply.error
        == "ClientConnectorDNSError: cannot connect to localhost.example:80: no such name: localhost.example"
    )


@pytest.fixture
async def certificates(tmp_path: Path) -> Path:
    await asyncio.to_thread(make_certificates, tmp_path)
    return tmp_path


def _server_tls(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem")
    return context


async def test_a_certificate_of_an_authority_in_the_file_is_trusted(certificates: Path) -> None:
    """And one of any other is not, which is how it fails without the file."""
    async with raw_receiver(always(OK), tls=_server_tls(certificates)) as receiver:
        url = f"https://localhost:{receiver.port}/"
        trusted = await send_once(url, tls=trusting(str(certificates / "authority.pem")))
        untrusted = await send_once(url)
        for_another_host = await send_once(
            f"https://127.0.0.1:{receiver.port}/", tls=trusting(str(certificates / "authority.pem"))
        )
    assert (trusted.status, trusted.error) == (200, None)
    assert (untrusted.status, for_another_host.status) == (None, None)
    assert "certificate verify failed" in str(untrusted.error)
    assert len(receiver.asked) == 1


async def test_deliveries_trust_the_authority_of_the_setting(
    certificates: Path, make_application: MakeApplication
) -> None:
    async with raw_receiver(always(OK), tls=_server_tls(certificates)) as receiver:
        url, ca_file = f"https://localhost:{receiver.port}/", str(certificates / "authority.pem")
        async with make_application(webhook_endpoint_url=url, webhook_ca_file=ca_file) as application:
            await create(application)
            await settle_and_deliver(application)
            [delivery] = await application.store.deliveries.find().to_list()
    assert (delivery["state"], len(receiver.asked)) == ("delivered", 1)


async def test_the_authorities_of_the_system_are_trusted_besides(certificates: Path) -> None:
    alone, together = ssl.create_default_context(), trusting(str(certificates / "authority.pem"))
    assert together.cert_store_stats()["x509"] == alone.cert_store_stats()["x509"] + 1


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None]
)
def test_a_file_that_is_not_there_or_holds_no_certificate_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaFileError, match=str(path)):
        trusting(str(path))
