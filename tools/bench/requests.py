"""Each kind of request that order_api gets, sent as fast as it answers."""

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from shared.signing import sign
from tools.bench.load import LoadError, new_run, script, wrk
from tools.bench.stage import CONNECTIONS, Stage
from tools.bench.turns import Turn, turn
from tools.paid_charge import event_of, paid_charge
from tools.stack import Service

WARM_UP_SECONDS = 2
REFUSED_SECONDS = 5.0  # the replays that are under way at the end of a turn take far less
IDS_READ = 20_000
SPARE = 2  # a turn has webhooks for this many times the orders that a turn places, so that they never run out

ORDERS_LUA = """
function request()
  local key, name = unique()
  wrk.headers["Idempotency-Key"] = key
  local body = '{"orderNumber":"' .. name .. '","amount":99.99,"currency":"USD","metadata":{"basket":"7"}}'
  return wrk.format("POST", "/api/orders", nil, body)
end
wrk.headers["Content-Type"] = "application/json"
"""
_READ_LUA = """
local ids, number = {}, 0
for id in io.lines(os.getenv("BENCH_FILE")) do
  ids[#ids + 1] = id
end
function request()
  number = number % #ids + 1
  return wrk.format("GET", "/api/orders/" .. ids[number])
end
"""
_LIST_LUA = """
function request()
  return wrk.format("GET", "/api/orders?limit=20")
end
"""
_WEBHOOK_LUA = """
local following = io.lines(os.getenv("BENCH_FILE"))
function request()
  local line = following()
  if not line then
    print("no webhooks are left")
    os.exit(1)
  end
  local signature, body = line:match("^(%S+) (.*)$")
  wrk.headers["X-Signature"] = signature
  return wrk.format("POST", "/api/webhooks/payments", nil, body)
end
wrk.headers["Content-Type"] = "application/json"
"""


class Caller:
    """Sends the requests of one turn of `seconds` to one stage. Each raises LoadError."""

    def __init__(self, stage: Stage, seconds: int) -> None:
        self._stage = stage
        self._seconds = seconds
        self._placing = script(stage.folder, "place", ORDERS_LUA)
        self._file = stage.folder / "lines"
        self._run, self._placed = "", 0

    def warm_up(self) -> None:
        wrk(self._stage.service.url, self._placing, connections=CONNECTIONS, seconds=WARM_UP_SECONDS)

    def place(self, connections: int = CONNECTIONS) -> Turn:
        """New orders, each with a random key."""
        self._run = new_run()
        taken = self._turn(self._placing, connections, BENCH_RUN=self._run)
        self._placed = taken.load.requests
        return taken

    def replay(self) -> Turn:
        """The orders of the last `place` once more, under the same keys."""
        before = self._stage.orders.estimated_document_count()
        known = max(self._placed - 2 * CONNECTIONS, CONNECTIONS)  # the last ones may not have been answered
        replayed = self._turn(self._placing, BENCH_RUN=self._run, BENCH_KNOWN=str(known))
        # `place` left so many under way; and MongoDB counts what it inserts until it refuses it.
        deadline = time.monotonic() + REFUSED_SECONDS
        while self._stage.orders.estimated_document_count() - before > CONNECTIONS:
            if time.monotonic() > deadline:
                raise LoadError("a replay has placed an order")
            time.sleep(0.05)
        return replayed

    def read(self) -> Turn:
        """One order each, of all ages."""
        ids = self._stage.orders.aggregate([{"$sample": {"size": IDS_READ}}, {"$project": {"_id": 1}}])
        self._file.write_text("".join(f"{order['_id']}\n" for order in ids))
        return self._turn(script(self._stage.folder, "read", _READ_LUA), BENCH_FILE=str(self._file))

    def list(self) -> Turn:
        """The first page of twenty."""
        return self._turn(script(self._stage.folder, "list", _LIST_LUA))

    def webhook(self) -> Turn:
        """The payments of orders that are Pending, each with an event and a signature of its own."""
        wanted = SPARE * self._placed
        while self._pending() < wanted:
            self.place()
        with self._file.open("w") as lines:
            lines.writelines(islice(self._webhooks(), wanted))
        before = self._pending()
        heard = self._turn(script(self._stage.folder, "webhook", _WEBHOOK_LUA), BENCH_FILE=str(self._file))
        if before - self._pending() < heard.load.requests:
            raise LoadError("a webhook that was answered has paid nothing")
        return heard

    def _webhooks(self) -> Iterator[str]:
        for order in self._stage.orders.find({"status": "Pending"}, {"_id": 1}):
            body = event_of(paid_charge(order["_id"]))
            yield f"{sign(body, [self._stage.webhook_secret], int(time.time()))} {body.decode()}\n"

    def _pending(self) -> int:
        return self._stage.orders.count_documents({"status": "Pending"})

    def _turn(self, lua: Path, connections: int = CONNECTIONS, **environment: str) -> Turn:
        stage = self._stage
        return turn(
            stage.service.url,
            lua,
            connections=connections,
            seconds=self._seconds,
            processes=stage.processes,
            **environment,
        )


def post_bare(service: Service, folder: Path, seconds: int) -> Turn:
    """The ceiling: the same orders, decoded and answered by a server that does nothing else. Raises LoadError."""
    lua = script(folder, "bare", ORDERS_LUA)
    return turn(service.url, lua, connections=CONNECTIONS, seconds=seconds, processes={"bare": service})
