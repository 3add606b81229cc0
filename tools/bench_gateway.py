"""The payment gateway beside localstripe, and beside itself with 100,000 charges stored: `make bench ARGS=gateway`.

Both comparisons are of what ran in turn in one run, and end it with 1 below their bar.
"""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tools import load
from tools.localstripe import API_KEY, localstripe
from tools.process import free_port
from tools.stack import Service

CONNECTIONS = 16
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))

WINDOWS = 4  # of a round: localstripe saves everything at each payment, so it is slower in each than in the one before
WINDOW_SECONDS = 5
TIMES_LOCALSTRIPE = 20

FEW, MANY = 1_000, 100_000  # charges stored
TURNS = ROUNDS * 3  # short ones: a small difference is looked for, on a machine whose speed changes
TURN_SECONDS = 2
KEPT_WITH_MANY = 0.9

_OUR_API_KEY = "bench"
_CHARGES_LUA = """
function request()
  local name = unique()
  wrk.headers["Idempotency-Key"] = name
  local body = '{"amount":9999,"currency":"USD","reference":"' .. name .. '","paymentMethod":"pm_card_visa"}'
  return wrk.format("POST", "/v1/charges", nil, body)
end
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_API_KEY")
wrk.headers["Content-Type"] = "application/json"
"""

_PAYMENT_INTENTS_LUA = """
local form = "amount=9999&currency=usd&confirm=true&payment_method=" .. os.getenv("BENCH_CARD")
function request()
  return wrk.format("POST", "/v1/payment_intents", nil, form)
end
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_API_KEY")
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
"""
_CONFIRMED = '\n  "status": "succeeded"'  # the payment intent's own; its charge's is further in


def measure_gateway(uri: str, folder: Path) -> None:
    ratios = {
        f"times localstripe's rate from empty; at least {TIMES_LOCALSTRIPE}": compare_localstripe(uri, folder),
        f"of the rate at {FEW:,} charges with {MANY:,} stored; at least {KEPT_WITH_MANY}": compare_filled(uri, folder),
    }
    kept = [ratio >= bar for ratio, bar in zip(ratios.values(), (TIMES_LOCALSTRIPE, KEPT_WITH_MANY), strict=True)]
    for (what, ratio), good in zip(ratios.items(), kept, strict=True):
        print(f"{ratio:.2f} {what}: {'yes' if good else 'NO'}")
    if not all(kept):
        raise SystemExit(1)


def compare_localstripe(uri: str, folder: Path) -> float:
    """Both from empty, in turn: confirmed payment intents there; charges here, which settle at once and so cost as much
    again. Returns how many times its payments ours were, by the medians of the rounds.
    """
    theirs: list[list[float]] = []
    ours: list[list[float]] = []
    lua = load.script(folder, "payment_intents", _PAYMENT_INTENTS_LUA)
    for number in range(ROUNDS):
        gateway = Gateway(uri, folder, f"beside_localstripe_{number}", delay_seconds=0)
        with localstripe(folder) as (url, card), gateway.running():
            theirs.append([])
            ours.append([])
            for _ in range(WINDOWS):
                confirmed = load.wrk(
                    url,
                    lua,
                    connections=CONNECTIONS,
                    seconds=WINDOW_SECONDS,
                    BENCH_API_KEY=API_KEY,
                    BENCH_CARD=card,
                    BENCH_EXPECTED=_CONFIRMED,
                )
                theirs[-1].append(confirmed)
                ours[-1].append(gateway.rate(WINDOW_SECONDS))
                gateway.wait_until_settled()
    print(f"{CONNECTIONS} connections, from empty, medians of {ROUNDS} rounds of windows in turn")
    print(f"{'':>12}{'localstripe':>16}{'payment_gateway':>20}{'ratio':>8}")
    for window, (their, our) in enumerate(zip(zip(*theirs, strict=True), zip(*ours, strict=True), strict=True)):
        first = window * WINDOW_SECONDS
        _row(f"{first} to {first + WINDOW_SECONDS} s", statistics.median(their), statistics.median(our))
    their_mean, our_mean = (statistics.median(statistics.mean(each) for each in rates) for rates in (theirs, ours))
    _row("all", their_mean, our_mean)
    return our_mean / their_mean


def _row(name: str, theirs: float, ours: float) -> None:
    print(f"{name:>12}{theirs:>14.0f}/s{ours:>18.0f}/s{ours / theirs:>8.1f}", flush=True)


def compare_filled(uri: str, folder: Path) -> float:
    """With settlement held back, a gateway with MANY charges stored and, in turn with it, one with FEW that is new each
    time. Returns the median of the pairs' ratios.
    """
    ratios: list[float] = []
    held_back = {"delay_seconds": 86400}
    with Gateway(uri, folder, "filled", **held_back).running() as filled:
        filled.fill(MANY)
        print(f"\n{'charges stored':>16}{'rate':>10}{'stored':>12}{'rate':>10}{'ratio':>8}")
        for number in range(TURNS):
            with Gateway(uri, folder, f"new_{number}", **held_back).running() as new:
                new.fill(FEW)
                few, many = new.stored(), filled.stored()
                both = (new, filled) if number % 2 else (filled, new)
                rates = {gateway: gateway.rate(TURN_SECONDS) for gateway in both}
            ratios.append(rates[filled] / rates[new])
            print(f"{few:>16,}{rates[new]:>8.0f}/s{many:>12,}{rates[filled]:>8.0f}/s{ratios[-1]:>8.2f}", flush=True)
    return statistics.median(ratios)


class Gateway:
    """A gateway on a database of its own, with no webhook endpoint."""

    def __init__(self, uri: str, folder: Path, name: str, *, delay_seconds: int) -> None:
        port = free_port()
        environment = {
            "APP_ENV": "development",
            "MONGODB_URI": uri,
            "LOG_FORMAT": "json",
            "PAYMENT_GATEWAY_PORT": str(port),
            "PAYMENT_GATEWAY_DATABASE": name,
            "PAYMENT_GATEWAY_API_KEYS": _OUR_API_KEY,
            "CHARGE_DELAY_SECONDS": str(delay_seconds),
        }
        self._service = Service("payment_gateway", port, environment, folder / f"{name}.log")
        self._script = load.script(folder, "charges", _CHARGES_LUA)
        self._client = MongoClient[dict[str, Any]](uri)
        self._charges = self._client[name]["charges"]

    @contextmanager
    def running(self) -> Iterator["Gateway"]:
        try:
            self._service.start()
            yield self
        finally:
            self._service.stop()
            self._client.close()

    def rate(self, seconds: int) -> float:
        """Charges taken a second. Raises LoadError."""
        before = self.stored()
        rate = self._post(connections=CONNECTIONS, seconds=seconds)
        assert self.stored() - before >= rate * seconds, "an answer was that of an older charge"
        return rate

    def fill(self, count: int) -> None:
        """Takes charges until there are at least `count`."""
        while self.stored() < count:
            self._post(connections=64, seconds=1)

    def stored(self) -> int:
        return self._charges.count_documents({})

    def wait_until_settled(self) -> None:
        while self._charges.count_documents({"status": "pending"}):
            time.sleep(0.05)

    def _post(self, *, connections: int, seconds: int) -> float:
        return load.wrk(
            self._service.url,
            self._script,
            connections=connections,
            seconds=seconds,
            BENCH_API_KEY=_OUR_API_KEY,
            BENCH_EXPECTED='"status":"pending"',
        )
