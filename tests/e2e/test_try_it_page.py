"""docs/try-it.md: its commands, pasted in order into one shell, answer as the page says."""

import re
from pathlib import Path

import msgspec

from tests.e2e.conftest import StartStack
from tests.pages import blocks, open_terminal
from tools.stack import Stack

PAGE = (Path(__file__).parents[2] / "docs" / "try-it.md").read_text(encoding="utf-8")

FIRST, *LINES = blocks(PAGE, "sh")

# One for each block of the page, in its order: patterns that what it prints must have.
PRINTED = {
    "place an order": ["^HTTP/1.1 201 Created", "^location: /api/orders/ord_", '"status":"Pending"'],
    "the key with another body": ['"type":"/problems/idempotency-key-reused"'],
    "the problem explained": ["(?i)idempotency"],
    "a card that is declined": ['"orderNumber":"ORD-003"', '"status":"Pending"'],
    "read it": ['"status": "Paid"', '"state": "succeeded"'],
    "lists": ['"orderNumber": "ORD-003"', '"status": "Failed"', '"orderNumber": "ORD-001"'],
    "the audit trail": ['"outcome": "applied"', '"timesReceived": 1,?$'],
    "refund": ["^HTTP/1.1 202 Accepted", "^location: /api/orders/ord_.*/refunds/rf_", '"state":"requested"'],
    "cancel": ['"type":"/problems/not-cancellable".*"status":409'],
    "paid again with another card": ['"status":"Pending"', '"failureCode":"card_declined".*"state":"pending"'],
    "nothing needs a person": [r'^\{"data":\[\],"nextCursor":null\}\{"data":\[\],"nextCursor":null\}$'],
    "nothing to resolve or redrive": ['"status":404.*"status":404'],
    "healthy": ["^{"],
    "a webhook by hand": [r'^\{"outcome":"duplicate"\}$'],
    "one byte more": ['"type":"/problems/invalid-signature"'],
    "what the gateway did": ['"status": "succeeded"', '"type": "payment.succeeded"', '"state": "delivered"'],
    "a charge of your own": ['"id":"ch_', '"id":"re_'],
    "misbehaviour": ["500$", "^curl: .*\n.*000$", "201$"],
    "three days": ["."],
}

UNTIL_SHOWS = 'until_shows() { word=$1; shift; until "$@" | grep "$word" > /dev/null; do sleep 0.1; done; }'
# A block of the page that has a `sleep` waits for this instead. Others wait for it before they begin.
AWAITED = {
    "read it": """
        until_shows '"status":"Paid"' curl -s "$API/api/orders?orderNumber=ORD-001"
        until_shows '"status":"Failed"' curl -s "$API/api/orders?orderNumber=ORD-003"
    """,
    "the audit trail": """until_shows '"outcome":"applied"' curl -s $API/api/orders/$ORDER/events""",
    "paid again with another card": """until_shows '"status":"Failed"' curl -s $API/api/orders/$AGAIN""",
    "what the gateway did": """
        until_shows '"state":"delivered"' curl -s "$GATEWAY/v1/deliveries?eventId=$EVENT" -H "Authorization: Bearer $KEY"
    """,
    "a charge of your own": """
        until_shows '"status":"succeeded"' curl -s "$GATEWAY/v1/charges?reference=basket-7" -H "Authorization: Bearer $KEY"
    """,
}


def has_credentials(stack: Stack, folder: Path) -> None:
    """As `make run` keeps them."""
    kept = folder / ".data" / "credentials.json"
    kept.parent.mkdir()
    kept.write_bytes(msgspec.json.encode({"webhook_secret": stack.webhook_secret, "api_key": stack.api_key}))


async def test_the_commands_answer_as_the_page_says(start_stack: StartStack, tmp_path: Path) -> None:
    with start_stack(RECONCILE_AFTER_SECONDS="3600") as stack:  # an event comes once, as a webhook
        has_credentials(stack, tmp_path)
        async with open_terminal(tmp_path) as terminal:
            addresses = {
                "http://127.0.0.1:8000": stack.order_apis[0].url,
                "http://127.0.0.1:8001": stack.gateways[0].url,
            }
            await terminal.paste(UNTIL_SHOWS)
            await terminal.paste(re.sub("http://[0-9.:]+", lambda found: addresses[found[0]], FIRST))
            for (what, patterns), lines in zip(PRINTED.items(), LINES, strict=True):
                printed = await terminal.paste(awaiting(what, lines))
                for pattern in patterns:
                    assert re.search(pattern, printed, re.MULTILINE), f"{what}: {printed}"


def awaiting(what: str, lines: str) -> str:
    """The lines of a block, which wait for the thing itself and for no fixed time."""
    waiting, slept = re.subn(r"^sleep \d$", lambda _: AWAITED[what], lines, flags=re.MULTILINE)
    return waiting if slept else f"{AWAITED.get(what, '')}\n{lines}"
