"""Addresses and methods. What is not there is 404, what is there by another method 405 with Allow; nothing is guessed."""

import pytest

from tests.e2e.hostile.raw import Answer, exchange
from tests.e2e.hostile.target import Case, Target

NOT_FOUND = (404, "not-found")
NOT_ALLOWED = (405, "method-not-allowed")
INVALID = (422, "invalid-fields")

# What is sent is the request's target; <list> is where things are created and listed.
PATHS = [
    Case("the root", "/", *NOT_FOUND),
    Case("nowhere", "/nowhere", *NOT_FOUND),
    Case("another case", "/API/ORDERS", *NOT_FOUND),
    Case("an id that nothing has", "<list>/x", *NOT_FOUND),
    Case("an operator for an id", "<list>/%7B%22$ne%22:null%7D", *NOT_FOUND),
    Case("NUL for an id", "<list>/%00", *NOT_FOUND),
    Case("NUL within an id", "<list>/ord_%00x", *NOT_FOUND),
    Case("a line break within an id", "<list>/x%0d%0aX-Injected:%201", *NOT_FOUND),
    Case("an id that is not UTF-8", "<list>/%ff%fe", *NOT_FOUND),
    Case("an overlong slash for an id", "<list>/%c0%af", *NOT_FOUND),
    Case("a surrogate for an id", "<list>/%ed%a0%80", *NOT_FOUND),
    Case("a percent sign without digits", "<list>/%", *NOT_FOUND),
    Case("a percent sign without hexadecimal digits", "<list>/%zz", *NOT_FOUND),
    Case("an id encoded twice", "<list>/%252e%252e", *NOT_FOUND),
    Case("an id of 4,000 characters", "<list>/" + "x" * 4_000, *NOT_FOUND),
    Case("4,000 segments", "/x" * 4_000, *NOT_FOUND),
    Case("dots that climb", "<list>/../../etc/passwd", *NOT_FOUND),
    Case("dots that climb, encoded", "<list>/%2e%2e/%2e%2e/etc/passwd", *NOT_FOUND),
    Case("slashes encoded too", "<list>/..%2f..%2fetc%2fpasswd", *NOT_FOUND),
    Case("backslashes", "<list>/..\\..\\windows\\win.ini", *NOT_FOUND),
    Case("dots that lead to what is there", "/schema/../health/live", *NOT_FOUND),  # a path is not a file's
    Case("dots that climb from the problems", "/problems/..%2f..%2fREADME.md", *NOT_FOUND),
    Case("path parameters", "<list>;jsessionid=1", *NOT_FOUND),
    Case("a file's extension", "<list>.json", *NOT_FOUND),
    Case("another service's address", "http://169.254.169.254/latest/meta-data/", *NOT_FOUND),
    # The address of the list, in spellings that mean it.
    Case("a slash at the end", "<list>/", 200),
    Case("two slashes", "/<list>", 200),
    Case("letters encoded", "/%61pi/orders|/v%31/charges", 200),
    Case("a question mark", "<list>?", 200),
    Case("a fragment, which is nobody's business but the client's", "<list>#/../x", 200),
    Case("the absolute form, RFC 9112 §3.2.2", "http://test<list>", 200),
    Case("the absolute form of another host, which counts", "http://elsewhere<list>", 200),
    # What is no target at all, RFC 9112 §3.2
    Case("bytes that are not ASCII", "<list>/é", 400),
    Case("a path that does not start with a slash", "x<list>", 400),
    Case("a space", "<list> x", 400),
    Case("a tab", "<list>\tx", 400),
    Case("NUL itself", "<list>\0", 400),
]

QUERIES = [
    Case("a parameter that nobody knows", "unknown=1", 200),
    Case("a parameter in another case", "LIMIT=0", 200),
    Case("an array, as PHP writes it", "status[]=x&limit[]=0", 200),
    Case("an operator, as Express reads it", "status[$ne]=x", 200),
    Case("only separators", "&&&", 200),
    Case("names without values", "a&b&c=", 200),
    Case("a cursor that is empty, which counts as none", "cursor=", 200),
    Case("a state that is empty", "status=", 200),
    Case("the least limit", "limit=1", 200),
    Case("the greatest", "limit=100", 200),
    Case("a limit of 0", "limit=0", *INVALID),
    Case("a limit of 101", "limit=101", *INVALID),
    Case("a negative limit", "limit=-1", *INVALID),
    Case("a limit with a plus", "limit=%2B5", *INVALID),
    Case("a limit with a space", "limit=+5", *INVALID),
    Case("an empty limit", "limit=", *INVALID),
    Case("a limit in words", "limit=all", *INVALID),
    Case("half a limit", "limit=1.5", *INVALID),
    Case("a hexadecimal limit", "limit=0x10", *INVALID),
    Case("a limit with an underscore", "limit=1_0", *INVALID),
    Case("a limit in full-width digits", "limit=%EF%BC%91%EF%BC%90", *INVALID),
    Case("a limit in Arabic digits", "limit=%D9%A1%D9%A0", *INVALID),
    Case("a limit of NaN", "limit=NaN", *INVALID),
    Case("a limit of true", "limit=true", *INVALID),
    Case("a limit with NUL", "limit=5%00", *INVALID),
    Case("a limit that is not UTF-8", "limit=%ff", *INVALID),
    Case("a limit of 5,000 digits", "limit=" + "9" * 5_000, *INVALID),
    Case("an array for a limit", "limit=[5]", *INVALID),
    Case("a limit and more behind a semicolon", "limit=5;status=x", *INVALID),
    Case("two limits", "limit=1&limit=100", *INVALID),
    Case("two limits, one encoded", "limit=1&%6cimit=100", *INVALID),
    Case("two cursors", "cursor=&cursor=", *INVALID),
    Case("33 parameters", "&".join(f"p{n}=" for n in range(33)), *INVALID),
    Case("2,000 parameters", "a=1&" * 2_000, *INVALID),
    Case("a state that nothing is in", "status=gone", *INVALID),
    Case("a state in another case", "status=PENDING", *INVALID),
    Case("an operator for a state", "status=%7B%22$ne%22:null%7D", *INVALID),
    Case("a cursor of one character", "cursor=a", *INVALID),
    Case("a cursor that is not Base64", "cursor=%21%21%21%21", *INVALID),
    Case("a cursor in the other Base64", "cursor=%2B%2F%2B%2F", *INVALID),
    Case("a cursor of NUL", "cursor=%00", *INVALID),
    Case("a cursor that is not UTF-8", "cursor=%ff", *INVALID),
    Case("a cursor that stands for no UTF-8", "cursor=__79", *INVALID),
    Case("a cursor of 513 characters", "cursor=" + "A" * 513, *INVALID),
]

# order_api's path | the gateway's; a path alone is there on both
METHODS = [
    ("PUT", "/api/orders|/v1/charges", "GET, HEAD, OPTIONS, POST"),
    ("PATCH", "/api/orders/x|/v1/charges/x", "GET, HEAD, OPTIONS"),
    ("DELETE", "/api/orders/x|/v1/charges/x", "GET, HEAD, OPTIONS"),
    ("POST", "/api/orders/x|/v1/charges/x", "GET, HEAD, OPTIONS"),
    ("TRACE", "/api/orders|/v1/charges", "GET, HEAD, OPTIONS, POST"),
    ("PROPFIND", "/api/orders|/v1/charges", "GET, HEAD, OPTIONS, POST"),
    ("GET", "/api/webhooks/payments|/v1/charges/x/refunds", "OPTIONS, POST"),
    ("HEAD", "/api/webhooks/payments|/v1/charges/x/refunds", "OPTIONS, POST"),
    ("GET", "/api/orders/x/cancel|/v1/charges/x/refunds", "OPTIONS, POST"),
    ("PUT", "/api/orders/x/refunds|/v1/charges/x/refunds", "OPTIONS, POST"),
    ("DELETE", "/api/orders/x/refunds/y|/v1/refunds/x", "GET, HEAD, OPTIONS"),
    ("GET", "/api/orders/x/reviews/y/resolve|/v1/charges/x/refunds", "OPTIONS, POST"),
    ("POST", "/api/outbox|/v1/refunds", "GET, HEAD, OPTIONS"),
    ("GET", "/api/outbox/x/redrive|/v1/charges/x/refunds", "OPTIONS, POST"),
    ("POST", "/health/live", "GET, HEAD, OPTIONS"),
    ("DELETE", "/health/ready", "GET, HEAD, OPTIONS"),
]


@pytest.mark.parametrize("case", PATHS, ids=lambda case: case.name)
async def test_an_address_is_there_or_it_is_not(target: Target, case: Case) -> None:
    await target.expect(case, target.get(_own(target, case.sent)))


@pytest.mark.parametrize("case", QUERIES, ids=lambda case: case.name)
async def test_a_query_is_understood_or_refused(target: Target, case: Case) -> None:
    await target.expect(case, target.get(f"{target.collection}?{case.sent}"))


@pytest.mark.parametrize(("name", "value"), [("orderNumber", "%00"), ("orderNumber", "%ff"), ("review", "$where")])
async def test_a_filter_that_nothing_matches_finds_nothing(order_api: Target, name: str, value: str) -> None:
    await exchange(order_api.port, order_api.post())
    answer = await exchange(order_api.port, order_api.get(f"/api/orders?{name}={value}"))
    assert (answer.status, answer.json["data"]) == (200, [])


@pytest.mark.parametrize(("method", "paths", "allow"), METHODS, ids=[f"{one[0]} {one[1]}" for one in METHODS])
async def test_another_method_is_refused_and_told_which_are_not(
    target: Target, method: str, paths: str, allow: str
) -> None:
    answer = await exchange(target.port, target.request(method, _own(target, paths)))
    assert answer.status == 405
    assert method == "HEAD" or answer.problem == "method-not-allowed"
    assert sorted(answer.headers["allow"].split(", ")) == allow.split(", ")
    await target.assert_serving()


@pytest.mark.parametrize("method", ["FOO", "CONNECT", "get", "GeT", "GET\t", "PRI", "M-SEARCH*", "GETGETGETGET" * 100])
async def test_what_is_no_method_that_http_has_is_refused(target: Target, method: str) -> None:
    await target.expect(Case(method, None, 400), target.request(method, target.collection))


@pytest.mark.parametrize("path", ["<list>", "<list>?limit=1", "<list>?limit=0", "<list>/x", "/nowhere", "/health/live"])
async def test_head_gets_what_get_would_but_no_body(target: Target, path: str) -> None:
    headers = {"X-Request-Id": [b"the-same"]}
    got = await exchange(target.port, target.get(_own(target, path), headers))
    head = await exchange(
        target.port, target.request("HEAD", _own(target, path), {**headers, "Connection": [b"close"]})
    )
    assert head.body == b""
    assert (head.status, _lasting(head)) == (got.status, _lasting(got))
    assert int(head.headers["content-length"]) == len(got.body)


def _lasting(answer: Answer) -> dict[str, str]:
    passing = {"connection", "date"}
    return {name: value for name, value in answer.headers.items() if name not in passing}


@pytest.mark.parametrize("key", [[], [b"Bearer wrong"]], ids=["without a key", "with a wrong key"])
async def test_options_tells_anybody_the_methods(target: Target, key: list[bytes]) -> None:
    answer = await exchange(target.port, target.request("OPTIONS", target.collection, {"Authorization": key}))
    assert (answer.status, answer.body) == (204, b"")
    assert sorted(answer.headers["allow"].split(", ")) == ["GET", "HEAD", "OPTIONS", "POST"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("key", [[], [b"Bearer wrong"]], ids=["without a key", "with a wrong key"])
async def test_the_root_leads_a_browser_to_the_api_page_on_whatever_host_and_port_it_asked(
    target: Target, method: str, key: list[bytes]
) -> None:
    accept = [b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]
    headers = {"Accept": accept, "Authorization": key, "Connection": [b"close"]}
    answer = await exchange(target.port, target.request(method, "/", headers))
    assert (answer.status, answer.headers["location"], answer.body) == (302, "/schema", b"")
    assert answer.headers["vary"] == "Accept"


async def test_a_cache_learns_why_another_client_finds_nothing_at_the_root(target: Target) -> None:
    answer = await exchange(target.port, target.get("/", {"Accept": [b"application/json"]}))
    assert (answer.status, answer.problem, answer.headers["vary"]) == (404, "not-found", "Accept")


async def test_options_of_the_server_as_a_whole(target: Target) -> None:
    """RFC 9110 §9.3.7"""
    await target.expect(Case("*", None, 204), target.request("OPTIONS", "*"))


async def test_options_of_nothing(target: Target) -> None:
    await target.expect(Case("nowhere", None, *NOT_FOUND), target.request("OPTIONS", "/nowhere"))


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 27\r\n\r\n" + b'{"filter": {"$ne": "all"}}\n',
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ],
    ids=["of a known length", "in chunks"],
)
async def test_a_body_on_a_get_means_nothing(target: Target, framing: bytes) -> None:
    head = target.get(f"{target.collection}?limit=1").removesuffix(b"\r\n")
    await target.expect(Case("body", None, 200), head + framing)


async def test_a_method_in_a_header_or_in_the_query_counts_for_nothing(target: Target) -> None:
    headers = {"X-HTTP-Method-Override": [b"DELETE"], "X-HTTP-Method": [b"DELETE"]}
    await target.expect(Case("override", None, 200), target.get(f"{target.collection}?_method=DELETE", headers))


def _own(target: Target, path: str) -> str:
    """The path of this service."""
    order_api, _, gateway = path.partition("|")
    return (gateway if gateway and target.name == "payment_gateway" else order_api).replace("<list>", target.collection)
