"""The console: a page at `/` that shows what the service does. Its files are in the service's package and `shared/console`.

It uses the public API only. So it can do exactly what the key allows that a person enters in it.
"""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shared import VERSION
from shared.edge.api_page import API_PAGE
from shared.edge.media_types import prefers_html
from shared.edge.problems import ProblemError, respond
from shared.edge.requests import header_values
from shared.edge.types import Request

_FOLDER = "/console"
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_POLICY = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_OPEN: dict[str, Any] = {"public": True, "always": True, "include_in_schema": False, "sync_to_thread": False}


class Console(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The settings of the page, which it reads before it calls the API. The URLs are None where they are not known."""

    service: str
    version: str = VERSION
    needs_key: bool
    development: bool
    test_endpoints: bool = False
    order_console_url: str | None = None
    gateway_console_url: str | None = None


class _File(NamedTuple):
    path: str
    content: bytes
    media_type: str
    tag: str


def front_page(console: Console | None) -> list[ControllerRouterHandler]:
    """The routes of the console. Without one, `/` redirects to the API page."""
    served = _console_files(console.service) if console else []
    index = next(one for one in served if one.path == f"{_FOLDER}/index.html") if console else None

    @get("/", **_OPEN)
    def page(request: Request) -> Response[Any]:
        """A page for browsers. Other clients get 404."""
        varies = {"Vary": "Accept"}
        if not prefers_html(header_values(request, b"accept")):
            return respond(request, ProblemError("not-found"), varies)
        if index is None:  # temporary: with a console there is a page here
            return Response(b"", status_code=302, media_type="text/html", headers={"Location": API_PAGE, **varies})
        return _respond(request, index)

    return [page, *([_config(console)] if console else []), *(_route(one) for one in served if one is not index)]


def _config(console: Console) -> ControllerRouterHandler:
    content = msgspec.json.encode(console)

    @get(f"{_FOLDER}/config.json", **_OPEN)
    def show_config() -> Response[Any]:
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-cache"})

    return show_config


def _console_files(service: str) -> list[_File]:
    own, kit = files(service) / "console", files("shared") / "console"
    return [*_files(own, _FOLDER), *_files(kit, f"{_FOLDER}/kit")]


def _files(folder: Traversable, path: str) -> Iterator[_File]:
    for one in folder.iterdir():
        media_type = _MEDIA_TYPES.get(one.name.rpartition(".")[2])
        if media_type and one.is_file():
            content = one.read_bytes()
            yield _File(f"{path}/{one.name}", content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _route(file: _File) -> Any:
    @get(file.path, **_OPEN)
    def serve(request: Request) -> Response[Any]:
        return _respond(request, file)

    return serve


def _respond(request: Request, file: _File) -> Response[Any]:
    headers = {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-cache",  # asked about each time, and sent again only if it has changed (RFC 9110 §13.1.2)
        "ETag": file.tag,
        "Vary": "Accept",
    }
    if file.tag in ",".join(header_values(request, b"if-none-match")):
        return Response(b"", status_code=304, media_type=file.media_type, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
