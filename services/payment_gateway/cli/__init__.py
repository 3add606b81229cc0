"""The command line. It talks to a gateway over HTTP, as any client does, and imports nothing of the server. Only `serve` and
`doctor`, in `root.py`, load that when they run.

`lists.py`, `deliveries.py`, `endpoints.py` and `controls.py` have the commands that make one request. `trigger.py` makes
events, each by `one_event.py`. `listen.py` is an endpoint, and forwards by `forward.py`. `client.py` has the HTTP,
`options.py` the options, `show_list.py` every list, and `terminal.py` the output and the exit status.
"""

from payment_gateway.cli import controls, deliveries, endpoints, lists, trigger
from payment_gateway.cli.root import payment_gateway

__all__ = ["controls", "deliveries", "endpoints", "lists", "main", "trigger"]


def main() -> None:
    payment_gateway(prog_name="payment-gateway")
