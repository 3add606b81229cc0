"""What tools/ starts ends with it, however it ends; and what cannot start says why."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.mongod import Mongod, MongodError, temporary_mongod, transactions_begun
from tools.process import free_port, spawn, stop
from tools.stack import COMMANDS

HOLD_A_MONGOD = """
import sys, time
from pathlib import Path
from tools.mongod import Mongod
mongod = Mongod(Path(sys.argv[1]))
mongod.start()
print(mongod.process.pid, flush=True)
time.sleep(600)
"""


@contextmanager
def holding_a_mongod(data: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process that has started a mongod, and the mongod's id."""
    command = [sys.executable, "-c", HOLD_A_MONGOD, str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            yield holder, int(holder.stdout.readline())
        finally:
            holder.kill()


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while _is_running(pid):
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel to tell children of their parent's death")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_mongod_does_not_outlive_the_process_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    with holding_a_mongod(tmp_path) as (holder, pid):
        assert _is_running(pid)
        holder.send_signal(how)
        holder.wait(30)
        wait_until_gone(pid)


def test_a_temporary_mongod_takes_its_data_with_it() -> None:
    with temporary_mongod() as mongod:
        assert mongod.process is not None
        pid, data = mongod.process.pid, mongod.data
        assert data.exists()
    assert not data.exists()
    wait_until_gone(pid)


def test_a_mongod_that_is_stopped_tells_how_many_transactions_were_begun_in_it() -> None:
    from pymongo import MongoClient  # noqa: PLC0415

    with temporary_mongod() as mongod, MongoClient[dict[str, int]](mongod.uri, w="majority") as client:
        client["d"]["c"].insert_one({"_id": 1})
        assert transactions_begun(mongod.uri) == 0
        with client.start_session() as session, session.start_transaction():
            client["d"]["c"].insert_one({"_id": 2}, session=session)
    assert mongod.transactions == 1
    assert transactions_begun(mongod.uri) is None


def test_kept_data_survives_a_kill_and_a_new_port(tmp_path: Path) -> None:
    from pymongo import MongoClient  # noqa: PLC0415

    mongod = Mongod(tmp_path)
    mongod.start()
    with MongoClient[dict[str, int]](mongod.uri, w="majority", journal=True) as client:
        client["d"]["c"].insert_one({"_id": 1})
    mongod.kill()
    again = Mongod(tmp_path)
    assert again.port != mongod.port
    try:
        again.start()
        with MongoClient[dict[str, int]](again.uri) as client:
            assert client["d"]["c"].count_documents({}) == 1
    finally:
        again.stop()


def test_a_mongod_that_cannot_start_says_why_and_what_to_do(tmp_path: Path) -> None:
    with temporary_mongod() as first:
        second = Mongod(tmp_path, port=first.port)
        with pytest.raises(MongodError, match=r"(?s)in use.*MONGODB_URI.*docker compose up"):
            second.start()


def test_a_mongod_that_is_not_installed_names_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.mongod.sysconfig.get_path", lambda _name: str(tmp_path))
    with pytest.raises(MongodError, match="make setup"):
        Mongod(tmp_path / "data").start()


@pytest.mark.parametrize("module", ["order_api", "payment_gateway"])
def test_a_service_without_its_settings_says_which_and_ends_with_2(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"MONGODB_URI", "APP_ENV"}}
    ended = subprocess.run(
        [sys.executable, *COMMANDS[module]], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2
    assert ended.stderr == "cannot start: MONGODB_URI is not set\n"


@pytest.mark.parametrize("module", ["order_api", "payment_gateway"])
def test_a_service_whose_port_is_taken_says_which_setting_to_change_and_ends_with_1(module: str) -> None:
    away = f"mongodb://127.0.0.1:{free_port()}"  # it does not wait for this first
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        setting = f"{module.upper()}_PORT"
        environment = {**os.environ, "APP_ENV": "development", "MONGODB_URI": away, setting: str(port)}
        ended = subprocess.run(
            [sys.executable, *COMMANDS[module]],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert ended.returncode == 1
    assert ended.stderr == f"cannot start: {setting}: port {port} of 127.0.0.1 is taken; set another port\n"


def test_services_whose_database_is_away_end_instead_of_serving(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "APP_ENV": "development", "MONGODB_URI": f"mongodb://127.0.0.1:{port}"}
    started = [
        spawn([sys.executable, *COMMANDS[module]], log_file=tmp_path / module, environment=environment)
        for module in ("order_api", "payment_gateway")
    ]
    try:
        assert [process.wait(120) for process in started] == [1, 1]
        for module in ("order_api", "payment_gateway"):
            said = (tmp_path / module).read_text()
            assert said.startswith(f"cannot start: MONGODB_URI: no primary within 10 s: 127.0.0.1:{port}: ")
            assert "Connect call failed" in said
            assert said.count("\n") == 1
    finally:
        for process in started:
            stop(process)
