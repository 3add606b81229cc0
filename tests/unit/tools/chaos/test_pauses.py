"""When processes were stopped, as the nemesis has written it down."""

from math import inf

from tools.chaos.pauses import pauses

LOG = """
    2.1 s  MongoDB: member cut off from all mongod_3
    4.4 s  SIGSTOP of a service order_api_2
   11.7 s  over: SIGSTOP of a service order_api_2
   18.4 s  kill -9 of a service order_api_2
   20.0 s  SIGSTOP beyond the lease order_api_1
   21.0 s  MongoDB: SIGSTOP of the primary
"""


def test_a_process_is_paused_from_its_stop_until_that_is_over() -> None:
    assert pauses(LOG, began_at=1000.0, names=["order_api_2"]) == {"order_api_2": [(1004.4, 1011.7)]}


def test_a_process_that_was_never_woken_up_is_still_paused() -> None:
    assert pauses(LOG, began_at=1000.0, names=["order_api_1"]) == {"order_api_1": [(1020.0, inf)]}
