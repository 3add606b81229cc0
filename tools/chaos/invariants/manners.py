"""Who saw what, and what was said aloud. Invariants 13 and 15."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.mongo import Document
from tools.chaos.evidence import Evidence
from tools.chaos.invariants.finding import Finding, Findings

_IDS = re.compile(rb"(?:ord|ch|rf|dp)_[0-9a-f]{32}")
# Both signature schemes whole, and any webhook secret.
_GIVEN_AWAY = re.compile(rb"v1=[0-9a-f]{64}|v1,[A-Za-z0-9+/]{43}=|whsec_[A-Za-z0-9+/]{32,}|Bearer [!-~]{8,}")


def no_merchant_saw_anothers(evidence: Evidence) -> Findings:
    """13. No answer to one merchant names what is another's, be it a refusal, unless they named it themselves; and none does
    what another asks of one's order.
    """
    orders = {order["_id"]: order for order in evidence.orders}
    order_of = {found.decode(): one for one in evidence.orders for found in _IDS.findall(_names_of(one))}
    for operation in evidence.operations:
        if operation.merchant not in evidence.merchants:
            continue
        asked_about = orders.get(operation.order_id or "", {"merchant": operation.merchant})
        if asked_about["merchant"] != operation.merchant and operation.answer is not None:
            detail = f"operation {operation.number}: {operation.merchant} was let in with {operation.kind}"
            yield Finding(detail, operation.order_id)
        for attempt in operation.attempts:
            for found in {found.decode() for found in _IDS.findall(attempt.body)}:
                of = order_of.get(found)
                if of and of["merchant"] != operation.merchant and found not in attempt.url:
                    yield Finding(f"operation {operation.number} showed {found} to {operation.merchant}", of["_id"])


def _names_of(order: Document) -> bytes:
    """Every id by which somebody may know it: its own, and those of its charges, refunds and disputes."""
    facts = (*order["charges"], *order["refunds"], *order["disputes"])
    return " ".join([order["_id"], *(one["id"] for one in facts)]).encode()


def nothing_secret_is_logged(evidence: Evidence) -> Findings:
    """15. No secret, no API key, no whole signature in any line of any log."""
    secrets = {
        secret.encode(): f"secret number {number}" for number, secret in enumerate(evidence.secrets, 1) if secret
    }
    for path in evidence.logs:
        for number, what in _given_away(path, secrets):
            yield Finding(f"{path.name}, line {number}, shows {what}")  # and this line does not


def _given_away(path: Path, secrets: Mapping[bytes, str]) -> Iterator[tuple[int, str]]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            for secret, name in secrets.items():
                if secret in line or secret.removeprefix(b"whsec_") in line:
                    yield number, name
            if _GIVEN_AWAY.search(line):
                yield number, "a signature, a secret or a key"
