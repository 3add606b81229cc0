"""The whole stack as processes on this machine: MongoDB and both services."""

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

import order_api.settings
import payment_gateway.settings
from shared.address import Address
from shared.edge.limits import HttpLimits
from shared.env import Secret, SettingError, load
from tools.mongod import ELSEWHERE, Mongod
from tools.process import free_port, spawn, stop, tail

DATA = Path(__file__).parent.parent / ".data"
START_SECONDS = 60.0
LOCAL = "127.0.0.1"
# The settings that the services read from the environment.
SETTINGS = frozenset(
    field.encode_name
    for struct in (order_api.settings.Settings, payment_gateway.settings.Settings, HttpLimits)
    for field in msgspec.structs.fields(struct)
)
COMMANDS = {"order_api": ("-m", "order_api"), "payment_gateway": ("-m", "payment_gateway", "serve")}  # of Python


class ServiceError(Exception):
    """A service did not start. The message says why."""


class Service:
    """One process of one of the services. Can be stopped, killed and started again. `pid_file` has its process id."""

    def __init__(self, module: str, port: int, environment: Mapping[str, str], log_file: Path) -> None:
        self.module = module
        self.port = port
        self.url = url_of(module, port, environment)
        self.log_file = log_file
        self.pid_file = log_file.with_suffix(".pid")
        self.environment = {**_inherited(), **environment}
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, **settings: str) -> None:
        """Changes the environment of all launches to come."""
        self.environment |= settings

    def start(self) -> None:
        """Starts it, and returns when it is ready. Raises ServiceError."""
        self.launch()
        self.wait_until_ready()

    def launch(self, **more: str) -> None:
        """Starts it and returns at once. `more` is for the environment of this run only."""
        command = [sys.executable, *COMMANDS.get(self.module, ("-m", self.module))]
        self.process = spawn(command, log_file=self.log_file, environment={**self.environment, **more})
        self.pid_file.write_text(f"{self.process.pid}\n", encoding="ascii")

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
    """The secrets that the two services share."""

    webhook_secret: str
    api_key: str

    @classmethod
    def new(cls) -> "Credentials":
        secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
        return cls(secret, secrets.token_urlsafe(24))

    @classmethod
    def kept_in(cls, path: Path) -> "Credentials":
        """The secrets of the last run, because the gateway keeps the secret that its endpoint was created with."""
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(msgspec.json.encode(cls.new()))
        return msgspec.json.decode(path.read_bytes(), type=cls)


class Stack:
    """MongoDB and any number of both services. The first order_api and the first gateway call each other."""

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
            "PAYMENT_GATEWAY_URL": url_of("payment_gateway", gateways[0], common),
            "PAYMENT_GATEWAY_API_KEY": self.api_key,
            "WEBHOOK_SECRETS": self.webhook_secret,
        }
        gateway = {
            "PAYMENT_GATEWAY_API_KEYS": self.api_key,
            "WEBHOOK_ENDPOINT_URL": url_of("order_api", order_apis[0], common) + "/api/webhooks/payments",
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
            with ThreadPoolExecutor() as together:
                list(together.map(Service.stop, self.services))


def url_of(module: str, port: int, environment: Mapping[str, str]) -> str:
    """The URL at which this machine finds a service that is started with `environment`."""
    return Address(module, environment.get(f"{module.upper()}_HOST") or LOCAL, port).url


def settings_given() -> dict[str, str]:
    """The services' settings in our environment. Some may be in files, by `<NAME>_FILE`."""
    return {name: value for name, value in os.environ.items() if value and name.removesuffix("_FILE") in SETTINGS}


def set_aside(*used: str) -> str:
    """A sentence that names the settings of our environment which a Stack does not use. Those that its maker has `used` are
    left out. Empty if there are none.
    """
    names = sorted(_unused().difference(used))
    return f"Not used, as this run has settings and free ports of its own: {', '.join(names)}." if names else ""


def _inherited() -> dict[str, str]:
    """Our environment without the settings of the services, which the stack makes itself."""
    hidden = _unused()
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _unused() -> set[str]:
    return set(settings_given()) - {"LOG_LEVEL"}


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class _Database(msgspec.Struct, rename=str.upper):
    mongodb_uri: Secret | None = None


def data_directory(usual: Path) -> Path:
    """The directory for a run's data: the usual one, or DATA_DIR, so that two may run beside each other."""
    given = os.environ.get("DATA_DIR")
    return Path(given).resolve() if given else usual


def start_failure(error: OSError) -> str:
    """Says why a run cannot begin: mostly that the disk is full, or that a directory may not be written to."""
    if error.filename is None:
        return str(error)
    return f"{error.filename}: {error.strerror}. {ELSEWHERE}"


@contextmanager
def mongodb(data: Path) -> Iterator[str]:
    """The URI of MONGODB_URI, or of an embedded MongoDB whose data is kept in `data`. Raises MongodError, SettingError."""
    if uri := load(_Database, os.environ).mongodb_uri:
        yield uri
        return
    mongod = Mongod(data)
    try:
        mongod.start()
        yield mongod.uri
    finally:
        mongod.stop()


def port_or_free(service: str, usual: int, *, host: str = LOCAL, but_not: int | None = None) -> int:
    """The `usual` port, so that the README's lines work when pasted. A free one if that is taken, or is `but_not`."""
    return usual if usual != but_not and _is_free(Address(service, host, usual)) else free_port()


def _is_free(address: Address) -> bool:
    try:
        address.require_free()
    except SettingError:
        return False
    return True


def exit_on_sigterm() -> None:
    """Makes SIGTERM unwind like Ctrl-C, so that everything that was started is stopped."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def until_ctrl_c() -> Iterator[None]:
    """Ends what runs inside quietly at Ctrl-C, at whatever moment it comes."""
    try:
        yield
    except KeyboardInterrupt:
        print("\nstopping", flush=True)


def wait(services: Sequence[Service]) -> None:
    """Waits until a service ends by itself. A killed one is started again, as an operator's supervisor would do."""
    while True:
        for service in services:
            assert service.process is not None
            status = service.process.poll()
            if status == -signal.SIGKILL:
                _start_again(service)
            elif status is not None:
                raise SystemExit(f"{service.module} ended with {status}; see {service.log_file}")
        time.sleep(0.5)


def _start_again(service: Service) -> None:
    print(f"{service.module} was killed; it is started again", flush=True)
    try:
        service.start()
    except ServiceError as error:
        raise SystemExit(str(error)) from None
