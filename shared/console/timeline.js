/**
 * A picture of what happened, drawn to scale in time: a lane for each actor, with bars for work, lines for waiting, points
 * for moments, and bands for a state that lasts. Long waits are shortened, marked and stated (`scale.js`).
 *
 * To a screen reader it is one picture with a summary; the page lists the same moments beside it.
 */

import { h, fill } from "./dom.js";
import { duration, timeOfDay } from "./format.js";
import { roundStep, scaleOf } from "./scale.js";

const ROW_PX = 26;
const POINT_PX = 12;
const BAR_PX_MIN = 4;
const LABEL_GAP_PX = 7;
const ROWS_MAX = 8; // in one lane; an item that fits into none has no label
const NARROW_PX = 640; // in a narrower picture, the names stand above their lanes
const NAMES_PX = 148;
const RIGHT_PX = { narrow: 78, wide: 150 }; // for the label of the last item

/**
 * @typedef {object} Item
 * @property {number} at ms since the epoch
 * @property {number} [until] when it ended; Infinity if it has not
 * @property {"bar" | "line" | "point" | "band"} shape
 * @property {import("./ui.js").Tone} tone
 * @property {string} label a few words beside it
 * @property {string} [title] more words, shown under the mouse
 * @property {string} [key] a click calls `select` with it
 */

/** @typedef {{ name: string, note?: string, items: Item[] }} Lane */

/**
 * @param {object} options
 * @param {Lane[]} options.lanes
 * @param {string} options.summary the picture in a sentence
 * @param {number | null} [options.now] the present, while things still go on
 * @param {(key: string) => void} [options.select]
 * @returns {{ element: HTMLElement, update: (next: { lanes: Lane[], summary: string, now?: number | null }) => void,
 *   mark: (key: string | null) => void, close: () => void }}
 */
export function timeline({ lanes, summary, now = null, select = () => {} }) {
  const picture = h("div", { class: "timeline", role: "img" });
  const legend = h("p", { class: "timeline-legend" });
  const element = h("figure", { class: "timeline-figure" }, picture, h("figcaption", {}, legend));
  let shown = { lanes, summary, now };
  let width = 0;
  let marked = null;
  picture.addEventListener("click", (event) => {
    const key = /** @type {Element} */ (event.target).closest("[data-item]")?.dataset.item;
    if (key) select(key);
  });

  function draw() {
    if (!width) return;
    const isNarrow = width < NARROW_PX;
    const trackPx = isNarrow ? width : width - NAMES_PX;
    const used = shown.lanes.filter((lane) => lane.items.length);
    const scale = scaleOf(busyIn(used, shown.now), trackPx, RIGHT_PX[isNarrow ? "narrow" : "wide"]);
    picture.classList.toggle("narrow", isNarrow);
    picture.setAttribute("aria-label", shown.summary);
    const ticks = ticksOf(scale, trackPx);
    fill(picture, backdrop(scale, ticks, shown.now, isNarrow), axis(ticks, isNarrow), used.map((lane) => drawLane(lane, scale, trackPx, shown.now)));
    fill(legend, legendOf(scale));
    mark(marked);
  }

  function mark(key) {
    marked = key;
    for (const item of picture.querySelectorAll("[data-item]")) item.classList.toggle("marked", key !== null && item.dataset.item === key);
  }

  const observer = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry.contentRect.width);
    if (next === width) return;
    width = next;
    requestAnimationFrame(draw);
  });
  observer.observe(picture);
  return { element, mark, close: () => observer.disconnect(), update: (next) => ((shown = { now: null, ...next }), draw()) };
}

/** The spans that the scale must leave room for. A line or a band is no work: only its ends count. */
function busyIn(lanes, now) {
  const busy = lanes.flatMap(({ items }) => items.flatMap(({ at, until, shape }) => {
    if (until === undefined || (shape === "bar" && until !== Infinity)) return [{ from: at, to: Math.max(at, until ?? at) }];
    return [{ from: at, to: at }, ...(shape === "band" || until === Infinity ? [] : [{ from: until, to: until }])];
  }));
  return now === null ? busy : [...busy, { from: now, to: now }];
}

/** The breaks, a fine line for each time, and one for now, behind all lanes. */
function backdrop(scale, ticks, now, isNarrow) {
  const lines = ticks.filter(({ kind }) => kind === "tick").map(({ left }) => h("div", { class: "timeline-grid", style: { left: `${left}px` } }));
  const breaks = scale.breaks.map(({ left, width, from, to }) =>
    h("div", { class: "timeline-break", style: { left: `${left}px`, width: `${width}px` }, title: `${duration(to - from)} of waiting, shortened` }));
  const line = now !== null && h("div", { class: "timeline-now", style: { left: `${scale.x(now)}px` } });
  return h("div", { class: "timeline-backdrop", style: { left: isNarrow ? "0" : `${NAMES_PX}px` } }, lines, breaks, line);
}

/** Times since the first moment, as many as have room. The times of breaks come first: the picture hides these waits. */
function ticksOf(scale, width) {
  const start = scale.pieces[0].from;
  /** @type {{ left: number, text: string, kind: string, title: string, px: number }[]} */
  const wanted = scale.breaks.map(({ left, width: px, from, to }) => ({ left: left + px / 2, text: duration(to - from), kind: "wait", title: "shortened", px: textPx(duration(to - from)) }));
  const tick = (at) => {
    const text = at === start ? "0" : `+${duration(at - start)}`;
    return { left: scale.x(at), text, kind: "tick", title: timeOfDay(new Date(at).toISOString(), { ms: true }), px: textPx(text) };
  };
  for (const piece of scale.pieces) wanted.push(tick(piece.from));
  if (scale.pxPerMs) {
    const step = roundStep(scale.pxPerMs, 80);
    for (const { from, to } of scale.pieces) for (let at = from + step; at <= to; at += step) wanted.push(tick(at));
  }
  const taken = [];
  return wanted.filter(({ left, px }) => {
    const [from, to] = [left - px / 2 - 5, left + px / 2 + 5];
    if (to > width + 4 || taken.some((other) => from < other.to && to > other.from)) return false;
    return taken.push({ from, to });
  });
}

function axis(ticks, isNarrow) {
  const marks = ticks.map(({ left, text, kind, title, px }) => h("span", { class: `timeline-${kind}`, style: { left: `${Math.max(left, px / 2)}px` }, title }, text));
  return h("div", { class: "timeline-lane timeline-axis" }, !isNarrow && h("span", { class: "timeline-name" }, "since the start"), h("div", { class: "timeline-track" }, marks));
}

function drawLane(lane, scale, width, now) {
  const rows = [];
  const parts = [...lane.items].sort((a, b) => a.at - b.at).map((item) => {
    const box = boxOf(item, scale, width, now);
    const row = rowFor(box, rows);
    return drawItem(item, box, row);
  });
  const track = h("div", { class: "timeline-track", style: { height: `${Math.max(1, rows.length) * ROW_PX}px` } }, parts);
  const name = h("span", { class: "timeline-name", title: lane.note ? `${lane.name} ${lane.note}` : null }, lane.name, lane.note && h("small", {}, lane.note));
  return h("div", { class: "timeline-lane" }, name, track);
}

/** Where an item and its label are, in pixels. The label stands to the right if it fits there. Otherwise it stands on the
 * side with more room, and is cut off.
 */
function boxOf({ at, until, shape, label, key }, scale, width, now) {
  const from = scale.x(at);
  const end = until === Infinity ? (now === null || shape === "band" ? width : scale.x(now)) : scale.x(until ?? at);
  const to = shape === "point" ? from : Math.min(width, end);
  const left = shape === "point" ? from - POINT_PX / 2 : from;
  const px = shape === "point" ? POINT_PX : Math.max(BAR_PX_MIN, to - from);
  const labelPx = textPx(label);
  if (shape === "band") return { key, left, px, side: "inside", start: left, end: left + px };
  const [leftPx, rightPx] = [left - LABEL_GAP_PX, width - left - px - LABEL_GAP_PX];
  const isRight = labelPx <= rightPx || rightPx >= leftPx;
  const shownPx = Math.max(0, Math.min(labelPx, isRight ? rightPx : leftPx));
  const room = label ? shownPx + LABEL_GAP_PX : 0;
  return isRight
    ? { key, left, px, side: "right", shownPx, start: left, end: left + px + room }
    : { key, left, px, side: "left", shownPx, start: left - room, end: left + px };
}

/** The first row with room for the item and its label. If there is none, the last row without the label. A line and the
 * point at its end have the same key and stand in the same row.
 */
function rowFor(box, rows) {
  for (let row = 0; row < ROWS_MAX; row++) {
    rows[row] ??= [];
    const isFree = rows[row].every((other) => box.start >= other.end + 4 || box.end <= other.start - 4 || (box.key && box.key === other.key));
    if (isFree || (box.side === "inside" && row === 0)) return rows[row].push(box), row;
  }
  box.side = "none";
  return ROWS_MAX - 1;
}

function drawItem({ shape, tone, label, title, key }, { left, px, side, shownPx }, row) {
  const top = `${row * ROW_PX}px`;
  const attributes = { title: title ?? label, dataset: key ? { item: key } : {} };
  const body = h("span", { class: `timeline-item is-${shape} tone-${tone}`, ...attributes, style: { left: `${left}px`, width: `${px}px`, top } }, side === "inside" ? h("span", {}, label) : null);
  if (side === "inside" || side === "none" || !label) return [body];
  const at = side === "right" ? { left: `${left + px + LABEL_GAP_PX}px` } : { left: `${left - LABEL_GAP_PX}px`, transform: "translateX(-100%)" };
  return [body, h("span", { class: `timeline-label tone-${tone}`, ...attributes, style: { ...at, top, "max-width": `${shownPx}px` } }, label)];
}

function legendOf({ breaks, pxPerMs }) {
  const step = pxPerMs ? roundStep(pxPerMs, 48) : 0;
  const ruler = step && step * pxPerMs < 300 && [h("span", { class: "timeline-ruler", style: { width: `${step * pxPerMs}px` } }), duration(step), " to scale"];
  const hidden = breaks.reduce((sum, { from, to }) => sum + to - from, 0);
  const waits = breaks.length && [h("span", { class: "timeline-hatch" }), `${breaks.length === 1 ? "a wait" : `${breaks.length} waits`} of ${duration(hidden)}${breaks.length === 1 ? "" : " in all"}, shortened`];
  return [ruler && h("span", {}, ruler), waits && h("span", {}, waits)].filter(Boolean);
}

const pen = document.createElement("canvas").getContext("2d");

/** How wide a label is. */
function textPx(text) {
  pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return Math.ceil(pen.measureText(text).width) + 2;
}
