"""The OpenAPI documents of both services."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import jsonschema_rs
import pytest
from litestar import Litestar
from msgspec import Meta, Struct

from shared.edge.api_page import api_page
from shared.edge.problems import KINDS, ProblemError
from tools.openapi.__main__ import documents
from tools.openapi.schemas import Schemas

NEVER_ANSWERED_BY_AN_OPERATION = {"method-not-allowed"}


@pytest.fixture(scope="module")
def written() -> Mapping[Path, str]:
    return documents()


@pytest.fixture(params=["order_api", "payment_gateway"])
def path(request: pytest.FixtureRequest, written: Mapping[Path, str]) -> Path:
    [found] = [path for path in written if path.parent.name == request.param]
    return found


@pytest.fixture
def document(written: Mapping[Path, str], path: Path) -> Any:
    return json.loads(written[path])


def test_the_committed_document_is_what_the_code_says(written: Mapping[Path, str], path: Path) -> None:
    assert path.read_text(encoding="utf-8") == written[path], "out of date: run `make openapi`"


async def test_a_service_answers_its_document(document: Any, path: Path) -> None:
    service = Litestar([api_page(path.parent.name)], openapi_config=None)
    transport = httpx.ASGITransport(service)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        answer = await client.get("/schema/openapi.json")
    assert answer.json() == document


def test_every_body_is_shown_by_an_example_that_its_schema_allows(document: Any) -> None:
    for content in _contents(document):
        schema = {**content["schema"], "components": document["components"]}
        examples = list(_examples(document, content))
        assert examples, f"no example of {content['schema']}"
        for example in examples:
            jsonschema_rs.Draft202012Validator(schema).validate(example)


def test_an_example_is_made_of_those_of_the_fields_and_must_decode_as_its_struct() -> None:
    class Inner(Struct):
        name: Annotated[str, Meta(examples=["a"])]
        nothing: int | None

    class Outer(Struct):
        inner: list[Inner]
        count: Annotated[int, Meta(ge=1, examples=[2])] = 1
        left_out: int | None = None
        shown: int = 3

    schemas = Schemas([Outer], {})
    assert schemas.example(Outer) == {"inner": [{"name": "a", "nothing": None}], "count": 2, "shown": 3}
    assert schemas.example(Outer, {"inner": []})["inner"] == []
    with pytest.raises(ProblemError):
        schemas.example(Outer, {"count": 0})


def test_a_field_that_must_be_there_needs_an_example() -> None:
    class Lacking(Struct):
        amount: int

    with pytest.raises(AssertionError, match=r"Lacking\.amount needs an example"):
        Schemas([Lacking], {})


def test_every_header_and_parameter_fits_its_own_schema(document: Any) -> None:
    for node in _nodes(document):
        if "in" in node and "example" in node:
            jsonschema_rs.Draft202012Validator(node["schema"]).validate(node["example"])


def test_every_reference_leads_somewhere(document: Any) -> None:
    for node in _nodes(document):
        if "$ref" in node:
            _resolve(document, node)


def test_every_kind_of_problem_is_documented(written: Mapping[Path, str]) -> None:
    documented = {slug for slug in KINDS if any(f"#/components/examples/{slug}" in text for text in written.values())}
    assert set(KINDS) - documented == NEVER_ANSWERED_BY_AN_OPERATION


def _contents(document: Any) -> Iterator[Any]:
    """What bodies hold, of requests and responses, where it is JSON."""
    for node in _nodes(document):
        yield from (content for kind, content in node.get("content", {}).items() if kind.endswith("json"))


def _examples(document: Any, content: Any) -> Iterator[Any]:
    """Those of its own, or those of its schema."""
    if "example" in content:
        yield content["example"]
    for example in content.get("examples", {}).values():
        yield _resolve(document, example)["value"]
    yield from _resolve(document, content["schema"]).get("examples", ())


def _resolve(document: Any, node: Any) -> Any:
    found = document if "$ref" in node else node
    for step in node.get("$ref", "#").split("/")[1:]:
        found = found[step]
    return found


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _nodes(one)
