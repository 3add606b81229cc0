"""Addresses and methods. What is not there is 404, what is there by another method 405 with Allow; nothing is guessed."""

from tests.hostile.requests import Case, Requests

NOT_FOUND = (404, "not-found")
INVALID = (422, "invalid-fields")

# What is sent is the request's target; <list> is where things are created and listed.
PATHS = [
    Case("the root", "/", *NOT_FOUND),
    Case("nowhere", "/nowhere", *NOT_FOUND),
    Case("another case", "/API/ORDERS", *NOT_FOUND),
    Case("4,000 segments", "/x" * 4_000, *NOT_FOUND),
    Case("dots that climb", "<list>/../../etc/passwd", *NOT_FOUND),
    Case("dots that climb, encoded", "<list>/%2e%2e/%2e%2e/etc/passwd", *NOT_FOUND),
    Case("slashes encoded too", "<list>/..%2f..%2fetc%2fpasswd", *NOT_FOUND),
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

# What nothing has for an id: it is looked up first.
IDS = [
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
    Case("backslashes", "<list>/..\\..\\windows\\win.ini", *NOT_FOUND),
]

QUERIES = [
    Case("a parameter that nobody knows", "unknown=1", *INVALID),
    Case("a parameter in another case", "LIMIT=0", *INVALID),
    Case("an array, as PHP writes it", "status[]=x&limit[]=0", *INVALID),
    Case("an operator, as Express reads it", "status[$ne]=x", *INVALID),
    Case("only separators", "&&&", 200),
    Case("names without values", "a&b&c=", *INVALID),
    Case("an empty cursor", "cursor=", *INVALID),
    Case("an empty state", "status=", *INVALID),
    Case("a state without a value", "status", *INVALID),
    Case("a whole limit, as a float", "limit=1.0", *INVALID),
    Case("a limit with an exponent", "limit=1e1", *INVALID),
    Case("a filter with a slip of the pen", "refrence=x", *INVALID),
    Case("an operator, as Stripe takes it", "created[gte]=1", *INVALID),
    Case("a parameter of 4,000 characters", "x" * 4_000 + "=1", *INVALID),
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

NO_METHODS = ["FOO", "CONNECT", "get", "GeT", "GET\t", "PRI", "M-SEARCH*", "GETGETGETGET" * 100]


def own(target: Requests, path: str) -> str:
    """The path of this service."""
    order_api, _, gateway = path.partition("|")
    return (gateway if gateway and target.name == "payment_gateway" else order_api).replace("<list>", target.collection)
