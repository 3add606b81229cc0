"""`/schema`: the OpenAPI document, and Swagger UI to read and try it with, from this host alone."""

from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.response import File

# Only its files are used. Its code is for Flask, and is not imported.
_SWAGGER_UI = distribution("flask-swagger-ui")
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "favicon-32x32.png": "image/png"}
API_PAGE = "/schema"
_FOLDER = f"{API_PAGE}/swagger-ui-{_SWAGGER_UI.version}"  # a new version has a new path, so browsers may keep the files

# Everything comes from this host, and nothing is inline. `data:` is for the pictures in Swagger UI's style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CHUNK_BYTES = 64 * 1024  # so much of a file is in memory for a client that reads slowly
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="{folder}/favicon-32x32.png">
<link rel="stylesheet" href="{folder}/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="{folder}/swagger-ui-bundle.js"></script>
<script src="/schema/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/schema/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
});
"""


def api_page(service: str) -> Router:
    """The routes under `/schema`. The document is the file `openapi.json` in the service's package."""
    document = msgspec.json.format((files(service) / "openapi.json").read_bytes(), indent=-1)

    @get("/", sync_to_thread=False)
    def page() -> Response[Any]:
        body = _PAGE.format(title=service, folder=_FOLDER)
        return _response(body, "text/html", {"Content-Security-Policy": _POLICY})

    @get("/openapi.json", sync_to_thread=False)
    def openapi() -> Response[Any]:
        return _response(document, "application/json")

    @get("/start.js", sync_to_thread=False)
    def start() -> Response[Any]:
        return _response(_START, "text/javascript")

    return Router(
        API_PAGE,
        route_handlers=[page, openapi, start, *(_file(name) for name in _FILES)],
        opt={"public": True, "always": True},
        include_in_schema=False,
    )


def _response(body: Any, media_type: str, headers: dict[str, str] | None = None) -> Response[Any]:
    return Response(body, media_type=media_type, headers={"Cache-Control": "no-cache", **(headers or {})})


def _file(name: str) -> Any:
    path = Path(str(_SWAGGER_UI.locate_file(f"flask_swagger_ui/dist/{name}")))
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}

    @get(f"{_FOLDER.removeprefix(API_PAGE)}/{name}", sync_to_thread=False)
    def serve() -> File:
        return File(
            path,
            media_type=_FILES[name],
            filename=name,
            headers=headers,
            content_disposition_type="inline",
            chunk_size=CHUNK_BYTES,
        )

    return serve
