"""The OpenAPI document of a service: what its handlers and structs say already, and what only people know.

Paths and parameters come from Litestar, schemas from msgspec, whose structs they are, problems from `KINDS`. A handler adds
- `problems`: the slugs that only it can tell; the others follow from its path and what it takes, see `_slugs`;
- `takes_key=True` if it reads an Idempotency-Key, `public=True` if it asks for no API key, `test=True` if a setting can
  disable it;
- `responses`: what it answers besides its first status and problems.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
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
from shared.edge.health import Live, Ready
from shared.edge.lists import PAGING
from shared.edge.problems import KINDS, PROBLEM_JSON, FieldError, Problem, ProblemError, headers_of, problem_of
from shared.edge.recent import RecentRequest
from shared.edge.requests import fields_of
from shared.watch import Hint
from tools.openapi.schemas import Json, parameter_schema, schemas_of


def prose(text: str) -> str:
    """Without the line breaks inside paragraphs, which Swagger UI would show."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text).strip()


def required_header(name: str, description: str, *, pattern: str, example: str) -> Json:
    """A header that a request must have."""
    about = {"name": name, "in": "header", "required": True, "description": description}
    return {**about, "schema": {"type": "string", "pattern": pattern}, "example": example}


IDEMPOTENCY_KEY = required_header(
    "Idempotency-Key",
    "A fresh random value for each thing to be created, the same value for each retry. Quoted and bare it is the same key.",
    pattern=r'^(?:[!#-+\--:<-\[\]-~]{1,255}|"(?:[!#-\[\]-~]|\\["\\]){1,255}")$',
    example='"8e03978e-40d5-43e8-bc93-6894a57f9324"',
)
SIGNATURE = required_header(
    "X-Signature",
    "`t=<Unix seconds>,v1=<hex>`, with one `v1` for each secret in use: HMAC-SHA-256 of `<t>.<raw body>`, keyed with the "
    "whole secret, `whsec_` included.",
    pattern="^t=[0-9]{1,12}(?:,v1=[0-9a-f]{64}){1,8}$",
    example="t=1795462618,v1=e7df43adcf699b3839cf5fe20429cae4712141aee3660a1671b34f77a1be9444",
)

IDEMPOTENCY = """\
**Idempotency.** A POST that creates needs an `Idempotency-Key`. For 24 hours the same key and body get the same answer,
marked `Idempotent-Replayed: true`, and nothing is done twice; with another body the key is refused (422). A refused request
stores nothing, so its key stays free. After a timeout, 409 or 503 send the same request with the same key again."""
ERRORS = """\
**Errors** are problem documents (RFC 9457), `application/problem+json`. `type` is an address of this service that explains
the problem; `instance` is the request's id, which is in `X-Request-Id` and in the logs too."""
LISTS = (
    "**Lists** are newest first. `nextCursor` of a page, sent as `cursor`, gets the next one; on the last it is null. "
    "A page of large things may end before `limit`."
)

_RECENT = RecentRequest(
    id="req_01a209e9aac873d8b2de2b8bb118537e",
    at="2026-11-23T19:37:18.280Z",
    method="POST",
    path="/",
    status=401,
    duration_ms=3.41,
    key=None,
    replayed=False,
    fault=None,
    request_headers={"content-type": "application/json"},
    request_body="{}",
    response_headers={"content-type": PROBLEM_JSON},
    response_body='{"type":"/problems/unauthenticated"}',
)
_REQUEST_ID = "req_01a209e9aac873d8b2de2b8bb118537e"
_EXAMPLES: Mapping[Any, Any] = {  # of what every service has
    Live: Live("live"),
    Ready: Ready("ready"),
    RecentRequest: _RECENT,
    Hint: Hint("ch_01a209e9aade7799afdccfd98db8e668", 2),
}
_ANSWER_HEADERS: Mapping[str, str] = {
    "X-Request-Id": "The request's id, as in the logs: the one that it came with, or a new one.",
    "Location": "Where the created thing is.",
    "Idempotent-Replayed": "`true` if an earlier request with this key was answered so.",
    "Retry-After": "How many seconds to wait, or the date to wait for.",
    "WWW-Authenticate": "How to authenticate.",
}
_KEY_PROBLEMS = tuple(slug for slug in KINDS if slug.startswith("idempotency-key-"))
_BODY_PROBLEMS = ("malformed-json", "invalid-fields", "unsupported-media-type", "body-too-large")


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """What only people know of a service.

    `examples` are by struct, and `parameters`, examples too, by name. By the name of a handler: `answers` is an example of
    its own, `headers` and `bodies` (their struct) what it reads by hand. `webhooks` is what the service itself sends.
    """

    title: str
    routes: Sequence[ControllerRouterHandler]
    description: str
    tags: Mapping[str, str]
    examples: Mapping[Any, Any]
    parameters: Mapping[str, str]
    answers: Mapping[str, Any] = {}
    headers: Mapping[str, Sequence[Json]] = {}
    bodies: Mapping[str, Any] = {}
    webhooks: Mapping[str, Json] = {}
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
    examples = {**api.examples, **_EXAMPLES}
    schemas, components = schemas_of([Problem, *examples, *bodies, *answers], examples)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": api.title,
            "version": VERSION,
            "description": prose(api.description),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "tags": [{"name": name, "description": description} for name, description in api.tags.items()],
        "security": [{"apiKey": []}],
        "paths": {
            path: {method: _operation(one, handlers[path, method], api, schemas) for method, one in item.items()}
            for path, item in sorted(found.items())
        },
        **({"webhooks": api.webhooks} if api.webhooks else {}),
        "components": {
            "schemas": components,
            "examples": {
                slug: {"summary": kind.title, "value": msgspec.to_builtins(problem_of(_error(slug), _REQUEST_ID))}
                for slug, kind in KINDS.items()
            },
            "headers": {
                name: {"description": description, "schema": {"type": "string"}}
                for name, description in _ANSWER_HEADERS.items()
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
    return field.annotation if field else api.bodies.get(handler.handler_name)


def _operation(found: Json, handler: HTTPRouteHandler, api: Api, schemas: Mapping[Any, Json]) -> Json:
    """What Litestar has `found` out about a handler, completed."""
    head, *tail = handler.handler_name.split("_")
    summary, _, _ = prose(found["description"]).partition(". ")
    parameters = [_parameter(one, api) for one in found.get("parameters", ())]
    if handler.opt.get("takes_key"):
        parameters.append(IDEMPOTENCY_KEY)
    operation = {
        "operationId": head + "".join(word.capitalize() for word in tail),
        "summary": summary.removesuffix(".").replace("`", ""),
        "description": prose(found["description"]),
        "tags": found["tags"],
        "parameters": [*parameters, *api.headers.get(handler.handler_name, ())],
    }
    if body := _body(handler, api):
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[body]}}}
    if handler.opt.get("public"):
        operation["security"] = []
    return {**operation, "responses": _responses(handler, api, schemas)}


def _parameter(found: Json, api: Api) -> Json:
    parameter = {name: found[name] for name in ("name", "in", "required")}
    parameter["schema"] = parameter_schema(found["schema"])
    if "description" in found:
        parameter["description"] = found["description"]
    if example := {"slug": "idempotency-key-reused", **api.parameters}.get(found["name"]):
        parameter["example"] = example
    return parameter


def _responses(handler: HTTPRouteHandler, api: Api, schemas: Mapping[Any, Json]) -> Json:
    responses: dict[int, Json] = {}
    names = ["X-Request-Id", *(("Location", "Idempotent-Replayed") if handler.opt.get("takes_key") else ())]
    media_type = get_enum_string_value(handler.media_type or "application/json")
    for status, (description, kind) in _answers(handler).items():
        responses[status] = {
            "description": description,
            "headers": _headers(names),
            "content": {} if status == HTTPStatus.NO_CONTENT else {media_type: {"schema": schemas[kind]}},
        }
    if example := api.answers.get(handler.handler_name):
        responses[handler.status_code]["content"][media_type]["example"] = example
    for slug in sorted(set(_slugs(handler, api)), key=list(KINDS).index):
        response = responses.setdefault(KINDS[slug].status, {"description": "", "headers": {}, "content": {}})
        response["description"] = "; ".join(filter(None, [response["description"], KINDS[slug].title]))
        response["headers"] |= _headers(["X-Request-Id", *headers_of(_error(slug))])
        content = response["content"].setdefault(PROBLEM_JSON, {"schema": schemas[Problem], "examples": {}})
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
