"""What happens between processes: each kind of trouble to each link, and where it has a direction, in each of the two."""

from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from itertools import permutations
from random import Random
from typing import TypeAlias

from tools.chaos.cluster import CLIENTS, GATEWAY, GATEWAYS, MONGODS, ORDER_APIS, SERVICES, WEBHOOKS, Cluster
from tools.chaos.faults.fault import MEMBERSHIP, Fault, Kind
from tools.chaos.links import Direction, Trouble, Way

Ends = tuple[tuple[str, str], ...]  # source and target of each link
_Draw: TypeAlias = Callable[[Random], Trouble]

CALLS: tuple[Ends, ...] = (
    *(((CLIENTS, name),) for name in ORDER_APIS),
    *(((name, GATEWAY),) for name in ORDER_APIS),
    *(((name, WEBHOOKS),) for name in GATEWAYS),
    ((CLIENTS, GATEWAY),),  # the till that charges past order_api
    ((CLIENTS, WEBHOOKS),),  # whoever forges
)
ASKING: tuple[Ends, ...] = CALLS[len(ORDER_APIS) : -2]  # the services themselves
QUERIES: tuple[Ends, ...] = tuple(tuple((name, mongod) for mongod in MONGODS) for name in SERVICES)
COPIES: tuple[Ends, ...] = tuple((pair,) for pair in permutations(MONGODS, 2))  # the first reads the other's oplog
FLOOD = Way(silent=True, flood=True)
LOSSES = (0.1, 0.3, 1.0)
LOSSES_OF_MONGODB = (0.02, 0.1, 0.3)  # of every packet: with more, nobody is ever connected


def _lost(draw: Random, *, direction: Direction, shares: tuple[float, ...]) -> Trouble:
    return _one_way(direction, Way(loss=draw.choice(shares)))


def _silent(_draw: Random, *, direction: Direction) -> Trouble:
    return _one_way(direction, Way(silent=True))


def _slow(draw: Random) -> Trouble:
    slow = Way(delay_seconds=draw.choice((0.05, 0.3, 1.5)))
    return draw.choice((Trouble(requests=slow), Trouble(replies=slow), Trouble(requests=slow, replies=slow)))


def _refused(_draw: Random) -> Trouble:
    return Trouble(refuse=True)


def _one_way(direction: Direction, way: Way) -> Trouble:
    return Trouble(requests=way) if direction == "requests" else Trouble(replies=way)


def _call(draw: Random, *, name: str, trouble: _Draw) -> Fault:
    return _fault(name, draw, draw.choice(CALLS), trouble)


def _mongodb(draw: Random, *, name: str, trouble: _Draw) -> Fault:
    """Lost replies, or held ones, are commits that were done and not confirmed."""
    return _fault(f"MongoDB: {name}", draw, draw.choice(draw.choice((QUERIES, QUERIES, COPIES))), trouble)


def _troubles(losses: tuple[float, ...]) -> dict[str, _Draw]:
    return {
        "requests lost": partial(_lost, direction="requests", shares=losses),
        "replies lost": partial(_lost, direction="replies", shares=losses),
        "requests into a black hole": partial(_silent, direction="requests"),
        "replies into a black hole": partial(_silent, direction="replies"),
        "slow link": _slow,
        "connections reset and refused": _refused,
    }


def flood(draw: Random) -> Fault:
    """Whoever is called answers and answers, and never says anything (RFC 9110 §15.2)."""
    return _fault("flood of 1xx answers", draw, draw.choice(ASKING), lambda _: Trouble(replies=FLOOD))


KINDS: tuple[Kind, ...] = (
    *(partial(_call, name=name, trouble=trouble) for name, trouble in _troubles(LOSSES).items()),
    *(partial(_mongodb, name=name, trouble=trouble) for name, trouble in _troubles(LOSSES_OF_MONGODB).items()),
)


ONCE_A_RUN: tuple[Kind, ...] = (flood,)


def _fault(name: str, draw: Random, ends: Ends, trouble: _Draw) -> Fault:
    source, target = ends[0]
    detail = f"{source} to {target if len(ends) == 1 else 'MongoDB'}"
    holds = MEMBERSHIP if ends in COPIES else frozenset[str]()
    return Fault(name, detail, draw.uniform(2, 8), holds, partial(_troubled, ends=ends, trouble=trouble(draw)))


@asynccontextmanager
async def _troubled(cluster: Cluster, *, ends: Ends, trouble: Trouble) -> AsyncIterator[None]:
    with ExitStack() as stack:
        for source, target in ends:
            link = cluster.link(source, target)
            stack.enter_context(link.troubled(trouble))
            if trouble.refuse:
                link.reset()
        yield
