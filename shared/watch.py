"""Tells everybody who watches a service what has changed. It looks about once a second, and never while nobody watches."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from math import inf
from typing import Annotated, Any, NamedTuple

import msgspec
import pymongo
from bson import ObjectId
from msgspec import Meta
from pymongo import DESCENDING, IndexModel
from pymongo.errors import PyMongoError

from shared.kept import Kept
from shared.mongo import Collection, describe
from shared.telemetry import log
from shared.times import utc_now

LOOK_SECONDS = 1.0
WINDOW_SECONDS = 10.0  # how far back a look goes: a write gets its mark when it is made, and is seen once acknowledged
HINTS_MAX = 200  # in one look, of one collection: a page with more hints reads everything again
# Every write marks its document, and the mark begins with the time, so a look uses this index. Only a watched service
# has it.
WRITER_INDEX = IndexModel(["writer"])


class Hint(msgspec.Struct, frozen=True):
    """Something has changed and now has this `version`; null if it has no versions."""

    id: Annotated[str, Meta(examples=["ch_01a209e9aade7799afdccfd98db8e668"])]
    version: Annotated[int | None, Meta(examples=[2])]


class News(NamedTuple):
    """The findings of look `number`. `more` says that other things may have changed too."""

    number: int
    hints: Sequence[Hint]
    more: bool


State = Callable[[], Awaitable[object]]


class Watch:
    """Watches documents that carry `merchant`, `version` and `writer`, as `shared.documents` writes them, and `states` with
    names, which every merchant may know.
    """

    def __init__(self, collections: Sequence[Collection], states: Mapping[str, State] | None = None) -> None:
        self._collections = collections
        self._states = states or {}
        self._look = Kept(self._look_once, seconds=LOOK_SECONDS)
        self._number = 0
        self._looked_at = -inf
        self._seen: dict[str, Any] = {}  # by id: the version, or the state
        self._touched: set[str] = set()
        self._hints: dict[str | None, list[Hint]] = {}  # by merchant; None is everybody
        self._more = False

    def touch(self, name: str) -> None:
        """Tells everybody at the next look that `name`, which is in no collection, has changed."""
        if len(self._touched) < HINTS_MAX:  # nothing takes them out while nobody watches
            self._touched.add(name)

    async def news(self, merchant: str, seen: int | None) -> News:
        """The changes for a merchant after look number `seen`; none if the merchant has seen no look yet."""
        await self._look()
        number = self._number
        if seen is None or seen == number:
            return News(number, (), more=False)
        hints = [*self._hints.get(merchant, ()), *self._hints.get(None, ())]
        return News(number, hints, more=self._more or seen < number - 1)

    async def _look_once(self) -> None:
        now = time.monotonic()
        try:
            with pymongo.timeout(LOOK_SECONDS):
                found = [one for collection in self._collections for one in await _latest(collection)]
                states = {name: await state() for name, state in self._states.items()}
        except PyMongoError as error:
            log.warning("not looked for changes", reason=describe(error))
            self._looked_at = -inf  # so that the next look says there may be more
            return
        fresh = [one for one in found if self._seen.get(one["_id"]) != one["version"]]
        hints: dict[str | None, list[Hint]] = {}
        for one in fresh:
            hints.setdefault(one["merchant"], []).append(Hint(one["_id"], int(one["version"])))
        changed = [name for name, state in states.items() if name in self._seen and self._seen[name] != state]
        hints[None] = [Hint(name, None) for name in (*changed, *self._touched)]
        self._more = now - self._looked_at > WINDOW_SECONDS / 2 or max(len(fresh), len(self._touched)) >= HINTS_MAX
        self._touched = set()
        self._seen = {**{one["_id"]: one["version"] for one in found}, **states}
        self._hints = hints
        self._number += 1
        self._looked_at = now


async def _latest(collection: Collection) -> list[dict[str, Any]]:
    since = ObjectId.from_datetime(utc_now() - timedelta(seconds=WINDOW_SECONDS))
    newest = collection.find({"writer": {"$gt": since}}, {"merchant": 1, "version": 1}, batch_size=HINTS_MAX + 1)
    return await newest.sort("writer", DESCENDING).limit(HINTS_MAX).to_list()
