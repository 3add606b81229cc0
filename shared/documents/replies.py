"""Tells what is certain after a write failed. C6: a refusal harms no neighbour. C7: an unknown outcome stays unknown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import bson
from bson.errors import BSONError
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from shared.batches import Batches, Caller
from shared.metrics import write_counts
from shared.mongo import REFUSED_FOR_GOOD, Collection, count_error, describe, is_refused_for_good
from shared.telemetry import log

ENCODING_ERRORS = (BSONError, OverflowError, UnicodeError)  # a value that BSON cannot hold

_DUPLICATE = 11000
_INVALID = frozenset({121, 10334, 17419})  # the validator; the document, or what it would become, is too large
_DEFINITE = _INVALID | {_DUPLICATE} | REFUSED_FOR_GOOD


class TakenError(Exception):
    """The change would write a value that must be unique, and another document has it."""


class InvalidError(Exception):
    """The database can never store this; the message says why, without the document."""


class Refusal(NamedTuple):
    code: int
    reason: str

    @property
    def duplicate(self) -> bool:
        return self.code == _DUPLICATE


def refusals(error: Exception, documents: Sequence[Any]) -> dict[int, Refusal] | None:
    """The refused ones among the `documents` that one command writes, by position; None if the outcome is unknown. A reply
    with a write concern error settles nothing about any of them. C7: unknown is never called known.
    """
    if not isinstance(error, PyMongoError):  # one of them did not encode, so nothing was sent
        to_blame = {number: why for number, one in enumerate(documents) if (why := _not_encodable(one)) is not None}
        return to_blame or dict.fromkeys(range(len(documents)), Refusal(0, describe(error)))
    if isinstance(error, BulkWriteError):
        errors = {one["index"]: Refusal(one["code"], one["errmsg"]) for one in error.details["writeErrors"]}
        definite = all(one.code in _DEFINITE for one in errors.values())
        return errors if definite and not error.details["writeConcernErrors"] else None
    if isinstance(error, OperationFailure) and error.code in _INVALID:
        return dict.fromkeys(range(len(documents)), Refusal(error.code, str(error)))
    return None


def _not_encodable(document: Any) -> Refusal | None:
    try:
        bson.encode(document)
    except ENCODING_ERRORS as error:
        return Refusal(0, describe(error))
    return None


class Replies:
    """Answers the callers of one collection after an error, and counts."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.counts = write_counts(collection.name)

    def refuse(self, caller: Caller[Any, Any], error: Exception) -> None:
        self.counts["refused"].inc()
        log.error("refused by the database", collection=self.collection.name, reason=describe(error))
        caller.fail(error)

    def undecided(self, callers: Sequence[Caller[Any, Any]], error: PyMongoError, batches: Batches[Any, Any]) -> None:
        """A write that may have been made is tried again (C7). One that the server refuses for good is an error of ours."""
        count_error(error)
        waiting = [caller for caller in callers if not caller.future.done()]
        if is_refused_for_good(error):
            for caller in waiting:
                self.refuse(caller, error)
            return
        self.counts["unknown"].inc(len(waiting))
        log.warning("not confirmed", collection=self.collection.name, callers=len(waiting), reason=describe(error))
        batches.again(waiting)
