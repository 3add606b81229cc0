"""A mongod that asks for a user and offers TLS, as a server on another machine does."""

import base64
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.waiting import DEADLINE_SECONDS
from tools.mongod import Mongod, command_line
from tools.process import spawn, stop

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"
PASSWORD = "pw"


@dataclass
class GuardedMongod:
    port: int
    authority: Path  # the certificate that signed its own, which is for `localhost` and for no address

    def uri(self, user: str = "root", *, host: str = "127.0.0.1", password: str = PASSWORD, options: str = "") -> str:
        credentials = f"{user}:{password}@" if user else ""
        return f"mongodb://{credentials}{host}:{self.port}/?authSource=admin&directConnection=true{options}"

    def allow(self, user: str, *actions: str, databases: Sequence[str]) -> None:
        """Makes a user that may do this in these databases."""
        with MongoClient[dict[str, Any]](self.uri()) as client:
            privileges = [{"resource": {"db": name, "collection": ""}, "actions": [*actions]} for name in databases]
            client.admin.command("createRole", user, privileges=privileges, roles=[])
            client.admin.command("createUser", user, pwd=PASSWORD, roles=[user])

    def let_write(self, user: str, database: str) -> None:
        """Makes a user with the built-in role `readWrite`."""
        with MongoClient[dict[str, Any]](self.uri()) as client:
            roles = [{"role": "readWrite", "db": database}]
            client.admin.command("createUser", user, pwd=PASSWORD, roles=roles)


def documented_actions() -> list[str]:
    """The actions of the role on the page of operations."""
    [listed] = re.findall(r"actions: \[([^\]]*)\]", OPERATIONS.read_text(encoding="utf-8"))
    return re.findall(r"'(\w+)'", listed)


@contextmanager
def guarded_mongod(*, below: str | None) -> Iterator[GuardedMongod]:
    with tempfile.TemporaryDirectory(prefix="guarded-", dir=below, ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        make_certificates(home)
        open_one = Mongod(home / "data")
        open_one.start()
        with MongoClient[dict[str, Any]](open_one.uri) as client:
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        open_one.stop()
        command = [*command_line(home / "data", open_one.port, cache_gb=0.25), *guarding(home)]
        process = spawn(command, log_file=home / "guarded.log")
        guarded = GuardedMongod(open_one.port, home / "authority.pem")
        try:
            _await_primary(guarded)
            yield guarded
        finally:
            stop(process)


def guarding(home: Path) -> list[str | Path]:
    """The options of a mongod that asks for a user and offers TLS, with what make_certificates has left in `home`."""
    key = home / "key"
    key.touch(mode=0o600)
    key.write_text(base64.b64encode(os.urandom(256)).decode())
    return [
        *("--auth", "--keyFile", key),
        *("--tlsMode", "preferTLS", "--tlsCertificateKeyFile", home / "server.pem"),
        *("--tlsCAFile", home / "authority.pem", "--tlsAllowConnectionsWithoutCertificates"),
    ]


def _await_primary(guarded: GuardedMongod) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        with MongoClient[dict[str, Any]](guarded.uri(), serverSelectionTimeoutMS=500, timeoutMS=2000) as client:
            try:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return
            except PyMongoError:
                pass
        assert time.monotonic() < deadline, "no primary"
        time.sleep(0.1)


def make_certificates(home: Path) -> None:
    """An authority, and the certificate that it signs for the host name `localhost`."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=home, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes", "-days", "3")
    openssl("req", "-x509", *new, "-subj", "/CN=authority", "-keyout", "authority.key", "-out", "authority.pem")
    openssl("req", *new[:3], "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (home / "names").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    signed = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "3", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.crt")
    (home / "server.pem").write_text((home / "server.key").read_text() + (home / "server.crt").read_text())
