"""The embedded MongoDB: a real mongod from a wheel, a one-node replica set on a free port of 127.0.0.1."""

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tools.process import free_port, spawn, stop, tail

START_SECONDS = 60.0
COUNT_SECONDS = 1.0
CACHE_GB = 1.0
_ALREADY_INITIALIZED = 23
_MEMORY = Path("/dev/shm")
_SCRATCH_BYTES = 4 * 1024**3

ELSEWHERE = "DATA_DIR=… before the command keeps the data of this run in another directory"
# The usual reasons why mongod does not start, by what it writes then. The first match is the reason, because WiredTiger
# also calls data of a newer version a permission that is denied.
_CAUSES = {
    "DBPathInUse": (
        "another mongod uses the data in {data}. Stop the make run or make gateway that it belongs to; if that was killed a "
        f"moment ago, try again. {ELSEWHERE}"
    ),
    "unsupported WiredTiger|feature ?compatibility ?version": (
        f"the data in {{data}} was written by another version of MongoDB. Remove it if you do not need it. {ELSEWHERE}"
    ),
    "No space left on device": "there is no space left on the disk of {data}",
    "Permission denied|Operation not permitted|read-only directory": (
        f"mongod may not write in {{data}}. It may be another user's. {ELSEWHERE}"
    ),
}
_WAYS_OUT = (
    "ways out: install the missing library (Debian and Ubuntu: apt-get install libcurl4 libssl3), "
    "set MONGODB_URI to a replica set of yours, or use docker compose up"
)


class MongodError(Exception):
    """mongod did not start. The message says why and what to do."""


class Mongod:
    """One mongod. It keeps `data`; its maker decides whether to delete that."""

    def __init__(
        self, data: Path, *, port: int | None = None, options: Sequence[str] = (), cache_gb: float = CACHE_GB
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        self.log_file = data / "mongod.log"
        self._options = options
        self._cache_gb = cache_gb
        self.process: subprocess.Popen[bytes] | None = None
        self.transactions: int | None = None  # the number begun in it, known once it is stopped

    def start(self) -> None:
        """Returns when it is primary. Raises MongodError, and OSError if there can be no directory for the data."""
        self.data.mkdir(parents=True, exist_ok=True)
        earlier_bytes = self.log_file.stat().st_size if self.log_file.exists() else 0
        command = [*command_line(self.data, self.port, cache_gb=self._cache_gb), *self._options]
        self.process = spawn(command, log_file=self.log_file)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_primary():
            if self.process.poll() is not None:
                with self.log_file.open("rb") as log:
                    log.seek(earlier_bytes)
                    said = log.read().decode(errors="replace")
                raise MongodError(
                    cause(said, self.data) or f"mongod did not start:\n{reason(self.log_file)}\n{_WAYS_OUT}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise MongodError(f"mongod did not become primary within {START_SECONDS:.0f} s; see {self.log_file}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.transactions = transactions_begun(self.uri)
            stop(self.process)

    def kill(self) -> None:
        """Kills it, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _is_primary(self) -> bool:
        # A client that saw the server before it was initiated refuses sessions, so each look is a new one.
        with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=500, timeoutMS=2000) as client:
            try:
                hello = client.admin.command("hello")
                if "setName" not in hello:
                    members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
                    client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
                return bool(hello["isWritablePrimary"]) and self._is_ours(client)
            except OperationFailure as error:
                if error.timeout:
                    return False
                if error.code != _ALREADY_INITIALIZED:
                    raise
                with suppress(PyMongoError):  # where the disk is slow it may be initiating still, at our last request
                    self._take_new_port(client)
            except PyMongoError:  # it takes its time: it is asked again
                return False
        return False

    def _is_ours(self, client: MongoClient[dict[str, Any]]) -> bool:
        """Whether our own mongod answers. If another has the port, ours is about to end, and to say so."""
        assert self.process is not None
        return bool(client.admin.command("serverStatus")["pid"] == self.process.pid)

    def _take_new_port(self, client: MongoClient[dict[str, Any]]) -> None:
        """Tells the one member its new port, because kept data names the port of its last run."""
        config = client.admin.command("replSetGetConfig")["config"]
        config["members"][0]["host"] = f"127.0.0.1:{self.port}"
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def transactions_begun(uri: str, *, seconds: float = COUNT_SECONDS) -> int | None:
    """The number of multi-document transactions begun in this mongod since its start: nothing of ours needs one. None if it
    does not answer within `seconds`, as when it is paused.
    """
    bounds: dict[str, Any] = {"serverSelectionTimeoutMS": seconds * 1000, "timeoutMS": seconds * 1000}
    with MongoClient[dict[str, Any]](uri, **bounds) as client:
        try:
            return int(client.admin.command("serverStatus")["transactions"]["totalStarted"])
        except PyMongoError:
            return None


def scratch() -> str | None:
    """The directory for data that nobody keeps: in memory if there is enough of it, since each commit waits for the disk. It
    survives the death of its process there too. None means with the temporary files, as when TMPDIR is set.
    """
    if "TMPDIR" in os.environ or not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _SCRATCH_BYTES:
        return None
    return str(_MEMORY)


@contextmanager
def temporary_mongod(
    options: Sequence[str] = (), *, below: str | None = None, cache_gb: float = CACHE_GB
) -> Iterator[Mongod]:
    """A mongod whose data is deleted when it ends. It is in a directory `below` that one, or with the temporary files."""
    with tempfile.TemporaryDirectory(prefix="mongod-", dir=below, ignore_cleanup_errors=True) as directory:
        mongod = Mongod(Path(directory), options=options, cache_gb=cache_gb)
        try:
            mongod.start()
            yield mongod
        finally:
            mongod.stop()


def command_line(data: Path, port: int, *, cache_gb: float) -> list[str | Path]:
    """The command line of a member of the replica set `rs0` on 127.0.0.1. Raises MongodError if there is no mongod."""
    return [
        _binary(),
        *("--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", "rs0"),
        *("--networkMessageCompressors", "disabled"),
        *("--wiredTigerCacheSizeGB", str(cache_gb)),
    ]


def mongod_version() -> str:
    """The version, such as `6.0.5`. Raises MongodError if there is no mongod."""
    done = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.partition("\n")[0].rpartition("v")[2]


def _binary() -> Path:
    binary = Path(sysconfig.get_path("purelib")) / "fiftyone" / "db" / "bin" / "mongod"
    if not binary.exists():
        raise MongodError(f"there is no mongod at {binary}: run make setup\n{_WAYS_OUT}")
    return binary


def cause(said: str, data: Path) -> str | None:
    """Says in one sentence why a mongod that `said` this has not started, and what to do. None if it is no usual cause."""
    found = (text for pattern, text in _CAUSES.items() if re.search(pattern, said, re.IGNORECASE))
    text = next(found, None)
    return text and text.format(data=data)


def reason(log_file: Path) -> str:
    """The reason that mongod gave: its own errors, or what the loader says of a missing library."""
    lines = log_file.read_text(errors="replace").splitlines() if log_file.exists() else []
    errors = [line for line in lines if not line.startswith("{") or '"s":"E"' in line or '"s":"F"' in line]
    return "\n".join(line[:400] for line in errors[-4:]) or tail(log_file) or f"it said nothing; see {log_file}"
