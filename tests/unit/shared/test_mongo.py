"""How we speak to MongoDB whatever the URI says, and which kind of trouble an error of it counts as."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from shared.mongo import connect, count_error
from tests.scraping import value

CONFLICT = OperationFailure("conflict", 112, {"errorLabels": ["TransientTransactionError"]})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AutoReconnect("closed"), "unreachable"),
        (ServerSelectionTimeoutError("no primary"), "unreachable"),
        (NotPrimaryError("stepped down"), "unreachable"),
        (NetworkTimeout("no answer"), "timeout"),
        (ExecutionTimeout("maxTimeMS", 50), "timeout"),
        (CONFLICT, "conflict"),
        (DuplicateKeyError("E11000", 11000), "refused"),
        (OperationFailure("not authorized", 13), "refused"),
        (PyMongoError("whatever"), "other"),
    ],
)
def test_an_error_of_the_database_counts_by_its_kind(error: PyMongoError, kind: str) -> None:
    before = value("database_errors_total", kind=kind)
    count_error(error)
    assert value("database_errors_total", kind=kind) == before + 1


def test_an_error_of_somebody_else_does_not_count() -> None:
    before = value("database_errors_total", kind="other")
    count_error(ValueError("not the database's"))
    assert value("database_errors_total", kind="other") == before


async def test_c9_no_uri_weakens_what_is_read_or_written() -> None:
    weak = "mongodb://127.0.0.1/?readPreference=secondaryPreferred&w=0&journal=false&readConcernLevel=local"
    async with connect(weak, app_name="test") as client:
        collection = client["database"]["things"]
        assert collection.read_preference.mongos_mode == "primary"
        assert collection.read_concern.level == "majority"
        assert collection.write_concern.document == {"w": "majority", "j": True}
