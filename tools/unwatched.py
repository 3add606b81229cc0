"""order_api with metrics and logs off, for `make bench` to compare with: nothing is counted, and nothing is done around a
request to watch it, so it has no id either. Nobody should run it for anything else.
"""

from typing import Any

import prometheus_client

import order_api.__main__
from shared.edge import application


def _nothing(*_arguments: Any, **_named: Any) -> None:
    pass


def main() -> None:
    for metric, method in (("Counter", "inc"), ("Histogram", "observe")):
        setattr(getattr(prometheus_client, metric), method, _nothing)
    vars(application)["observe"] = lambda app: app
    order_api.__main__.main()


if __name__ == "__main__":
    main()
