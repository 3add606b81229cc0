"""The picture of a run: bars in three panels, as SVG that looks right on a light and on a dark page. Pure."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple
from xml.sax.saxutils import escape

from tools.bench.figures import Figure, Results, shown

WIDTH, MARGIN = 860, 24
LABEL_WIDTH, VALUE_WIDTH = 250, 150
BAR_HEIGHT, ROW_HEIGHT = 14, 24
TITLE_HEIGHT, NOTE_HEIGHT, PANEL_GAP = 22, 22, 26

_STYLE = """
  svg {
    --paper: #ffffff; --ink: #1f2328; --quiet: #59636e; --line: #d1d9e0;
    --ours: #0969da; --theirs: #bc7c1c; --ceiling: #8c959f;
  }
  @media (prefers-color-scheme: dark) {
    svg {
      --paper: #0d1117; --ink: #f0f6fc; --quiet: #9198a1; --line: #3d444d;
      --ours: #4493f8; --theirs: #d29922; --ceiling: #656c76;
    }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
  .title { font-weight: 600; font-size: 15px; }
  .note { fill: var(--quiet); font-size: 12px; }
  .value { font-variant-numeric: tabular-nums; }
  .ours { fill: var(--ours); } .theirs { fill: var(--theirs); } .ceiling { fill: var(--ceiling); }
  .spread { stroke: var(--ink); stroke-width: 1.5; } .goal { stroke: var(--quiet); stroke-dasharray: 3 3; }
  .paper { fill: var(--paper); stroke: var(--line); }
"""

Whose = Literal["ours", "theirs", "ceiling"]


class Bar(NamedTuple):
    """`values` are those of the rounds: the bar is as long as their median."""

    label: str
    whose: Whose
    one: Figure
    text: str


class Panel(NamedTuple):
    """`goal` is where a dashed line stands."""

    title: str
    note: str
    bars: Sequence[Bar]
    goal: float | None = None

    @property
    def height(self) -> int:
        return TITLE_HEIGHT + NOTE_HEIGHT + ROW_HEIGHT * len(self.bars)


def plot(results: Results) -> str:
    """Draws the picture. Parts that were not measured are left out."""
    panels = [panel for panel in (_rates(results), _latencies(results), _growth(results)) if panel.bars]
    height = 2 * MARGIN + sum(panel.height for panel in panels) + PANEL_GAP * (len(panels) - 1)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f'  width="{WIDTH}" height="{height}" role="img">',
        "<title>How fast the services are, measured by make bench</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
    ]
    top = MARGIN
    for panel in panels:
        lines += _drawn(panel, top)
        top += panel.height + PANEL_GAP
    return "\n".join([*lines, "</svg>", ""])


def _rates(results: Results) -> Panel:
    """Each bar is the share of the ceiling that was measured in the same rounds."""
    rows: list[tuple[str, Whose, str, str, str]] = [
        ("place an order", "ours", "intake", "rate, beside the ceiling", "placed, 64 connections: rate"),
        (
            "place an order, textbook",
            "theirs",
            "intake",
            "rate of the textbook, beside the ceiling",
            "textbook, 64 connections: rate",
        ),
        ("replay", "ours", "answers", "replay, beside the ceiling", "replay: rate"),
        ("read one", "ours", "answers", "read, beside the ceiling", "read: rate"),
        ("list twenty", "ours", "answers", "list, beside the ceiling", "list: rate"),
        ("signed webhook", "ours", "answers", "webhook, beside the ceiling", "webhook: rate"),
        ("from POST to Paid", "ours", "paid", "rate, beside the ceiling", "rate"),
        (
            "from POST to Paid, textbook",
            "theirs",
            "paid",
            "rate of the textbook, beside the ceiling",
            "rate of the textbook",
        ),
    ]
    bars = []
    for label, whose, part, share, rate in rows:
        one, absolute = results.figure(part, share), results.median(part, rate)
        if one and absolute is not None:
            bars.append(Bar(label, whose, one, f"{shown(one.median)}   ({shown(absolute)}/s)"))
    ceiling = results.median("intake", "ceiling, 64 connections: rate")
    if bars and ceiling is not None:
        bars.insert(
            0, Bar("decode and answer, no database", "ceiling", Figure("", "times", (1,)), f"1   ({shown(ceiling)}/s)")
        )
    note = "64 connections, one process of each service; a share of what the same server answers with nothing behind it"
    return Panel("Requests a second, beside the ceiling", note, bars)


def _latencies(results: Results) -> Panel:
    bars = []
    whose: Whose
    for who, whose in (("placed", "ours"), ("textbook", "theirs")):
        for percentile in ("p50", "p99"):
            one = results.figure("intake", f"{who}, 64 connections: {percentile}")
            if one:
                label = f"{percentile}{', textbook' if whose == 'theirs' else ''}"
                bars.append(Bar(label, whose, one, f"{shown(one.median)} ms"))
    return Panel("How long placing an order takes", "64 connections that ask again at once; milliseconds", bars)


def _growth(results: Results) -> Panel:
    kept = [one for one in results.figures.get("growth", ()) if one.goal]
    bars = [Bar(one.name.partition(" with ")[0], "ours", one, shown(one.median)) for one in kept]
    many, _, few = kept[0].name.partition(" with ")[2].partition(" orders, beside ") if kept else ("", "", "")
    note = f"each rate with {many} orders stored, beside the same with {few}; the goal is the dashed line"
    goal = kept[0].goal.bound if kept and kept[0].goal else None
    return Panel("What is left of each rate in a full database", note, bars, goal)


def _drawn(panel: Panel, top: int) -> Iterator[str]:
    left, right = MARGIN + LABEL_WIDTH, WIDTH - MARGIN - VALUE_WIDTH
    longest = max(max(bar.one.values) for bar in panel.bars)

    def x(value: float) -> str:
        return f"{left + (right - left) * value / longest:.1f}"

    yield _text(MARGIN, top + 14, panel.title, "title")
    yield _text(MARGIN, top + 34, panel.note, "note")
    first = top + TITLE_HEIGHT + NOTE_HEIGHT
    for number, bar in enumerate(panel.bars):
        y = first + number * ROW_HEIGHT
        middle, low, high = y + BAR_HEIGHT / 2, min(bar.one.values), max(bar.one.values)
        width = float(x(bar.one.median)) - left
        yield _text(left - 10, y + 12, bar.label, "label", anchor="end")
        yield f'<rect class="{bar.whose}" x="{left}" y="{y}" width="{max(width, 1):.1f}" height="{BAR_HEIGHT}" rx="2"/>'
        if high > low:
            yield f'<line class="spread" x1="{x(low)}" x2="{x(high)}" y1="{middle}" y2="{middle}"/>'
        yield _text(right + 12, y + 12, bar.text, "value")
    if panel.goal is not None:
        bottom = first + len(panel.bars) * ROW_HEIGHT - 6
        yield f'<line class="goal" x1="{x(panel.goal)}" x2="{x(panel.goal)}" y1="{first - 4}" y2="{bottom}"/>'


def _text(x: float, y: float, text: str, kind: str, *, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
