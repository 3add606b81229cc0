"""ops/haproxy.cfg is more patient than the services, and holds what they take."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from payment_gateway.faults.rates import ReplySeconds
from payment_gateway.faults.replies import EARLY_SECONDS
from shared.batches import ANSWER_SECONDS
from shared.edge.limits import HEAD_BYTES_MAX, TARGET_BYTES_MAX, HttpLimits
from shared.edge.stream import COMMENT_SECONDS
from shared.mongo import QUERY_SECONDS

CONFIGURATION = (Path(__file__).parents[2] / "ops" / "haproxy.cfg").read_text(encoding="utf-8")
LIMITS = HttpLimits()


def section(name: str) -> str:
    [found] = re.findall(rf"^{name}\n((?: .*\n|\n)*)", CONFIGURATION, re.MULTILINE)
    return str(found)


def timeout_seconds(name: str, *, of: str = "defaults") -> int:
    [found] = re.findall(rf"^ +timeout {name} (\d+)s\b", section(of), re.MULTILINE)
    return int(found)


def test_an_answer_that_a_service_still_gives_is_waited_for() -> None:
    assert timeout_seconds("server") > ANSWER_SECONDS + QUERY_SECONDS


def test_an_answer_that_the_gateway_delays_on_request_is_waited_for() -> None:
    [longest] = [meta.le for meta in get_args(ReplySeconds) if isinstance(meta, msgspec.Meta) and meta.le is not None]
    assert timeout_seconds("server", of="backend payment_gateway") > float(longest) + EARLY_SECONDS


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_stream_in_which_nothing_happens_stays_open(side: str) -> None:
    assert timeout_seconds(side) > 2 * COMMENT_SECONDS


def test_a_slow_client_has_as_much_time_as_at_the_services() -> None:
    assert timeout_seconds("http-request") > LIMITS.http_head_seconds + LIMITS.http_body_seconds
    assert timeout_seconds("client") > LIMITS.http_write_seconds


def test_the_largest_head_that_the_services_take_fits_into_the_buffer() -> None:
    [buffer] = re.findall(r"^ +tune\.bufsize (\d+)", section("global"), re.MULTILINE)
    assert int(buffer) > HEAD_BYTES_MAX + TARGET_BYTES_MAX
