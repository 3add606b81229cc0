"""Three real mongods as one replica set, to be killed, paused, cut off and voted out of office."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tools.mongod import COUNT_SECONDS, START_SECONDS, MongodError, command_line, reason, scratch, transactions_begun
from tools.process import free_port, spawn

SIZE = 3
# A lost primary is replaced after about this time, not after MongoDB's ten seconds, because a test is waiting.
ELECTION_SECONDS = 3.0
COMMAND_SECONDS = 30.0  # for commands that must succeed
_CACHE_GB = 0.25  # the least that mongod takes
_OPTIONS = (
    *("--setParameter", "enableTestCommands=1"),  # for failCommand
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    # How long a member waits for the oplog of one that is paused, in seconds; until then it cannot take over.
    *("--setParameter", "oplogNetworkTimeoutBufferSeconds=1"),
    *("--oplogSize", "256"),  # MB
    "--nounixsocket",  # kill -9 would leave its file behind
)


class Member:
    """One mongod. Other members and clients reach it at `address`, which may be a proxy's. We go past that, by `uri`."""

    def __init__(self, data: Path, port: int, address: str | None = None, options: Sequence[str | Path] = ()) -> None:
        self.port = port
        self.address = address or f"127.0.0.1:{port}"
        self.uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
        self.log_file = data / "mongod.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._data = data
        self._options = options
        self._transactions_before = 0  # begun in the processes that were killed

    def launch(self) -> None:
        """Starts it, and it joins and catches up by itself. Call it from a thread that lives on: see spawn."""
        self._data.mkdir(parents=True, exist_ok=True)
        command = [*command_line(self._data, self.port, cache_gb=_CACHE_GB), *_OPTIONS, *self._options]
        self.process = spawn(command, log_file=self.log_file)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """Kills it, as a power cut would."""
        assert self.process is not None
        self._transactions_before = self.transactions(seconds=COUNT_SECONDS)
        self.process.kill()
        self.process.wait()

    def transactions(self, *, seconds: float) -> int:
        """The number of transactions begun in it, in all its lives, as far as it answers within `seconds`."""
        return self._transactions_before + ((transactions_begun(self.uri, seconds=seconds) if self.runs else None) or 0)

    def pause(self) -> None:
        """Pauses it: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def run(self, command: Mapping[str, Any], *, seconds: float = 2.0) -> dict[str, Any]:
        """Runs a command on this member, whatever its role is just now. Raises PyMongoError."""
        options: dict[str, Any] = {"serverSelectionTimeoutMS": seconds * 1000, "timeoutMS": seconds * 1000}
        # A client that saw the server before it was initiated refuses sessions, so each command has a new one.
        with MongoClient[dict[str, Any]](self.uri, **options) as client:
            return client.admin.command(dict(command))

    def _signal(self, number: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(number)


class ReplicaSet:
    """The members know each other by `addresses`, if proxies stand before them. `options` are mongod's.

    Its maker decides whether to delete `data`.
    """

    def __init__(
        self,
        data: Path,
        *,
        ports: Sequence[int] = (),
        addresses: Sequence[str | None] = (),
        options: Sequence[str | Path] = (),
    ) -> None:
        ports = ports or [free_port() for _ in range(SIZE)]
        addresses = addresses or [None] * len(ports)
        self.members = [
            Member(data / f"mongod_{number}", port, address, options)
            for number, (port, address) in enumerate(zip(ports, addresses, strict=True), 1)
        ]
        self.uri = f"mongodb://{','.join(member.address for member in self.members)}/?replicaSet=rs0"

    def start(self) -> None:
        """Returns when there is a primary and the others copy from it. Raises MongodError."""
        self.launch()
        self.initiate()

    def launch(self) -> None:
        for member in self.members:
            member.launch()

    def initiate(self) -> None:
        """Makes one set of the members that were launched; returns when it is whole. Raises MongodError.

        Each member looks for itself at its address, so the proxies must be up, and their event loop must not be ours.
        """
        deadline = time.monotonic() + START_SECONDS
        for member in self.members:
            _await_answer(member, deadline)
        first = self.members[0]
        first.run({"replSetInitiate": self._config()}, seconds=START_SECONDS)
        while not self.primary() and time.monotonic() < deadline and first.runs:
            with suppress(PyMongoError):  # the others may not know yet that they are members
                first.run({"replSetStepUp": 1})  # without this it waits for ELECTION_SECONDS
            time.sleep(0.1)
        self.wait_until_whole(deadline - time.monotonic())

    def stop(self) -> None:
        """Kills all, since at SIGTERM each waits its turn for fifteen seconds. Acknowledged writes are in the journals."""
        for member in self.members:
            if member.process:
                member.kill()

    @property
    def transactions(self) -> int:
        """The number of transactions begun in all members, as far as they answer. One that is slow is waited for."""
        return sum(member.transactions(seconds=START_SECONDS) for member in self.members)

    def primary(self) -> Member | None:
        """The member elected last of those that say they are primary: one that was cut off may not know yet."""
        claims = [
            (hello["electionId"], member)
            for member in self.members
            if member.runs and (hello := _hello(member)) and hello["isWritablePrimary"]
        ]
        return max(claims, key=lambda claim: claim[0].binary)[1] if claims else None

    def wait_for_primary(self, seconds: float = 60.0) -> Member:
        """Waits for a primary. Raises MongodError if there is none within `seconds`."""
        deadline = time.monotonic() + seconds
        while not (primary := self.primary()):
            if time.monotonic() > deadline or not any(member.runs for member in self.members):
                raise MongodError(f"no primary within {seconds:.0f} s; see {self.members[0].log_file}")
            time.sleep(0.1)
        return primary

    def wait_until_whole(self, seconds: float = 60.0) -> None:
        """Waits until there is a primary and all others copy from it. Raises MongodError if not within `seconds`."""
        deadline = time.monotonic() + seconds
        self.wait_for_primary(seconds)
        for member in self.members:
            while not _takes_part(member):
                if time.monotonic() > deadline:
                    raise MongodError(f"{member.address} did not join within {seconds:.0f} s; see {member.log_file}")
                time.sleep(0.1)

    def step_down(self) -> None:
        """Makes the primary hand over to another, and not come back for ten seconds. Raises PyMongoError if it cannot."""
        down = {"replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5}
        self.wait_for_primary().run(down, seconds=COMMAND_SECONDS)

    def freeze(self, seconds: int) -> None:
        """For this long no secondary seeks election, so that a primary which stood still remains primary. 0 ends it. Raises
        PyMongoError.
        """
        primary = self.wait_for_primary()
        for member in self.members:
            if member is not primary:
                member.run({"replSetFreeze": seconds}, seconds=COMMAND_SECONDS)

    def _config(self) -> dict[str, Any]:
        return {
            "_id": "rs0",
            "members": [{"_id": number, "host": member.address} for number, member in enumerate(self.members)],
            "settings": {
                "electionTimeoutMillis": int(ELECTION_SECONDS * 1000),
                "heartbeatIntervalMillis": 500,
                "heartbeatTimeoutSecs": int(ELECTION_SECONDS),
            },
        }


@contextmanager
def temporary_replica_set() -> Iterator[ReplicaSet]:
    """Starts a replica set whose data is deleted when it ends. Raises MongodError."""
    with tempfile.TemporaryDirectory(prefix="mongod-", dir=scratch(), ignore_cleanup_errors=True) as directory:
        replica_set = ReplicaSet(Path(directory))
        try:
            replica_set.start()
            yield replica_set
        finally:
            replica_set.stop()


def _await_answer(member: Member, deadline: float) -> None:
    while not _hello(member):
        if not member.runs:
            raise MongodError(f"mongod did not start:\n{reason(member.log_file)}")
        if time.monotonic() > deadline:
            raise MongodError(f"mongod did not answer within {START_SECONDS:.0f} s; see {member.log_file}")
        time.sleep(0.1)


def _takes_part(member: Member) -> bool:
    """Whether it is primary, or a secondary with a source to copy from: it may take a while to find one."""
    try:
        status = member.run({"replSetGetStatus": 1})
    except PyMongoError:
        return False
    state: str = next(each["stateStr"] for each in status["members"] if each.get("self"))
    return state == "PRIMARY" or (state == "SECONDARY" and bool(status["syncSourceHost"]))


def _hello(member: Member) -> dict[str, Any]:
    """Returns an empty reply if it does not answer soon, as when it is paused."""
    try:
        return member.run({"hello": 1}, seconds=0.5)
    except PyMongoError:
        return {}
