"""The commands, as processes against a gateway process: what they do, print and end with."""

import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from aiohttp import web

from payment_gateway.cli.trigger import EVENT_TYPES
from shared.signing import sign
from shared.times import http_date
from tests.e2e.command_line.conftest import CommandLine, Merchant
from tests.http_double import Asked, HttpDouble, always
from tests.waiting import until
from tools.process import free_port


@pytest.mark.parametrize("event_type", EVENT_TYPES)
async def test_trigger_makes_an_event_and_waits_for_its_delivery(
    command: CommandLine, merchant: Merchant, service: HttpDouble, event_type: str
) -> None:
    merchant.endpoint(service.url)
    made = (await command("trigger", event_type, "--json")).json["events"][-1]
    assert made["event"]["type"] == event_type
    assert [one["state"] for one in made["deliveries"]] == ["delivered"]


async def test_trigger_waits_for_what_is_held_until_another_event_was_sent(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    merchant.endpoint(service.url)
    ended = await command("trigger", "refund.succeeded", "--charge-scenario", "out_of_order", "--json")
    assert [one["state"] for event in ended.json["events"] for one in event["deliveries"]] == ["delivered"] * 2
    assert [json.loads(one.body)["type"] for one in service.asked] == ["refund.succeeded", "payment.succeeded"]


async def test_trigger_asks_again_with_the_same_key_until_it_has_an_answer(
    command: CommandLine, merchant: Merchant
) -> None:
    faults = "lost,server_error,malformed_json,wrong_reference"
    ended = await command("trigger", "payment.succeeded", "--scenario", faults)
    assert ended.status == 0
    assert ended.talk.count("again with the same key") == 4
    assert len(merchant.listed("charges")) == 1


async def test_trigger_gives_up_on_a_gateway_that_never_answers_truly(command: CommandLine) -> None:
    ended = await command("trigger", "payment.succeeded", "--payment-method", "pm_500", "--timeout", "1s")
    assert (ended.status, ended.out) == (1, "")
    assert "refused: 500 internal" in ended.talk


async def test_trigger_does_not_ask_again_before_the_date_that_it_was_told(service: HttpDouble) -> None:
    answer = always(503, Retry_After=http_date(datetime.now(UTC) + timedelta(seconds=25)))

    async def busy(asked: Asked) -> web.StreamResponse:
        return await answer(asked) if asked.method == "POST" else web.json_response({"data": [], "nextCursor": None})

    service.answer = busy
    ended = await CommandLine(service.url)("trigger", "payment.succeeded", "--timeout", "3s")
    assert (ended.status, len(service.posts())) == (1, 1)


async def test_trigger_shows_what_a_scenario_made_of_the_deliveries(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    merchant.endpoint(service.url)
    scenario = json.dumps({"webhooks": ["duplicated"], "copies": 4})
    [event, *deliveries] = (await command("trigger", "payment.succeeded", "--scenario", scenario)).out.splitlines()
    assert event.startswith("payment.succeeded  1000 USD  evt_")
    assert [line.split()[0] for line in deliveries] == ["delivered"] * 4


async def test_trigger_prints_a_line_of_json_for_each_repetition(command: CommandLine) -> None:
    ended = await command("trigger", "payment.succeeded", "--repeat", "3", "--json")
    assert len({json.loads(line)["charge"]["id"] for line in ended.out.splitlines()}) == 3


async def test_trigger_ends_with_4_if_another_event_came(command: CommandLine) -> None:
    ended = await command("trigger", "payment.succeeded", "--payment-method", "pm_lost_card")
    assert ended.status == 4
    assert ended.out.startswith("payment.failed")


async def test_trigger_ends_with_4_if_it_has_waited_for_too_long(command: CommandLine) -> None:
    scenario = json.dumps({"settleDelaySeconds": 3600})
    ended = await command("trigger", "payment.succeeded", "--scenario", scenario, "--timeout", "0s")
    assert (ended.status, ended.out) == (4, "")
    assert "still pending" in ended.talk


async def test_trigger_gives_the_charge_what_it_is_told(command: CommandLine) -> None:
    metadata = ("--metadata", "plan=gold", "--metadata", "note=a=b")
    ended = await command("trigger", "payment.succeeded", "--amount", "2500", "--currency", "EUR", *metadata, "--json")
    charge = ended.json["charge"]
    assert (charge["amount"], charge["currency"]) == (2500, "EUR")
    assert charge["metadata"] == {"plan": "gold", "note": "a=b"}


async def test_trigger_refunds_a_charge_that_is_there_in_part_and_then_the_rest(
    command: CommandLine, merchant: Merchant
) -> None:
    charge = await merchant.charge(amount=1000)
    about = ("trigger", "refund.succeeded", "--charge", charge["id"], "--json")
    part = (await command(*about, "--refund-amount", "300")).json
    rest = (await command(*about)).json
    assert [one["refund"]["amount"] for one in (part, rest)] == [300, 700]
    assert [event["event"]["type"] for one in (part, rest) for event in one["events"]] == ["refund.succeeded"] * 2
    refused = await command(*about)
    assert (refused.status, "0 of the charge is left to refund" in refused.talk) == (1, True)


async def test_trigger_closes_the_dispute_that_is_open(command: CommandLine, merchant: Merchant) -> None:
    charge = await merchant.charge(amount=1000)
    about = ("--charge", charge["id"], "--json")
    opened = (await command("trigger", "dispute.created", "--dispute-amount", "400", *about)).json["dispute"]
    closed = (await command("trigger", "dispute.closed", "--outcome", "won", *about)).json["dispute"]
    assert (opened["amount"], opened["status"]) == (400, "open")
    assert (closed["id"], closed["status"]) == (opened["id"], "won")


async def test_lists_show_the_newest_first(command: CommandLine, merchant: Merchant, service: HttpDouble) -> None:
    merchant.endpoint(service.url)
    charges = [await merchant.charge() for _ in range(3)]
    newest_first = [charge["id"] for charge in reversed(charges)]
    heads, *rows = (await command("charges", "list")).out.splitlines()
    assert heads.split() == ["AT", "CHARGE", "STATUS", "AMOUNT", "REFERENCE", "FAILURE"]
    assert [row.split()[1] for row in rows] == newest_first


@pytest.mark.parametrize("what", ["refunds", "disputes", "events", "deliveries", "endpoints"])
async def test_what_the_gateway_lists_is_printed_as_it_is(
    command: CommandLine, merchant: Merchant, service: HttpDouble, what: str
) -> None:
    merchant.endpoint(service.url)
    charge = await merchant.charge()
    merchant.call("POST", f"/v1/charges/{charge['id']}/refunds", {"amount": 1, "reference": "some-of-it"})
    merchant.call("POST", f"/v1/test/charges/{charge['id']}/dispute", {})
    await merchant.delivered(3)
    listed = (await command(what, "list", "--json")).json["data"]
    assert listed == merchant.listed({"endpoints": "webhook-endpoints"}.get(what, what)) != []


async def test_a_list_stops_at_its_limit(command: CommandLine, merchant: Merchant) -> None:
    for _ in range(3):
        await merchant.charge()
    listed = (await command("charges", "list", "--limit", "2", "--json")).json
    assert len(listed["data"]) == 2
    assert listed["nextCursor"]


async def test_a_list_that_goes_on_says_so_and_how(command: CommandLine, merchant: Merchant) -> None:
    charges = [await merchant.charge() for _ in range(3)]
    oldest = charges[0]["id"]
    first = await command("charges", "list", "--limit", "2")
    [cursor] = re.findall(r"^… more: --cursor (\S+), or --all$", first.talk, re.MULTILINE)
    rest = await command("charges", "list", "--cursor", cursor, "--json")
    assert ([one["id"] for one in rest.json["data"]], rest.talk) == ([oldest], "")


async def test_a_list_of_all_comes_page_by_page(service: HttpDouble) -> None:
    async def page(asked: Asked) -> web.StreamResponse:
        number = int(asked.query.get("cursor", "0"))
        one = {
            "createdAt": "then",
            "id": "ch_" + "x" * number,
            "status": "failed",
            "failureCode": None,
            "reference": "r",
        }
        following = str(number + 1) if number < 2 else None
        return web.json_response({"data": [one | {"amount": 1, "currency": "USD"}], "nextCursor": following})

    service.answer = page
    command = CommandLine(service.url)
    printed = await command("charges", "list", "--all")
    heads, *rows = printed.out.splitlines()
    assert heads.startswith("AT")
    assert ([row.split()[1] for row in rows], printed.talk) == (["ch_", "ch_x", "ch_xx"], "")
    lines = (await command("charges", "list", "--all", "--json")).out.splitlines()
    assert [json.loads(line)["nextCursor"] for line in lines] == ["1", "2", None]
    assert (await command("charges", "list", "--all", "--limit", "2")).status == 2


async def test_a_list_may_be_of_what_was_made_between_two_times(command: CommandLine, merchant: Merchant) -> None:
    """C24: how long ago is counted by the gateway's clock."""
    old = await merchant.charge()
    merchant.call("POST", "/v1/test/clock", {"action": "advance", "seconds": 7200})
    new = await merchant.charge()

    async def listed(*options: str) -> list[str]:
        return [one["id"] for one in (await command("charges", "list", *options, "--json")).json["data"]]

    assert await listed("--created-from", "1h") == [new["id"]]
    assert await listed("--created-to", "1h") == [old["id"]]
    assert await listed("--created-from", old["createdAt"], "--created-to", new["createdAt"]) == [old["id"]]


async def test_an_event_that_was_dropped_comes_when_it_is_resent(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    merchant.endpoint(service.url)
    await merchant.charge(scenario={"webhooks": ["dropped"]})
    [event] = merchant.listed("events")
    assert (await command("events", "resend", event["id"])).out == "resent: 1\n"

    async def has_come() -> bool:
        return [asked.headers["webhook-id"] for asked in service.asked] == [event["id"]]

    await until(has_come, "the event has come")


async def test_what_was_not_delivered_can_be_asked_for_by_its_age(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    endpoint = merchant.endpoint(service.url)
    await merchant.charge(scenario={"webhooks": ["dropped"]})
    assert (await command("endpoints", "resend", endpoint["id"], "--since", "2h")).out == "resent: 1\n"


async def test_an_endpoint_can_be_added_for_some_events(command: CommandLine, merchant: Merchant) -> None:
    added = await command("endpoints", "add", "http://127.0.0.1:9/hooks", "--events", "payment.failed,refund.failed")
    [endpoint] = merchant.listed("webhook-endpoints")
    assert endpoint["eventTypes"] == ["payment.failed", "refund.failed"]
    assert added.out.startswith(f"{endpoint['id']}  whsec_")


@pytest.mark.parametrize("written", ["localhost:9/hooks", ":9/hooks"])
async def test_an_endpoint_can_be_added_without_a_scheme(
    command: CommandLine, merchant: Merchant, written: str
) -> None:
    await command("endpoints", "add", written)
    assert [one["url"] for one in merchant.listed("webhook-endpoints")] == ["http://localhost:9/hooks"]


async def test_an_endpoint_can_be_added_with_all_that_it_may_have(command: CommandLine, merchant: Merchant) -> None:
    bounds = ("--max-in-flight", "2", "--expires", "1h")
    await command("endpoints", "add", "http://127.0.0.1:9/", "--header", "X-Key: s3cret", *bounds)
    [endpoint] = merchant.listed("webhook-endpoints")
    assert (endpoint["maxInFlight"], endpoint["headerNames"]) == (2, ["X-Key"])
    assert endpoint["expiresAt"]


async def test_an_endpoint_s_secret_can_be_rotated(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    added = merchant.endpoint(service.url)
    rotated = (await command("endpoints", "rotate", added["id"], "--overlap", "1h", "--json")).json
    assert rotated["id"] == added["id"]
    assert rotated["secret"] != added["secret"]


async def test_an_endpoint_can_be_removed(command: CommandLine, merchant: Merchant, service: HttpDouble) -> None:
    added = merchant.endpoint(service.url)
    assert (await command("endpoints", "remove", added["id"])).status == 0
    assert merchant.listed("webhook-endpoints") == []


async def test_a_delivery_is_shown_with_what_was_sent_and_what_came_back(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    service.answer = always(200, "taken", X_Shop="a")
    merchant.endpoint(f"{service.url}/hooks")
    await merchant.charge()
    [delivery] = await merchant.delivered(1)
    first, *lines = (await command("deliveries", "show", delivery["id"])).out.splitlines()
    assert first.split()[:3] == ["delivered", "payment.succeeded", delivery["eventId"]]
    assert f"  > POST {service.url}/hooks" in lines
    assert f"  > webhook-id: {delivery['eventId']}" in lines
    assert {"  < x-shop: a", "  < taken"} <= {*lines}


async def test_the_body_of_a_delivery_is_printed_byte_for_byte(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    merchant.endpoint(service.url)
    await merchant.charge(reference="ord-ä")
    [delivery] = await merchant.delivered(1)
    assert (await command("deliveries", "request", delivery["id"])).out.encode() == service.asked[0].body


async def test_any_body_is_sent_with_any_secret_for_any_time(command: CommandLine, service: HttpDouble) -> None:
    signed = ("--secret", "mine", "--timestamp", "1", "--id", "msg_1")
    sent = (await command("send", service.url, "not JSON", *signed, "--json")).json
    [asked] = service.asked
    assert (sent["status"], asked.body, asked.headers["X-Signature"]) == (
        200,
        b"not JSON",
        sign(b"not JSON", ["mine"], 1),
    )


async def test_faults_are_set_and_shown(command: CommandLine) -> None:
    beside = ("seed=42", "replySeconds=0.5", "retryAfterAsDate=true")
    await command("faults", "set", "reply_lost=0.25", "webhook_duplicated=1", *beside)
    shown = (await command("faults", "show", "--json")).json
    assert shown["rates"] == {"reply_lost": 0.25, "webhook_duplicated": 1}
    assert (shown["seed"], shown["replySeconds"], shown["retryAfterAsDate"]) == (42, 0.5, True)


async def test_faults_are_cleared(command: CommandLine, merchant: Merchant) -> None:
    merchant.call("PUT", "/v1/test/faults", {"rates": {"declined": 1}})
    assert (await command("faults", "clear")).out == "none\n"
    assert merchant.call("GET", "/v1/test/faults")["rates"] == {}


async def test_days_pass_in_a_moment(command: CommandLine, merchant: Merchant) -> None:
    before = (await command("clock", "freeze", "--json")).json
    after = (await command("clock", "advance", "2d24h", "--json")).json
    passed = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert (after["state"], passed) == ("frozen", timedelta(hours=72))


async def test_the_clock_runs_on_when_told(command: CommandLine, merchant: Merchant) -> None:
    merchant.call("POST", "/v1/test/clock", {"action": "freeze"})
    assert (await command("clock", "forget-keys")).out.startswith("frozen at ")
    assert (await command("clock", "resume")).out.startswith("running at ")
    assert (await command("clock", "show")).out.startswith("running at ")


async def test_status_says_how_the_gateway_is(command: CommandLine, merchant: Merchant, service: HttpDouble) -> None:
    merchant.endpoint(service.url)
    merchant.call("PUT", "/v1/test/faults", {"rates": {"declined": 0.5}})
    found = (await command("status", "--json")).json
    assert found["ready"] is True
    assert found["clock"]["state"] == "running"
    assert found["faults"]["rates"] == {"declined": 0.5}
    assert found["endpoints"] == {"enabled": 1, "disabled": 0}
    assert (found["undelivered"], found["moreUndelivered"]) == (0, False)


async def test_reset_forgets_everything(command: CommandLine, merchant: Merchant, service: HttpDouble) -> None:
    merchant.endpoint(service.url)
    await merchant.charge()
    assert (await command("reset")).status == 0
    assert [merchant.listed(what) for what in ("charges", "events", "webhook-endpoints")] == [[], [], []]


async def test_a_gateway_that_is_not_there_is_3() -> None:
    ended = await CommandLine(f"http://127.0.0.1:{free_port()}")("status")
    assert (ended.status, ended.out) == (3, "")
    assert "is not reachable" in ended.talk


async def test_something_else_at_the_gateway_s_address_is_not_taken_for_one(service: HttpDouble) -> None:
    assert (await CommandLine(service.url)("charges", "list")).status == 3


async def test_what_the_gateway_refuses_is_1_and_said_in_words(command: CommandLine) -> None:
    ended = await command("events", "resend", "evt_of_nobody")
    assert (ended.status, ended.out, ended.talk) == (1, "", "refused: 404 not-found: no such event\n")


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ("events resend evt_of_nobody", 1, "404 not-found"),
        ("status --url http://127.0.0.1:1", 3, "is not reachable"),
        ('trigger payment.succeeded --scenario {"settleDelaySeconds":3600} --timeout 0s', 4, "still pending"),
    ],
)
async def test_with_json_a_failure_is_json_too(command: CommandLine, words: str, status: int, error: str) -> None:
    ended = await command(*words.split(), "--json")
    assert (ended.status, ended.out) == (status, "")
    assert error in json.loads(ended.talk)["error"]


async def test_an_event_is_resent_to_every_endpoint_only_if_none_is_named(
    command: CommandLine, merchant: Merchant, service: HttpDouble
) -> None:
    merchant.endpoint(service.url)
    await merchant.charge(scenario={"webhooks": ["dropped"]})
    [event] = merchant.listed("events")
    assert (await command("events", "resend", event["id"], "--endpoint", "")).status == 2
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        merchant.call("POST", f"/v1/events/{event['id']}/resend", {"endpointId": ""})


async def test_more_undelivered_than_are_counted_is_said(service: HttpDouble) -> None:
    async def page(asked: Asked) -> web.StreamResponse:
        if asked.path == "/v1/deliveries":
            return web.json_response({"data": [{}] * int(asked.query["limit"]), "nextCursor": "more"})
        one = {"now": "then", "state": "running", "seed": 0, "rates": {}}
        return web.json_response({**one, "data": [], "nextCursor": None})

    service.answer = page
    assert "undelivered  1000 or more" in (await CommandLine(service.url)("status")).out
    assert (await CommandLine(service.url)("status", "--json")).json["moreUndelivered"] is True


async def test_more_events_than_one_request_resends_are_said_to_follow(service: HttpDouble) -> None:
    async def answer(asked: Asked) -> web.StreamResponse:
        if asked.path == "/v1/test/clock":
            return web.json_response({"type": "/problems/test-endpoints-disabled"}, status=403)
        return web.json_response({"resent": 990, "complete": False}, status=202)

    service.answer = answer
    resent = await CommandLine(service.url)("endpoints", "resend", "we_1", "--since", "2h")
    assert resent.out == "resent: 990, and the rest follows by itself\n"


async def test_a_wrong_key_is_answered_with_where_to_give_it(command: CommandLine) -> None:
    ended = await command("status", "--api-key", "another")
    assert ended.status == 1
    assert "PAYMENT_GATEWAY_API_KEY" in ended.talk


@pytest.mark.parametrize("line", ["nonsense", "clock advance 3x", "faults set reply_lost", "status --url ftp://here"])
async def test_a_line_that_cannot_be_understood_is_2(command: CommandLine, line: str) -> None:
    ended = await command(*line.split())
    assert (ended.status, ended.out) == (2, "")
