"""order_api with metrics and logs off, only for `make bench` to compare with. Nothing is counted, timed, kept for a log line
or logged. The rest of a request stays: its id and its trace go into answers and documents.
"""

import os
from typing import Any

import prometheus_client

import order_api.serve
from shared import tracing
from shared.edge import exchange


def _nothing(*_arguments: Any, **_named: Any) -> None:
    pass


def main() -> None:
    for metric, method in (("Counter", "inc"), ("Histogram", "observe")):
        setattr(getattr(prometheus_client, metric), method, _nothing)
    for module, name in ((exchange, "count_request"), (tracing, "bind"), (tracing, "rebind")):
        assert name in vars(module), f"{module.__name__} has no {name} any more: this would compare nothing"
        setattr(module, name, _nothing)
    os.environ["LOG_LEVEL"] = "ERROR"
    order_api.serve.main()


if __name__ == "__main__":
    main()
