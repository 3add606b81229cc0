"""C7, C8: callers that go away, are too many or still wait at the end."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from shared.batches import Limits, OverloadedError, UnavailableError
from shared.documents import Documents
from shared.mongo import Collection, connect
from tests.integration.conftest import FailCommand
from tests.integration.shared.documents.conftest import Part, Thing, add_part, at_work, thing


async def test_c8_a_caller_that_goes_away_harms_nobody(things: Collection) -> None:
    async with at_work(things) as documents:
        callers = [asyncio.create_task(documents.insert(thing(f"{number}"))) for number in range(64)]
        await asyncio.sleep(0)
        callers[13].cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [one for one in outcomes if one is not None] == [outcomes[13]]
    assert isinstance(outcomes[13], asyncio.CancelledError)


async def test_c8_a_caller_that_goes_away_in_mid_write_never_touches_its_neighbours(
    things: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, answered, insert = asyncio.Event(), asyncio.Event(), things.insert_many

    async def answer_late(*of: Any, **how: Any) -> Any:
        result = await insert(*of, **how)
        written.set()
        await answered.wait()
        return result

    monkeypatch.setattr(things, "insert_many", answer_late)
    async with at_work(things, limits=Limits(batches_in_flight=1)) as documents:
        callers = [asyncio.create_task(documents.insert(thing(f"{number}"))) for number in range(8)]
        await written.wait()
        assert not any(caller.done() for caller in callers)
        callers[3].cancel()
        answered.set()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(outcomes.pop(3), asyncio.CancelledError)
    assert outcomes == [None] * 7


async def test_c8_the_writer_outlives_whatever_a_batch_throws(things: Collection) -> None:
    async def explain(_wanted: Sequence[Thing]) -> Sequence[None]:
        raise ZeroDivisionError

    await things.insert_one({"_id": "other", "name": "contended"})
    documents = Documents[Thing, None](things, Thing, explain=explain)
    running = asyncio.gather(*(writer.run() for writer in documents.writers))
    for _ in range(3):  # more than there are batches in flight
        with pytest.raises(ZeroDivisionError):
            await documents.insert(thing("contended"))
    await documents.insert(thing("free"))
    assert await things.count_documents({"name": "free"}) == 1
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_beyond_its_bounds_in_callers_or_bytes_nothing_is_taken(things: Collection) -> None:
    async with at_work(things, limits=Limits(queue_max=2)) as documents:
        outcomes = await asyncio.gather(*(documents.insert(thing(f"{n}")) for n in range(4)), return_exceptions=True)
    assert [type(one) for one in outcomes] == [type(None), type(None), OverloadedError, OverloadedError]
    async with at_work(things, limits=Limits(queue_bytes_max=400)) as documents:
        outcomes = await asyncio.gather(*(documents.insert(thing(f"b{n}")) for n in range(4)), return_exceptions=True)
    assert OverloadedError in [type(one) for one in outcomes]
    assert type(None) in [type(one) for one in outcomes]


async def test_c7_whoever_is_in_hand_when_it_stops_is_told_that_the_outcome_is_unknown(
    mongodb_uri: str, things: Collection, fail_command: FailCommand
) -> None:
    client = connect(mongodb_uri, app_name="slow")
    await fail_command("slow", ["insert"], times=1, blockConnection=True, blockTimeMS=1500)
    async with at_work(client[things.database.name]["things"], limits=Limits(batches_in_flight=1)) as documents:
        callers = [asyncio.create_task(documents.insert(thing(f"{number}"))) for number in range(2)]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    await client.close()
    assert [type(one) for one in outcomes] == [UnavailableError, UnavailableError]


async def test_one_document_is_in_one_write_of_a_process_at_a_time(things: Collection) -> None:
    """The second change of a document waits for the first, and is then decided on what that has made of it."""
    async with at_work(things, limits=Limits(batches_in_flight=3)) as documents:
        await documents.insert(thing("one", total=1000))
        turns = [documents.change("id_one", add_part(Part(f"{number}", 1))) for number in range(30)]
        tasks = []
        for turn in turns:
            tasks.append(asyncio.create_task(turn))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
    [stored] = await things.find().to_list()
    assert len(stored["parts"]) == 30
    assert [part["id"] for part in stored["parts"]] == [f"{number}" for number in range(30)]
