"""Whatever can be wrong with a link is drawn for each link of the world, in each direction."""

from random import Random

import pytest

from tools.chaos.cluster import GATEWAY, GATEWAYS, MONGODS, ORDER_APIS, SERVICES, WEBHOOKS
from tools.chaos.faults.fault import MEMBERSHIP, Fault
from tools.chaos.faults.links import KINDS
from tools.chaos.links import WHOLE

DRAWS = 400  # of each kind

CALLS = {
    *(f"clients to {name}" for name in (*ORDER_APIS, GATEWAY, WEBHOOKS)),
    *(f"{name} to {GATEWAY}" for name in ORDER_APIS),
    *(f"{name} to {WEBHOOKS}" for name in GATEWAYS),
}
MEMBERS = {f"{one} to {other}" for one in MONGODS for other in MONGODS if one != other}
QUERIES = {f"{name} to MongoDB" for name in SERVICES}

drawn = [[kind(draw) for _ in range(DRAWS)] for draw in [Random(1)] for kind in KINDS]


@pytest.mark.parametrize("faults", drawn, ids=lambda faults: faults[0].name)
def test_each_kind_of_trouble_comes_to_each_link(faults: list[Fault]) -> None:
    of_mongodb = faults[0].name.startswith("MongoDB: ")
    assert {fault.detail for fault in faults} == (MEMBERS | QUERIES if of_mongodb else CALLS)


@pytest.mark.parametrize("faults", drawn, ids=lambda faults: faults[0].name)
def test_a_trouble_between_members_is_alone(faults: list[Fault]) -> None:
    assert all((fault.detail in MEMBERS) == (fault.holds == MEMBERSHIP) for fault in faults)


def test_requests_and_replies_are_each_lost_held_and_delayed_alone() -> None:
    troubles = {"requests": set[str](), "replies": set[str]()}
    for trouble in (fault.inflict.keywords["trouble"] for faults in drawn for fault in faults):  # type: ignore[attr-defined]
        for direction, other in (("requests", "replies"), ("replies", "requests")):
            if getattr(trouble, other) == WHOLE:
                way = getattr(trouble, direction)
                troubles[direction] |= {name for name in ("loss", "silent", "delay_seconds") if getattr(way, name)}
    assert troubles["requests"] == troubles["replies"] == {"loss", "silent", "delay_seconds"}
