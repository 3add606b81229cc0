"""Counts charges and refunds that have ended, in the process that has settled them. What the database holds is counted in
`take_stock.py`.
"""

from typing import get_args

from prometheus_client import Counter

from payment_gateway.money.charge import Charge
from payment_gateway.money.refund import Refund
from shared import wire

_SETTLED = Counter("payment_gateway_settled_total", "Charges and refunds settled, by how", ["kind", "status"])
_SETTLED_BY_STATUS = {
    (kind, status): _SETTLED.labels(kind.__name__.lower(), status)
    for kind in (Charge, Refund)
    for status in get_args(wire.MoneyState)
    if status != "pending"
}


def count_settled(settled: Charge | Refund) -> None:
    _SETTLED_BY_STATUS[type(settled), settled.status].inc()
