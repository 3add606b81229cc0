"""The `$jsonSchema` by which MongoDB checks each document that is written, made from the document's struct. Pure."""

from collections.abc import Collection, Mapping, Sequence

import msgspec
from msgspec import inspect

from shared.mongo import LONGS, Document

_PLAIN: Mapping[type[inspect.Type], Document] = {
    inspect.StrType: {"bsonType": "string"},
    inspect.IntType: {"bsonType": ["int", "long"], "minimum": 0},
    inspect.DateTimeType: {"bsonType": "date"},
}


def validator(kind: type[msgspec.Struct], *, may_lack: Collection[str] = ()) -> Document:
    """Demands every field but those that a document `may_lack` (`array.field` for the elements of an array). Each field has
    its type and follows its `extra_json_schema`; numbers are not negative. Fields that the struct lacks are allowed.
    """
    schema = _schema(inspect.type_info(kind))
    for name in may_lack:
        array, _, field = name.rpartition(".")
        of = schema["properties"][array]["items"] if array else schema
        of["required"].remove(field)
    return schema


def _schema(of: inspect.Type) -> Document:
    """Raises KeyError for a type that nothing stored has yet."""
    match of:
        case inspect.Metadata(type=plain, extra_json_schema=rules):
            schema = {**_schema(plain), **(rules or {})}
        case inspect.UnionType(types=types):
            [some] = [_schema(one) for one in types if not isinstance(one, inspect.NoneType)]
            schema = _or_null(some)
        case inspect.StructType(fields=fields):
            schema = _with_fields(fields)
        case inspect.DictType(value_type=value):
            schema = {"bsonType": "object", "additionalProperties": _schema(value)}
        case inspect.VarTupleType(item_type=item):
            schema = {"bsonType": "array", "items": _schema(item)}
        case inspect.LiteralType(values=values):
            schema = {"enum": [*values]}
        case _:
            schema = _PLAIN[type(of)]
    return schema


def _or_null(schema: Document) -> Document:
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    kind = schema["bsonType"]
    return {**schema, "bsonType": [*kind, "null"] if isinstance(kind, list) else [kind, "null"]}


def _with_fields(fields: Sequence[inspect.Field]) -> Document:
    properties = {field.encode_name: _schema(field.type) for field in fields}
    longs = {name: {**properties[name], "bsonType": "long"} for name in LONGS & properties.keys()}
    return {"bsonType": "object", "required": [*properties], "properties": {**properties, **longs}}
