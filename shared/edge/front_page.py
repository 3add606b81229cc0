"""`GET /`: where a person arrives who opens the service's address in a browser."""

from typing import Any

from litestar import Request, Response, get

from shared.edge.api_page import API_PAGE
from shared.edge.media_types import prefers_html
from shared.edge.problems import ProblemError, respond
from shared.edge.requests import header_values


# It is no part of the API, so OpenAPI does not describe it. Temporary (302): there may be something better to show one day.
@get("/", public=True, always=True, include_in_schema=False, sync_to_thread=False)
def front_page(request: Request[Any, Any, Any]) -> Response[Any]:
    """Leads a browser to the API page. For every other client there is nothing here."""
    varies = {"Vary": "Accept"}
    if prefers_html(header_values(request, b"accept")):
        return Response(b"", status_code=302, media_type="text/html", headers={"Location": API_PAGE, **varies})
    return respond(request, ProblemError("not-found"), varies)
