"""The OpenAPI document of a service: what its handlers and structs say already, and what only people know.

Paths and parameters come from Litestar, schemas from msgspec, whose structs they are, problems from `KINDS`. A handler adds
- `problems`: the slugs that only it can tell; the others follow from its path and what it takes, see `_slugs`;
- `takes_key=True` if it reads an Idempotency-Key, `public=True` if it asks for no API key, `test=True` if a setting can
  disable it;
- `responses`: what it answers besides its first status and problems.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Response
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.params import QueryParameter
from litestar.types import ControllerRouterHandler
from litestar.utils import get_enum_string_value

from shared import VERSION
from shared.edge.application import ROUTES_OF_EVERY_SERVICE
from shared.edge.lists import PAGING
from shared.edge.problems import KINDS, PROBLEM_JSON, FieldError, Problem, ProblemError, headers_of, problem_of
from shared.edge.requests import fields_of
from tools.openapi.schemas import Json, Schemas, parameter_schema


def prose(text: str) -> str:
    """Without the line breaks inside paragraphs, which Swagger UI would show."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text).strip()


def required_header(name: str) -> Json:
    """A header that a request must have."""
    words = WORDS["headers"][name]
    about = {"name": name, "in": "header", "required": True, "description": prose(words["description"])}
    return {**about, "schema": {"type": "string", "pattern": words["pattern"]}, "example": words["example"]}


WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
IDEMPOTENCY_KEY, SIGNATURE = (required_header(name) for name in ("Idempotency-Key", "X-Signature"))
_REQUEST_ID = "req_01a209e9aac873d8b2de2b8bb118537e"
_KEY_PROBLEMS = tuple(slug for slug in KINDS if slug.startswith("idempotency-key-"))
_BODY_PROBLEMS = ("malformed-json", "invalid-fields", "unsupported-media-type", "body-too-large")


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """What neither the code of a service nor `words.toml` says.

    `examples` are members of structs that the fields cannot show one by one. By the name of a handler, `answers` are members
    of its answer that differ from the example of the struct, and `signed` is the struct of a signed body that it reads by
    hand. `webhooks` describes the requests that the service sends itself.
    """

    title: str
    routes: Sequence[ControllerRouterHandler]
    examples: Mapping[Any, Json]
    answers: Mapping[str, Mapping[str, Any]] = {}
    signed: Mapping[str, Any] = {}
    webhooks: Callable[[Schemas], Json] = lambda _: {}
    rate_limited: bool = False


def document_of(api: Api, parts: Mapping[str, object]) -> Json:
    """The document. `parts` names what the handlers of its routes depend on."""
    litestar = Litestar(
        route_handlers=[*api.routes, *ROUTES_OF_EVERY_SERVICE],
        dependencies={**PAGING, **{name: Provide(lambda: None, sync_to_thread=False) for name in parts}},
        openapi_config=OpenAPIConfig(title=api.title, version=VERSION, use_handler_docstrings=True),
        logging_config=None,
    )
    found = litestar.openapi_schema.to_schema()["paths"]
    handlers = {
        (route.path_format, method.lower()): handler
        for route in litestar.routes
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
    }
    used = [handlers[path, method] for path, item in found.items() for method in item]
    bodies = [kind for handler in used if (kind := _body(handler, api))]
    answers = [kind for handler in used for _, kind in _answers(handler).values()]
    schemas = Schemas(list(dict.fromkeys([Problem, *api.examples, *bodies, *answers])), api.examples)
    words = WORDS[api.title]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": VERSION,
            "description": prose(words["description"].format_map(WORDS)),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name, "description": description} for name, description in words["tags"].items()],
        "security": [{"apiKey": []}],
        "paths": {
            path: {method: _operation(one, handlers[path, method], api, schemas) for method, one in item.items()}
            for path, item in sorted(found.items())
        },
        **({"webhooks": webhooks} if (webhooks := api.webhooks(schemas)) else {}),
        "components": {
            "schemas": schemas.components,
            "examples": {
                slug: {"summary": kind.title, "value": msgspec.to_builtins(problem_of(_error(slug), _REQUEST_ID))}
                for slug, kind in KINDS.items()
            },
            "headers": {
                name: {"description": description, "schema": {"type": "string"}}
                for name, description in WORDS["answer-headers"].items()
            },
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "description": "A merchant's API key."}},
        },
    }


def _answers(handler: HTTPRouteHandler) -> dict[int, tuple[str, Any]]:
    """What it answers with success, and with what else it declares: description and struct, by status."""
    returned = handler.parsed_fn_signature.return_type
    kind = returned.inner_types[0].annotation if returned.is_subclass_of(Response) else returned.annotation
    first = (handler.response_description or HTTPStatus(handler.status_code).phrase, kind)
    others = {status: (one.description, one.data_container) for status, one in (handler.responses or {}).items()}
    return {handler.status_code: first, **others}


def _body(handler: HTTPRouteHandler, api: Api) -> Any:
    field = handler.parsed_data_field
    return field.annotation if field else api.signed.get(handler.handler_name)


def _operation(found: Json, handler: HTTPRouteHandler, api: Api, schemas: Schemas) -> Json:
    """What Litestar has `found` out about a handler, completed."""
    head, *tail = handler.handler_name.split("_")
    summary, _, _ = prose(found["description"]).partition(". ")
    parameters = [_parameter(one, schemas) for one in found.get("parameters", ())]
    if handler.opt.get("takes_key"):
        parameters.append(IDEMPOTENCY_KEY)
    if handler.handler_name in api.signed:
        parameters.append(SIGNATURE)
    operation = {
        "operationId": head + "".join(word.capitalize() for word in tail),
        "summary": summary.removesuffix(".").replace("`", ""),
        "description": prose(found["description"]),
        "tags": found["tags"],
        "parameters": parameters,
    }
    if body := _body(handler, api):
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas.of[body]}}}
    if handler.opt.get("public"):
        operation["security"] = []
    return {**operation, "responses": _responses(handler, api, schemas)}


def _parameter(found: Json, schemas: Schemas) -> Json:
    parameter = {name: found[name] for name in ("name", "in", "required")}
    parameter["schema"] = parameter_schema(found["schema"])
    if "description" in found:
        parameter["description"] = found["description"]
    if example := WORDS["parameters"].get(found["name"]) or _id_like(found["name"], schemas):
        parameter["example"] = example
    return parameter


def _id_like(name: str, schemas: Schemas) -> Any:
    """`order_id` is the id of an Order, as its example has it."""
    thing, _, end = name.partition("_")
    [example, *_] = schemas.components.get(thing.capitalize(), {}).get("examples", [{}]) if end == "id" else [{}]
    return example.get("id")


def _responses(handler: HTTPRouteHandler, api: Api, schemas: Schemas) -> Json:
    responses: dict[int, Json] = {}
    names = ["X-Request-Id", *(("Location", "Idempotent-Replayed") if handler.opt.get("takes_key") else ())]
    media_type = get_enum_string_value(handler.media_type or "application/json")
    for status, (description, kind) in _answers(handler).items():
        responses[status] = {
            "description": description,
            "headers": _headers(names),
            "content": {} if status == HTTPStatus.NO_CONTENT else {media_type: {"schema": schemas.of[kind]}},
        }
    if differing := api.answers.get(handler.handler_name):
        example = schemas.example(_answers(handler)[handler.status_code][1], differing)
        responses[handler.status_code]["content"][media_type]["example"] = example
    for slug in sorted(set(_slugs(handler, api)), key=list(KINDS).index):
        response = responses.setdefault(KINDS[slug].status, {"description": "", "headers": {}, "content": {}})
        response["description"] = "; ".join(filter(None, [response["description"], KINDS[slug].title]))
        response["headers"] |= _headers(["X-Request-Id", *headers_of(_error(slug))])
        content = response["content"].setdefault(PROBLEM_JSON, {"schema": schemas.of[Problem], "examples": {}})
        content["examples"][slug] = {"$ref": f"#/components/examples/{slug}"}
    return {str(status): responses[status] for status in sorted(responses)}


def _slugs(handler: HTTPRouteHandler, api: Api) -> Iterator[str]:
    """The problems that it can end in."""
    fields = [field for _, field in fields_of(handler)]
    yield from handler.opt.get("problems", ())
    if any("{" in path for path in handler.paths):
        yield "not-found"
    if not handler.opt.get("public"):
        yield "unauthenticated"
        if api.rate_limited:
            yield "rate-limited"
    if handler.opt.get("test"):
        yield "test-endpoints-disabled"
    if handler.opt.get("takes_key"):
        yield from _KEY_PROBLEMS
    if handler.parsed_data_field:
        yield from _BODY_PROBLEMS
    if any(isinstance(field.kwarg_definition, QueryParameter) for field in fields):
        yield "invalid-fields"
    if not handler.opt.get("always"):
        yield "overloaded"
        if any(field.is_di_field for field in fields):  # one that takes its part from the state says so in `problems`
            yield "unavailable"
    yield "internal"


def _headers(names: Sequence[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error(slug: str) -> ProblemError:
    errors = [FieldError("/amount", "USD has 2 decimal places")] if slug == "invalid-fields" else None
    return ProblemError(slug, errors=errors)
