"""The whole stack as processes on this machine: MongoDB and both services. `python -m tools.stack` is `make run`."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

import order_api.settings
import payment_gateway.settings
from shared.edge.limits import HttpLimits
from tools.mongod import Mongod, MongodError
from tools.process import free_port, spawn, stop, tail

DATA = Path(__file__).parent.parent / ".data"
START_SECONDS = 60.0
COMMANDS = {"order_api": ("-m", "order_api"), "payment_gateway": ("-m", "payment_gateway", "serve")}  # of Python


class ServiceError(Exception):
    """A service did not start; the message says why."""


class Service:
    """One process of one of the services. Can be stopped, killed and started again."""

    def __init__(self, module: str, port: int, environment: Mapping[str, str], log_file: Path) -> None:
        self.module = module
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log_file = log_file
        self._environment = {**_inherited(), **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, **settings: str) -> None:
        """For all launches to come."""
        self._environment |= settings

    def start(self) -> None:
        """Returns when it is ready. Raises ServiceError."""
        self.launch()
        self.wait_until_ready()

    def launch(self, **more: str) -> None:
        """Returns at once. `more` is for the environment of this run only."""
        command = [sys.executable, *COMMANDS[self.module]]
        self.process = spawn(command, log_file=self.log_file, environment={**self._environment, **more})

    def wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while not is_ready(self.url):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"{self.module} did not start; {self.log_file} ends with:\n{tail(self.log_file)}")
            time.sleep(0.05)

    def stop(self) -> int:
        return stop(self.process) if self.process else 0

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class Credentials(msgspec.Struct, frozen=True):
    """What the two services share."""

    webhook_secret: str
    api_key: str

    @classmethod
    def new(cls) -> "Credentials":
        secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
        return cls(secret, secrets.token_urlsafe(24))

    @classmethod
    def kept_in(cls, path: Path) -> "Credentials":
        """Those of the last run: the gateway keeps the secret that its endpoint was created with."""
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(msgspec.json.encode(cls.new()))
        return msgspec.json.decode(path.read_bytes(), type=cls)


class Stack:
    """MongoDB and any number of both services, the first order_api and the first gateway being who calls whom."""

    def __init__(
        self,
        mongodb_uri: str,
        logs: Path,
        *,
        order_apis: Sequence[int],
        gateways: Sequence[int],
        credentials: Credentials | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        credentials = credentials or Credentials.new()
        self.webhook_secret, self.api_key = credentials.webhook_secret, credentials.api_key
        common = {"APP_ENV": "development", "MONGODB_URI": mongodb_uri, "LOG_FORMAT": "json", **(environment or {})}
        order_api = {
            "PAYMENT_GATEWAY_URL": f"http://127.0.0.1:{gateways[0]}",
            "PAYMENT_GATEWAY_API_KEY": self.api_key,
            "WEBHOOK_SECRETS": self.webhook_secret,
        }
        gateway = {
            "PAYMENT_GATEWAY_API_KEYS": self.api_key,
            "WEBHOOK_ENDPOINT_URL": f"http://127.0.0.1:{order_apis[0]}/api/webhooks/payments",
            "WEBHOOK_ENDPOINT_SECRET": self.webhook_secret,
        }
        self.order_apis = [
            Service(
                "order_api",
                port,
                {**order_api, **common, "ORDER_API_PORT": str(port)},
                logs / f"order_api_{number}.log",
            )
            for number, port in enumerate(order_apis, 1)
        ]
        self.gateways = [
            Service(
                "payment_gateway",
                port,
                {**gateway, **common, "PAYMENT_GATEWAY_PORT": str(port)},
                logs / f"payment_gateway_{number}.log",
            )
            for number, port in enumerate(gateways, 1)
        ]

    @property
    def services(self) -> list[Service]:
        return [*self.gateways, *self.order_apis]

    @contextmanager
    def running(self) -> Iterator["Stack"]:
        """Raises ServiceError."""
        try:
            for service in self.services:
                service.launch()
            for service in self.services:
                service.wait_until_ready()
            yield self
        finally:
            for service in self.services:
                service.stop()


def _inherited() -> dict[str, str]:
    """Our environment without what would set a service up in another way than the stack means to."""
    own = {
        field.encode_name
        for settings in (order_api.settings.Settings, payment_gateway.settings.Settings, HttpLimits)
        for field in msgspec.structs.fields(settings)
    } - {"LOG_LEVEL"}
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in own}


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def mongodb(data: Path) -> Iterator[str]:
    """The URI of MONGODB_URI, or of an embedded MongoDB whose data is kept in `data`. Raises MongodError."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    mongod = Mongod(data)
    try:
        mongod.start()
        yield mongod.uri
    finally:
        mongod.stop()


def port_or_free(wanted: int) -> int:
    """`wanted` if nobody listens there, so that the README's lines work when pasted."""
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
    return wanted


def exit_on_sigterm() -> None:
    """So that SIGTERM unwinds like Ctrl-C and everything that was started is stopped."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, leave)


def main() -> None:
    exit_on_sigterm()
    logs = DATA / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    with ExitStack() as stack, until_ctrl_c():
        try:
            uri = stack.enter_context(mongodb(DATA / "mongodb"))
            services = Stack(
                uri,
                logs,
                order_apis=[port_or_free(8000)],
                gateways=[port_or_free(8001)],
                credentials=Credentials.kept_in(DATA / "credentials.json"),
            )
            running = stack.enter_context(services.running())
        except (MongodError, ServiceError) as error:
            raise SystemExit(f"cannot run: {error}") from None
        _describe(running, uri, logs)
        wait(running.services)


def _describe(stack: Stack, uri: str, logs: Path) -> None:
    order_api, gateway = stack.order_apis[0].url, stack.gateways[0].url
    print(f"""
order_api         {order_api}        API page {order_api}/schema
payment_gateway   {gateway}        API page {gateway}/schema
gateway API key   {stack.api_key}
webhook secret    {stack.webhook_secret}
MongoDB           mongosh "{uri.replace("/?", "/order_api?")}"
logs              {logs}/*.log

Ctrl-C stops everything; the data stays in {DATA}.
""", flush=True)  # fmt: skip


@contextmanager
def until_ctrl_c() -> Iterator[None]:
    """At whatever moment it comes, it is no error."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nstopping", flush=True)


def wait(services: Sequence[Service]) -> None:
    """Until a service ends by itself."""
    while True:
        for service in services:
            assert service.process is not None
            if (status := service.process.poll()) is not None:
                raise SystemExit(f"{service.module} ended with {status}; see {service.log_file}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
