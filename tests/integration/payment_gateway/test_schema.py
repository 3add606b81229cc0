"""The database of the gateway: what its indexes are, and which databases it does not serve."""

import pytest

from payment_gateway.app import Application
from payment_gateway.schema import refuse_old_layout
from shared.mongo import Document, UnusableDatabaseError
from tests.integration.payment_gateway.conftest import create


async def test_what_this_version_has_written_is_served(application: Application) -> None:
    await refuse_old_layout(application.store.database)
    await create(application)
    await refuse_old_layout(application.store.database)


@pytest.mark.parametrize(
    ("collection", "document"),
    [
        ("charges", {"_id": "ch_0", "merchant": "default", "status": "pending"}),
        ("refunds", {"_id": "re_1"}),
        ("idempotency_keys", {"_id": "default:key"}),
    ],
)
async def test_a_database_of_the_old_layout_is_refused_in_one_line_that_names_the_ways_out(
    application: Application, collection: str, document: Document
) -> None:
    await create(application)
    await application.store.database[collection].insert_one(document)
    with pytest.raises(UnusableDatabaseError) as refused:
        await refuse_old_layout(application.store.database)
    assert str(refused.value).startswith(f"the database {application.store.database.name} is of an earlier version")
    assert "\n" not in str(refused.value)
    assert "drop this one" in str(refused.value)


async def test_c10_only_what_may_be_forgotten_has_a_ttl_index(application: Application) -> None:
    expiring = {
        (name, next(iter(index["key"]))[0])
        for name in await application.store.database.list_collection_names()
        for index in (await application.store.database[name].index_information()).values()
        if "expireAfterSeconds" in index
    }
    assert expiring == {("webhook_endpoints", "gone_at"), ("reply_attempts", "expires_at")}


async def test_there_is_no_collection_of_refunds_or_of_keys(application: Application) -> None:
    names = await application.store.database.list_collection_names()
    assert {"refunds", "idempotency_keys"} & {*names} == set()
