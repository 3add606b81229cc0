"""JSON Schemas of structs and of parameters, in the dialect of OpenAPI 3.1."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import msgspec

from shared.edge.values import Amount
from shared.money import AMOUNT_MINOR_MAX
from shared.pages import Page

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


def schemas_of(types: Sequence[Any], examples: Mapping[Any, Any]) -> tuple[Mapping[Any, Json], dict[str, Json]]:
    """The schema of each type, and the components that they refer to. `examples` are by struct; a page shows its kind's."""
    template = "#/components/schemas/{name}"
    found, components = msgspec.json.schema_components(types, schema_hook=_own_schema, ref_template=template)
    for kind, schema in zip(types, found, strict=True):
        if get_origin(kind) is Page:
            example = Page([examples[get_args(kind)[0]]], None)
        elif kind in examples:
            example = examples[kind]
        else:
            continue
        components[schema["$ref"].rpartition("/")[2]]["examples"] = [msgspec.to_builtins(example)]
    named = {_plain(name): {**_tidy(schema), "title": _plain(name)} for name, schema in components.items()}
    assert len(named) == len(components), "two structs would have one name"
    return {kind: _tidy(schema) for kind, schema in zip(types, found, strict=True)}, dict(sorted(named.items()))


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
    """`Page_OrderView_` is an OrderPage, and OrderView an Order: who calls the API knows nothing of views."""
    if generic := _GENERIC.match(name):
        return f"{_plain(generic[1])}Page"
    return name.removesuffix("View")


def _tidy(schema: Any) -> Any:
    """References by plain names; patterns as in ECMA-262 (JSON Schema 2020-12, §6.4); enums with their type; decimals as
    numbers, as which all of ours are sent (what is received is an Amount).
    """
    if isinstance(schema, list):
        return [_tidy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {name: value if name in {"default", "examples"} else _tidy(value) for name, value in schema.items()}
    match tidy:
        case {"$ref": str(reference)}:
            folder, _, name = reference.rpartition("/")
            tidy["$ref"] = f"{folder}/{_plain(name)}"
        case {"pattern": str(pattern)}:
            tidy["pattern"] = pattern.replace(r"\A", "^").replace(r"\Z", "$")
        case {"type": "string", "format": "decimal"}:
            tidy["type"] = "number"
        case {"enum": [str(), *_]}:
            tidy = {"type": "string", **tidy}
    return tidy
