"""The report of a run: a table, and for violations the stories of the orders that show them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from tools.chaos.checker import INVARIANTS, WITHOUT_DATABASES, Violation
from tools.chaos.evidence import Evidence
from tools.chaos.history import Outcome
from tools.chaos.story import story

STORIES_MAX = 3
DETAILS_MAX = 5  # of one invariant
OUTCOMES: tuple[Outcome, ...] = ("ok", "unknown", "fail")


def show(evidence: Evidence, violations: Sequence[Violation], injected: Mapping[str, int], *, seed: int) -> str:
    """`injected` says how often each fault was. The last line is the run's row of docs/guarantees.md."""
    lines = [*_table(evidence, violations, injected)]
    if violations:
        lines += ["", *_violated(violations), "", *_stories(evidence, violations)]
    return "\n".join([*lines, "", _row(evidence, violations, injected, seed)])


def lost(evidence: Evidence) -> int:
    """Acknowledged orders that are not stored, or will never be charged because their message is missing. All of them if the
    databases cannot be read.
    """
    acknowledged = {operation.order_id for operation in evidence.of_kind("place") if operation.answer}
    whole = {order_id for order_id in evidence.order_by_id if evidence.messages_of.get(order_id)}
    return len(acknowledged - whole)


def doubled(violations: Sequence[Violation]) -> int:
    """Orders for which more than one charge was kept, or keys with more than one order."""
    return len({violation.order_id for violation in violations if violation.invariant in {3, 4}})


def longest_stall_seconds(evidence: Evidence) -> float:
    """The longest time, between one acknowledged placement and the next, in which some client was trying to place one."""
    placing = evidence.of_kind("place")
    tries = sorted((one.began, one.ended) for one in placing if one.ended is not None)
    moments = sorted({one.ended for one in placing if one.answer and one.ended is not None})
    moments += [max((ended for _, ended in tries), default=0.0)]
    longest = 0.0
    for last, moment in pairwise([0.0, *moments]):
        if moment - last > longest:
            longest = max(longest, _covered(last, moment, tries))
    return longest


def _covered(start: float, end: float, spans: Sequence[tuple[float, float]]) -> float:
    """Returns how much of the time from `start` to `end` is in at least one of the `spans`, which are in order."""
    covered, until = 0.0, start
    for began, ended in spans:
        if until < (stop := min(ended, end)) and began < end:
            covered += stop - max(began, until)
            until = stop
    return covered


def _table(evidence: Evidence, violations: Sequence[Violation], injected: Mapping[str, int]) -> Iterator[str]:
    yield f"{'fault':<44}{'injected':>12}"
    for fault, times in sorted(injected.items()):
        yield f"  {fault:<42}{times:>12,}"
    yield ""
    yield f"{'operation':<20}{'acknowledged':>12}{'unknown':>12}{'refused':>12}{'tries':>12}"
    outcomes = Counter((one.kind, one.outcome) for one in evidence.operations)
    tries = Counter[str]()
    for one in evidence.operations:
        tries[one.kind] += len(one.attempts)
    for kind in dict.fromkeys(one.kind for one in evidence.operations):
        counts = "".join(f"{outcomes[kind, outcome]:>12,}" for outcome in OUTCOMES)
        yield f"  {kind:<18}{counts}{tries[kind]:>12,}"
    yield ""
    statuses = Counter(order["status"] for order in evidence.orders)
    yield f"{'orders':<20}{len(evidence.orders):>12,}"
    for status, count in statuses.most_common():
        yield f"  {status:<18}{count:>12,}"
    yield ""
    yield f"{'lost':<20}{lost(evidence):>12,}"
    yield f"{'doubled':<20}{doubled(violations):>12,}"
    yield f"{'stuck':<20}{len(evidence.still_open):>12,}"
    if evidence.transactions is not None:
        yield f"{'transactions':<20}{evidence.transactions:>12,}"
    yield f"{'longest stall':<20}{longest_stall_seconds(evidence):>10.1f} s"
    yield f"{'invariants':<20}{f'{_held(evidence, violations)} of {len(INVARIANTS)} hold':>12}"


def _row(evidence: Evidence, violations: Sequence[Violation], injected: Mapping[str, int], seed: int) -> str:
    outcomes = Counter(one.outcome for one in evidence.operations)
    figures = [
        f"{seed}",
        f"{len(evidence.orders):,}",
        *(f"{outcomes[outcome]:,}" for outcome in OUTCOMES),
        f"{sum(injected.values()):,}",
        f"{lost(evidence):,}",
        f"{doubled(violations):,}",
        f"{len(evidence.still_open):,}",
        f"{longest_stall_seconds(evidence):.1f} s",
        f"{_held(evidence, violations)} of {len(INVARIANTS)}",
    ]
    return f"| {' | '.join(figures)} |"


def _held(evidence: Evidence, violations: Sequence[Violation]) -> int:
    judged = INVARIANTS if evidence.databases_read else WITHOUT_DATABASES
    return len(judged) - len({violation.invariant for violation in violations})


def _violated(violations: Sequence[Violation]) -> Iterator[str]:
    counts = Counter(violation.invariant for violation in violations)
    for number, count in sorted(counts.items()):
        what = " ".join((INVARIANTS[number].__doc__ or "").split())
        yield f"VIOLATED, {count:,} times: {what}"
        for violation in [one for one in violations if one.invariant == number][:DETAILS_MAX]:
            yield f"    {violation.order_id or '':<38}{violation.detail}"


def _stories(evidence: Evidence, violations: Sequence[Violation]) -> Iterator[str]:
    concerned = list(dict.fromkeys(one.order_id for one in violations if one.order_id))
    for order_id in concerned[:STORIES_MAX]:
        yield f"The story of {order_id}"
        yield story(evidence, order_id)
        yield ""
