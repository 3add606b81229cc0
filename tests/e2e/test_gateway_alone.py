"""`make gateway`, and the example suite that starts one: what a team that tests its own service begins with."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymongo
import pytest

from tests.waiting import DEADLINE_SECONDS, until
from tools.mongod import Mongod
from tools.process import free_port
from tools.stack import is_ready

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "services" / "payment_gateway" / "examples"
RUN_IN = "import sys; from pathlib import Path; from tools.gateway import main; main(Path(sys.argv[1]))"
TESTS_SECONDS = 120
NOBODY = "http://127.0.0.1:9/webhooks"


@pytest.fixture(scope="module")
def environment(mongodb_uri: str) -> Iterator[dict[str, str]]:
    database = f"test_{uuid4().hex[:16]}"
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PAYMENT_GATEWAY_", "WEBHOOK_"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield {**ours, "PATH": path, "MONGODB_URI": mongodb_uri, "PAYMENT_GATEWAY_DATABASE": database}
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        client.drop_database(database)


@contextmanager
def make_gateway(data: Path, environment: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """What `make gateway` runs, and what it prints once it serves."""
    command = [sys.executable, "-c", RUN_IN, str(data)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = ""
        try:
            while line := process.stdout.readline():
                printed += line
                if line.startswith("Open "):
                    break
            yield process, printed
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def data_in_use(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("in_use")
    mongod = Mongod(data / "mongodb")
    try:
        mongod.start()
        yield data
    finally:
        mongod.stop()


def refusal(program: str, environment: dict[str, str]) -> str:
    """What one says that does not start."""
    command = [sys.executable, "-m", program]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    return ran.stderr


def pasted(lines: str, environment: dict[str, str]) -> str:
    return subprocess.check_output(["bash", "-ec", lines], cwd=ROOT, env=environment, text=True, timeout=60)


@pytest.fixture(scope="module")
def printed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = {
        "PAYMENT_GATEWAY_PORT": str(free_port()),
        "PAYMENT_GATEWAY_API_KEY": "mine",
        "WEBHOOK_ENDPOINT_URL": NOBODY,
    }
    with make_gateway(tmp_path_factory.mktemp("gateway"), {**environment, **given}) as (_, printed):
        yield printed


def test_the_charge_that_it_prints_can_be_pasted(printed: str, environment: dict[str, str]) -> None:
    [charge] = re.findall(r"^  (curl .*?)\n\n", printed, re.MULTILINE | re.DOTALL)
    assert "201 Created" in pasted(charge, environment)


def test_the_commands_that_it_prints_can_be_pasted(printed: str, environment: dict[str, str]) -> None:
    export, trigger = re.findall(r"^  (export .*|\S+ trigger .*)$", printed, re.MULTILINE)
    assert pasted(f"{export}\n{trigger}", environment).count("ClientConnectorError") == 3


def test_its_settings_come_from_the_environment(printed: str, environment: dict[str, str]) -> None:
    [export] = re.findall(r"^  (export .*)$", printed, re.MULTILINE)
    assert NOBODY in pasted(f"{export}\npayment-gateway endpoints list", environment)


async def test_it_ends_by_ctrl_c_and_the_gateway_with_it(tmp_path: Path, environment: dict[str, str]) -> None:
    port = free_port()

    async def serves() -> bool:
        return is_ready(f"http://127.0.0.1:{port}")

    with make_gateway(tmp_path, {**environment, "PAYMENT_GATEWAY_PORT": str(port)}) as (process, _):
        await until(serves, "it is ready")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
        assert not is_ready(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("program", ["tools.gateway", "tools.run"])
def test_a_second_one_on_the_same_data_says_so_and_how_to_choose_another(
    data_in_use: Path, environment: dict[str, str], program: str
) -> None:
    own = {name: value for name, value in environment.items() if name != "MONGODB_URI"}
    said = refusal(program, {**own, "DATA_DIR": str(data_in_use)})
    assert said.startswith(
        f"cannot run: another mongod uses the data in {data_in_use}/mongodb. Stop the make run or make gateway "
    )
    assert "DATA_DIR=" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("program", ["tools.gateway", "tools.run"])
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, environment: dict[str, str], program: str) -> None:
    (tmp_path / "a-file").touch()
    own = {name: value for name, value in environment.items() if name != "MONGODB_URI"}
    said = refusal(program, {**own, "DATA_DIR": str(tmp_path / "a-file" / "data")})
    assert said.startswith(f"cannot run: {tmp_path}/a-file/data")
    assert "Not a directory. DATA_DIR=" in said


def test_the_example_suite_starts_a_gateway_and_passes(environment: dict[str, str]) -> None:
    page = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    [command] = re.findall(r"^\.venv/bin/python (-m pytest .*)$", page, re.MULTILINE)
    words = [sys.executable, *command.split(), "-p", "no:cacheprovider"]
    ran = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TESTS_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\b3 passed", ran.stdout)
