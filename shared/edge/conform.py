"""What HTTP asks of every resource, and Litestar leaves open: HEAD, OPTIONS, and headers that make browsers careful."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

# An answer that sets one of these itself keeps its own.
SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_NO_SUCH_METHOD = "ANY"  # asked for to learn which ones there are
_LEARNED = ("path_template", "route_handler")  # what routing leaves in the scope, for those around us


def conform(app: ASGIApp) -> ASGIApp:
    async def conforming(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                missing = [header for header in SECURITY_HEADERS if header[0] not in own]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        match scope["method"]:
            case "HEAD":
                scope["without_body"] = True  # type: ignore[typeddict-unknown-key]  # for what would have no end
                await _as(app, "GET", scope, receive, _without_body(send_secured))
            case "OPTIONS" if scope["path"] == "*":
                await send_secured({"type": "http.response.start", "status": 204, "headers": []})
                await send_secured({"type": "http.response.body", "body": b"", "more_body": False})
            case "OPTIONS":
                await _as(app, _NO_SUCH_METHOD, scope, receive, _with_allow_only(send_secured))
            case _:
                await app(scope, receive, send_secured)

    return conforming


def allow(methods: str) -> str:
    """The Allow header (RFC 9110 §10.2.1) where the handlers take `methods`: whatever can be got has a HEAD too."""
    found = {method.strip() for method in methods.split(",")} | {"OPTIONS"}
    return ", ".join(sorted(found | {"HEAD"} if "GET" in found else found))


async def _as(app: ASGIApp, method: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Asks for the same with another method. In a copy: the server must know what the client has asked for."""
    inner = {**scope, "method": method}
    await app(inner, receive, send)  # type: ignore[arg-type]
    scope.update({name: inner[name] for name in _LEARNED if name in inner})  # type: ignore[typeddict-item]


def _without_body(send: Send) -> Send:
    """For HEAD (RFC 9110 §9.3.2): the headers of the answer to a GET."""

    async def send_headers(message: Message) -> None:
        if message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_headers


def _with_allow_only(send: Send) -> Send:
    """For OPTIONS (RFC 9110 §9.3.7): 204 with Allow where there is something, and whatever else the answer is."""
    found = False

    async def send_allow(message: Message) -> None:
        nonlocal found
        if message["type"] == "http.response.start" and message["status"] == 405:
            found = True
            message["status"] = 204
            message["headers"] = [header for header in message["headers"] if header[0] == b"allow"]
        elif found and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return send_allow
