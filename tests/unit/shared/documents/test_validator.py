"""The validator of a collection says what its struct says."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from shared.documents.validator import validator


class Part(msgspec.Struct):
    amount: int
    at: datetime | None = None


class Thing(msgspec.Struct):
    id: Annotated[str, Meta(extra_json_schema={"pattern": "^th_"})] = msgspec.field(name="_id")
    state: Literal["open", "done"]
    outcome: Literal["good", "bad"] | None
    tries: int
    labels: dict[str, str]
    parts: Annotated[tuple[Part, ...], Meta(extra_json_schema={"minItems": 1})]
    trace: str | None
    version: int


PART = {
    "bsonType": "object",
    "required": ["amount", "at"],
    "properties": {"amount": {"bsonType": "long", "minimum": 0}, "at": {"bsonType": ["date", "null"]}},
}
EXPECTED: dict[str, Any] = {
    "_id": {"bsonType": "string", "pattern": "^th_"},
    "state": {"enum": ["done", "open"]},
    "outcome": {"enum": ["bad", "good", None]},
    "tries": {"bsonType": ["int", "long"], "minimum": 0},
    "labels": {"bsonType": "object", "additionalProperties": {"bsonType": "string"}},
    "parts": {"bsonType": "array", "items": PART, "minItems": 1},
    "trace": {"bsonType": ["string", "null"]},
    "version": {"bsonType": "long", "minimum": 0},
}


def test_a_validator_has_every_field_of_the_struct_with_its_type_and_its_rules() -> None:
    assert validator(Thing)["properties"] == EXPECTED


def test_a_document_must_have_every_field_but_those_it_may_lack() -> None:
    assert validator(Thing)["required"] == [*EXPECTED]
    assert validator(Thing, may_lack={"trace"})["required"] == [name for name in EXPECTED if name != "trace"]


def test_a_type_that_nothing_stored_has_is_a_mistake_of_ours() -> None:
    class Odd(msgspec.Struct):
        odd: bytes

    with pytest.raises(KeyError):
        validator(Odd)
