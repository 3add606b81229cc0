"""The other commands, as processes against a gateway process: what they do, print and end with."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.e2e.command_line.conftest import PROGRAM, CommandLine
from tests.http_double import HttpDouble
from tools.process import free_port

BOLD = b"\x1b[1m"


@pytest.mark.parametrize("event_type", ["payment.succeeded", "payment.failed", "refund.succeeded", "refund.failed"])
async def test_trigger_makes_an_event_and_waits_for_its_delivery(
    command: CommandLine, service: HttpDouble, event_type: str
) -> None:
    await command("endpoints", "add", service.url)
    made = (await command("trigger", event_type, "--json")).json["events"][-1]
    assert made["event"]["type"] == event_type
    assert [one["state"] for one in made["deliveries"]] == ["delivered"]


async def test_trigger_shows_people_how_each_event_was_delivered(command: CommandLine, service: HttpDouble) -> None:
    await command("endpoints", "add", service.url)
    [event, *deliveries] = (await command("trigger", "payment.succeeded", "--scenario", "duplicated")).out.splitlines()
    assert event.startswith("payment.succeeded  1000 USD  evt_")
    assert [line.split()[0] for line in deliveries] == ["delivered"] * 3


async def test_trigger_asks_again_with_the_same_key_until_it_has_an_answer(command: CommandLine) -> None:
    faults = "lost,server_error,malformed_json,wrong_reference,too_many_requests"
    ended = await command("trigger", "payment.succeeded", "--scenario", faults)
    assert ended.status == 0
    assert ended.talk.count("again with the same key") == 5
    assert len((await command("charges", "list", "--json")).json["data"]) == 1


async def test_trigger_takes_a_scenario_as_the_api_does(command: CommandLine, service: HttpDouble) -> None:
    await command("endpoints", "add", service.url)
    scenario = json.dumps({"webhooks": ["duplicated"], "copies": 4})
    made = (await command("trigger", "payment.succeeded", "--scenario", scenario, "--json")).json
    assert len(made["events"][0]["deliveries"]) == 4


async def test_trigger_prints_a_line_of_json_for_each_repetition(command: CommandLine) -> None:
    ended = await command("trigger", "payment.succeeded", "--repeat", "3", "--json")
    assert len({made["charge"]["id"] for made in ended.json_lines}) == 3


async def test_trigger_ends_with_4_if_another_event_came(command: CommandLine) -> None:
    ended = await command("trigger", "payment.succeeded", "--payment-method", "pm_lost_card|pm_card_visa")
    assert ended.status == 1  # no such chain
    scenario = json.dumps({"settleDelaySeconds": 0})
    ended = await command(*("trigger", "payment.succeeded", "--payment-method", "pm_lost_card", "--scenario", scenario))
    assert ended.status == 4
    assert "payment.failed" in ended.out


async def test_trigger_ends_with_4_if_it_has_waited_for_too_long(command: CommandLine) -> None:
    scenario = json.dumps({"settleDelaySeconds": 3600})
    ended = await command("trigger", "payment.succeeded", "--scenario", scenario, "--timeout", "0s")
    assert (ended.status, ended.out) == (4, "")
    assert "still pending" in ended.talk


@pytest.mark.parametrize("what", ["charges", "refunds", "events", "deliveries", "endpoints"])
async def test_what_there_is_is_listed_newest_first(command: CommandLine, service: HttpDouble, what: str) -> None:
    for path in ("one", "two"):
        await command("endpoints", "add", f"{service.url}/{path}")
    await command("trigger", "refund.succeeded", "--repeat", "2")
    listed = (await command(what, "list", "--json")).json
    times = [one.get("createdAt") or one["timestamp"] for one in listed["data"]]
    assert times == sorted(times, reverse=True)
    heads, *rows = (await command(what, "list")).out.splitlines()
    assert heads.isupper()
    assert len(rows) == len(listed["data"]) >= 2


async def test_a_list_goes_on_over_pages_up_to_its_limit(command: CommandLine) -> None:
    await command("trigger", "payment.succeeded", "--repeat", "3")
    listed = (await command("charges", "list", "--limit", "2", "--json")).json
    assert len(listed["data"]) == 2
    assert listed["nextCursor"]


async def test_an_event_that_was_dropped_comes_when_it_is_resent(command: CommandLine, service: HttpDouble) -> None:
    await command("endpoints", "add", service.url)
    made = (await command("trigger", "payment.succeeded", "--scenario", "dropped", "--json")).json["events"]
    assert service.asked == []
    ended = await command("events", "resend", made[0]["event"]["id"])
    assert ended.out == "resent: 1\n"


async def test_an_endpoint_s_secret_can_be_rotated(command: CommandLine, service: HttpDouble) -> None:
    added = (await command("endpoints", "add", service.url, "--json")).json
    rotated = (await command("endpoints", "rotate", added["id"], "--overlap", "1h", "--json")).json
    assert rotated["secret"] != added["secret"]


async def test_what_was_not_delivered_can_be_asked_for_again(
    command: CommandLine, service: HttpDouble, in_turn: Callable[..., Any]
) -> None:
    added = (await command("endpoints", "add", service.url, "--json")).json
    await command("trigger", "payment.succeeded", "--scenario", "dropped")
    assert (await command("endpoints", "resend", added["id"], "--since", "2h")).out == "resent: 1\n"


async def test_a_removed_endpoint_is_gone(command: CommandLine, service: HttpDouble) -> None:
    added = (await command("endpoints", "add", service.url, "--json")).json
    assert (await command("endpoints", "remove", added["id"])).status == 0
    again = await command("endpoints", "remove", added["id"])
    assert (again.status, again.talk) == (1, "refused: 404 not-found: no such webhook endpoint\n")


async def test_faults_are_set_shown_and_cleared(command: CommandLine) -> None:
    await command("faults", "set", "reply_lost=0.25", "webhook_duplicated=1", "seed=42", "replySeconds=0.5")
    shown = (await command("faults", "show", "--json")).json
    assert shown["rates"] == {"reply_lost": 0.25, "webhook_duplicated": 1}
    assert (shown["seed"], shown["replySeconds"]) == (42, 0.5)
    await command("faults", "clear")
    assert (await command("faults", "show")).out == "none\n"


async def test_days_pass_in_a_moment(command: CommandLine) -> None:
    before = (await command("clock", "freeze", "--json")).json
    after = (await command("clock", "advance", "72h", "--json")).json
    passed = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert (after["state"], passed) == ("frozen", timedelta(hours=72))
    assert (await command("clock", "resume")).out.startswith("running at ")


async def test_status_says_how_the_gateway_is(command: CommandLine, service: HttpDouble) -> None:
    await command("endpoints", "add", service.url)
    await command("faults", "set", "declined=0.5")
    found = (await command("status", "--json")).json
    assert found["ready"] is True
    assert found["clock"]["state"] == "running"
    assert found["faults"]["rates"] == {"declined": 0.5}
    assert found["endpoints"] == {"enabled": 1, "disabled": 0}
    assert found["undelivered"] == 0


async def test_reset_forgets_everything(command: CommandLine, service: HttpDouble) -> None:
    await command("endpoints", "add", service.url)
    await command("trigger", "payment.succeeded")
    assert (await command("reset")).status == 0
    for what in ("charges", "events", "endpoints"):
        assert (await command(what, "list", "--json")).json == {"data": [], "nextCursor": None}


async def test_a_gateway_that_is_not_there_is_3() -> None:
    ended = await CommandLine(f"http://127.0.0.1:{free_port()}")("status")
    assert (ended.status, ended.out) == (3, "")
    assert "is not reachable" in ended.talk


async def test_what_the_gateway_refuses_is_1_and_said_in_words(command: CommandLine) -> None:
    ended = await command("status", "--api-key", "another")
    assert (ended.status, ended.out) == (1, "")
    assert ended.talk.startswith("refused: 401 unauthenticated: ")


@pytest.mark.parametrize(
    "line",
    ["nonsense", "clock advance 3x", "trigger payment.lost", "faults set reply_lost", "listen --forward-to ftp://here"],
)
async def test_a_line_that_cannot_be_understood_is_2(command: CommandLine, line: str) -> None:
    ended = await command(*line.split())
    assert (ended.status, ended.out) == (2, "")


async def on_a_terminal(command: CommandLine, *words: str, **environment: str) -> bytes:
    """What is printed where people read it."""
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *words,
            env={**command.environment, "TERM": "xterm-256color", **environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        await asyncio.wait_for(process.wait(), 60)
        return os.read(ours, 65536)
    finally:
        os.close(ours)


async def test_a_terminal_gets_colours_and_a_pipe_none(command: CommandLine) -> None:
    await command("trigger", "payment.succeeded")
    assert BOLD in await on_a_terminal(command, "charges", "list")
    assert "\x1b" not in (await command("charges", "list")).out


async def test_no_color_is_respected(command: CommandLine) -> None:
    await command("trigger", "payment.succeeded")
    printed = await on_a_terminal(command, "charges", "list", NO_COLOR="1")
    assert b"succeeded" in printed
    assert b"\x1b[3" not in printed


async def test_a_reader_that_has_had_enough_is_no_failure(command: CommandLine) -> None:
    await command("trigger", "payment.succeeded", "--repeat", "3")
    ran = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", f"set -o pipefail; '{PROGRAM}' charges list | (exec <&-; exit 0)"],
        env=command.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "unneeded"), [(("--help",), ("aiohttp", "litestar", "pymongo", "msgspec")), (("serve",), ("rich_click",))]
)
def test_what_a_command_does_not_need_is_not_imported(words: tuple[str, ...], unneeded: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "payment_gateway", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "payment_gateway" in imported
    assert not imported & set(unneeded)
