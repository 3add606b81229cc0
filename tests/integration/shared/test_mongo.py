"""Making collections, which every start of a service does, beside others that are at work."""

import pymongo
import pytest

from shared.mongo import Client, ensure_collection
from tests.integration.conftest import FailCommand

SCHEMA = {"bsonType": "object", "required": ["name"], "properties": {"name": {"bsonType": "string"}}}
INDEXES = [pymongo.IndexModel([("name", pymongo.ASCENDING)], unique=True)]
_EXCEEDED_TIME_LIMIT = 50
_STEPPED_DOWN = {"code": 189, "errmsg": "Primary stepped down while waiting for replication"}


async def test_a_start_that_changes_a_validator_tries_again_when_it_had_to_wait_too_long(
    mongo: Client, database_name: str, fail_command: FailCommand
) -> None:
    database = mongo[database_name]
    await ensure_collection(database, "things")
    await fail_command("tests", ["collMod"], times=1, errorCode=_EXCEEDED_TIME_LIMIT)
    await ensure_collection(database, "things", schema=SCHEMA)
    [things] = await (await database.list_collections()).to_list()
    assert things["options"]["validator"] == {"$jsonSchema": SCHEMA}


@pytest.mark.parametrize("command", ["create", "createIndexes"])
async def test_a_start_goes_on_when_the_primary_steps_down_in_the_middle_of_it(
    mongo: Client, database_name: str, fail_command: FailCommand, command: str
) -> None:
    """Done there, and not known whether on the others. The driver may ask for ten seconds which one is primary now."""
    database = mongo[database_name]
    await fail_command("tests", [command], times=1, writeConcernError=_STEPPED_DOWN)
    await ensure_collection(database, "things", indexes=INDEXES, schema=SCHEMA, patience_seconds=60)
    assert set(await database["things"].index_information()) == {"_id_", "name_1"}
