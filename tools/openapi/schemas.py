"""JSON Schemas of structs and of parameters, in the dialect of OpenAPI 3.1, and the examples of structs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.edge.problems import Problem
from shared.edge.requests import decode_json
from shared.edge.values import Amount
from shared.money import AMOUNT_MINOR_MAX

Json = dict[str, Any]

_AMOUNT: Json = {
    "description": "In major units, with no more decimal places than the currency has; no exponent.",
    "type": ["number", "string"],
    "format": "decimal",
    "exclusiveMinimum": 0,
    "maximum": AMOUNT_MINOR_MAX,
    "pattern": r"^[0-9]+(\.[0-9]+)?$",
    "maxLength": 64,
}
_GENERIC = re.compile(r"Page_(\w+)_\Z")
_PREFIX = "#/components/schemas/"


class Schemas:
    """The schemas of `types`, their components, and an example of each, put together from the examples of its fields.

    A field without an example shows its default if that says something. Otherwise it is left out or null, if it may be.
    `own` are members that the fields of a struct cannot show one by one.
    """

    def __init__(self, types: Sequence[Any], own: Mapping[Any, Json]) -> None:
        found, components = msgspec.json.schema_components(
            types, schema_hook=_own_schema, ref_template=_PREFIX + "{name}"
        )
        self._structs = {_plain(name): schema for name, schema in components.items()}
        assert len(self._structs) == len(components), "two structs would have one name"
        self.of = {kind: _tidy(schema) for kind, schema in zip(types, found, strict=True)}
        self._own = {_name(self.of[kind]): members for kind, members in own.items()}
        self.components = {name: {**_tidy(self._structs[name]), "title": name} for name in sorted(self._structs)}
        for kind, schema in self.of.items():
            if "$ref" in schema and kind is not Problem:  # each kind of problem has an example of its own
                self.components[_name(schema)]["examples"] = [self.example(kind)]

    def example(self, kind: Any, members: Mapping[str, Any] = {}) -> Json:
        """The example of a struct, with these `members` instead. A struct among their values stands for its own example.

        Raises ProblemError if the result does not decode as the struct.
        """
        schema = self.of.get(kind, {"$ref": getattr(kind, "__name__", "")})
        found = {**self._struct(_name(schema)), **{name: self._filled(value) for name, value in members.items()}}
        decode_json(msgspec.json.encode(found), kind)
        return found

    def _filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        return self.example(value) if isinstance(value, type) else value

    def _struct(self, name: str) -> Json:
        schema, own = self._structs[name], self._own.get(name, {})
        shown: Json = {}
        for member, field in schema["properties"].items():
            if member in own:
                shown[member] = self._filled(own[member])
            elif member in schema["required"] or _given(field):
                shown[member] = self._example(field, f"{name}.{member}")
            elif (default := field.get("default")) not in (None, {}, []):
                shown[member] = default
        return shown

    def _example(self, schema: Json, where: str) -> Any:
        if given := _given(schema):
            return given[0]
        match schema:
            case {"$ref": _}:
                return self._struct(_name(schema))
            case {"anyOf": [*choices]}:
                return None if {"type": "null"} in choices else self._example(choices[0], where)
            case {"enum": [only]} | {"enum": [*_, None as only]}:
                return only
            case {"type": "array", "items": items}:
                return [self._example(items, where)]
            case {"type": "object"}:
                return {}
        raise AssertionError(f"{where} needs an example")


def _given(schema: Json) -> list[Any]:
    """The examples of a field, or of what it is if it is not null."""
    return [example for one in (schema, *schema.get("anyOf", ())) for example in one.get("examples", ())]


def _name(reference: Json) -> str:
    return _plain(reference["$ref"].removeprefix(_PREFIX))


def parameter_schema(found: Json) -> Json:
    """What Litestar has found, without null, which no parameter can be, and with whole numbers as such."""
    schema = {name: value for name, value in found.items() if name != "description"}
    for choice in schema.pop("oneOf", ()):
        if choice != {"type": "null"}:
            schema |= choice
    if "const" in schema:  # one literal beside others
        schema["enum"] = [*schema["enum"], schema.pop("const")]
    return {name: int(value) if isinstance(value, float) else value for name, value in schema.items()}


def _own_schema(kind: Any) -> Json:
    if kind is Amount:
        return _AMOUNT
    raise NotImplementedError(f"no schema for {kind}")


def _plain(name: str) -> str:
    """`Page_OrderView_` is an OrderPage, and OrderView an Order: clients of the API know nothing of views."""
    if generic := _GENERIC.match(name):
        return f"{_plain(generic[1])}Page"
    return name.removesuffix("View")


def _tidy(schema: Any) -> Any:
    """References by plain names; patterns as in ECMA-262 (JSON Schema 2020-12, §6.4); enums with their type; decimals as
    numbers, as which all of ours are sent (what is received is an Amount). The examples of fields are in those of structs.
    """
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if not (name == "examples" and isinstance(value, list))}
    tidy = {name: value if name == "default" else _tidy(value) for name, value in kept.items()}
    match tidy:
        case {"$ref": str()}:
            tidy["$ref"] = _PREFIX + _name(tidy)
        case {"pattern": str(pattern)}:
            tidy["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
        case {"type": "string", "format": "decimal"}:
            tidy["type"] = "number"
        case {"enum": [str(), *_]}:
            tidy = {"type": "string", **tidy}
    return tidy
