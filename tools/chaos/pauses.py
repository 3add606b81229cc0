"""Pauses: when each process was stopped on purpose, by the nemesis's log. Work that it had in hand then may be late."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Pauses: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]  # by process: from and to, in Unix seconds

_LINE = re.compile(r"\s*([\d.]+) s  (over: )?SIGSTOP .*?(\w+)$")


def pauses(log: str, *, began_at: float, names: Sequence[str]) -> Pauses:
    """The pauses of these processes. One that is not woken up has no end. The log counts from `began_at`, in Unix time."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in log.splitlines():
        if (found := _LINE.match(line)) and found[3] in names:
            at, name = began_at + float(found[1]), found[3]
            if not found[2]:
                spans[name].append((at, float("inf")))
            elif spans[name]:
                spans[name][-1] = (spans[name][-1][0], at)
    return spans
