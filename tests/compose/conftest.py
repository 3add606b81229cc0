"""The stack from its images on a real engine, under a project name and ports of its own: one that already runs here is not
disturbed."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from testcontainers.compose import DockerCompose

from tests.waiting import until
from tools.process import free_port

ROOT = Path(__file__).parent.parent.parent
SERVICES = ["order-api", "payment-gateway"]
CONTAINERS = ["mongo", *SERVICES]


class ComposeStack:
    """`docker compose`, for the tests' own project."""

    def __init__(self, compose: DockerCompose, *, order_api: int, payment_gateway: int) -> None:
        self._compose = compose
        self.order_api = f"http://127.0.0.1:{order_api}"
        self.payment_gateway = f"http://127.0.0.1:{payment_gateway}"

    def up(self) -> None:
        """Returns when everything is healthy; otherwise fails with what the containers said."""
        try:
            self._compose.start()
        except subprocess.CalledProcessError as error:
            pytest.fail(f"{error.stderr.decode()}\n{self.run('logs', '--tail=30')}")

    def run(self, *words: str) -> str:
        """`docker compose …`; what it printed. Raises CalledProcessError."""
        return self._run("stdout", *words)

    def complaint(self, *words: str) -> str:
        """What it printed as errors, whether it succeeded or not."""
        return self._run("stderr", *words, check=False)

    def _run(self, stream: str, *words: str, check: bool = True) -> str:
        command = [*self._compose.docker_compose_command(), *words]
        ended = subprocess.run(command, cwd=ROOT, check=check, capture_output=True, text=True, timeout=120)
        return str(getattr(ended, stream))

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows about its container, running or not."""
        container = self._compose.get_container(service, include_all=True)
        described: list[dict[str, Any]] = json.loads(docker("inspect", str(container.ID)))
        return described[0]


def docker(*words: str) -> str:
    """`docker …`; what it printed. Raises CalledProcessError."""
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, timeout=120).stdout


@contextmanager
def running(empty: Path, *files: str) -> Iterator[ComposeStack]:
    """The stack of these compose files, from its start to its end. `empty` is read instead of the .env of whoever runs
    this. Of two that run at once, commands go to the later one.
    """
    empty.touch()
    order_api, payment_gateway = free_port(), free_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COMPOSE_PROJECT_NAME", f"test-{uuid4().hex[:8]}")
        environment.setenv("ORDER_API_PORT", str(order_api))
        environment.setenv("PAYMENT_GATEWAY_PORT", str(payment_gateway))
        environment.setenv("CHARGE_DELAY_SECONDS", "2")
        environment.setenv("WEBHOOK_RETRY_SCHEDULE_SECONDS", ",".join(["1"] * 60))
        compose = DockerCompose(ROOT, [*files], build=True, env_file=str(empty))
        stack = ComposeStack(compose, order_api=order_api, payment_gateway=payment_gateway)
        try:
            stack.up()
            yield stack
        finally:
            stack.run("down", "--timeout", "1", "--volumes", "--rmi", "local")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeStack]:
    with running(tmp_path_factory.mktemp("compose") / "env", "compose.yaml") as stack:
        yield stack


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def place(http: aiohttp.ClientSession, stack: ComposeStack) -> str:
    """Places an order; its id."""
    body = {"orderNumber": f"ORD-{uuid4().hex[:12]}", "amount": 99.99, "currency": "USD"}
    async with http.post(
        f"{stack.order_api}/api/orders", json=body, headers={"Idempotency-Key": uuid4().hex}
    ) as answer:
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])


async def read(http: aiohttp.ClientSession, stack: ComposeStack, order_id: str) -> dict[str, Any]:
    async with http.get(f"{stack.order_api}/api/orders/{order_id}") as answer:
        assert answer.status == 200, await answer.text()
        order: dict[str, Any] = await answer.json()
        return order


async def until_paid(http: aiohttp.ClientSession, stack: ComposeStack, order_id: str) -> dict[str, Any]:
    """The order, once it is paid. order_api may be away meanwhile."""

    async def paid() -> bool:
        try:
            return bool((await read(http, stack, order_id))["status"] == "Paid")
        except aiohttp.ClientConnectionError:
            return False

    await until(paid, "the order is paid")
    return await read(http, stack, order_id)
