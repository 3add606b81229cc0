"""What happens between processes."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from random import Random

from tools.chaos.cluster import CLIENTS, GATEWAY, GATEWAYS, MONGODS, ORDER_APIS, SERVICES, WEBHOOKS, Cluster
from tools.chaos.faults.fault import Fault, Kind
from tools.chaos.links import Trouble, Way

Ends = tuple[tuple[str, str], ...]  # source and target of each link

CALLS: tuple[Ends, ...] = (
    *(((CLIENTS, name),) for name in ORDER_APIS),
    *(((name, GATEWAY),) for name in ORDER_APIS),
    *(((name, WEBHOOKS),) for name in GATEWAYS),
)
QUERIES: tuple[Ends, ...] = tuple(tuple((name, mongod) for mongod in MONGODS) for name in SERVICES)


def lose_replies_of_calls(draw: Random) -> Fault:
    trouble = Trouble(replies=Way(loss=draw.choice((0.1, 0.3, 1.0))))
    return _fault("replies lost after the work was done", draw, CALLS, trouble)


def lose_replies_of_mongodb(draw: Random) -> Fault:
    trouble = Trouble(replies=Way(loss=draw.choice((0.02, 0.1, 0.3))))
    return _fault("replies of MongoDB lost", draw, QUERIES, trouble)


def lose_requests(draw: Random) -> Fault:
    return _fault("requests lost", draw, CALLS, Trouble(requests=Way(loss=draw.choice((0.1, 0.3, 1.0)))))


def silence_replies(draw: Random) -> Fault:
    return _fault("replies into a black hole", draw, CALLS, Trouble(replies=Way(silent=True)))


def silence_requests(draw: Random) -> Fault:
    return _fault("requests into a black hole", draw, CALLS, Trouble(requests=Way(silent=True)))


def delay(draw: Random) -> Fault:
    slow = Way(delay_seconds=draw.choice((0.05, 0.3, 1.5)))
    trouble = draw.choice((Trouble(requests=slow), Trouble(replies=slow), Trouble(requests=slow, replies=slow)))
    return _fault("slow link", draw, (*CALLS, *QUERIES), trouble)


def refuse(draw: Random) -> Fault:
    return _fault("connections reset and refused", draw, (*CALLS, *QUERIES), Trouble(refuse=True))


KINDS: tuple[Kind, ...] = (
    lose_replies_of_calls,
    lose_replies_of_mongodb,
    lose_requests,
    silence_replies,
    silence_requests,
    delay,
    refuse,
)


def _fault(name: str, draw: Random, choices: tuple[Ends, ...], trouble: Trouble) -> Fault:
    ends = draw.choice(choices)
    source, target = ends[0]
    detail = f"{source} to {target if len(ends) == 1 else 'MongoDB'}"
    return Fault(name, detail, draw.uniform(2, 8), frozenset(), partial(_troubled, ends=ends, trouble=trouble))


@asynccontextmanager
async def _troubled(cluster: Cluster, *, ends: Ends, trouble: Trouble) -> AsyncIterator[None]:
    with ExitStack() as stack:
        for source, target in ends:
            link = cluster.link(source, target)
            stack.enter_context(link.troubled(trouble))
            if trouble.refuse:
                link.reset()
        yield
