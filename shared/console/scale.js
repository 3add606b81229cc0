/**
 * Turns time into pixels, for a picture with seconds of waiting beside milliseconds of work. Everything is drawn to one
 * scale, except the longest waits: these are cut out and become breaks of one width, which the picture marks. Pure.
 */

const PAD_PX = 14; // on both sides of what stands between two breaks
const BREAK_PX = { narrow: 40, wide: 76 };
const PX_FOR_EACH_BREAK = 150;
const BREAKS_MAX = 8;
const WORTH_A_BREAK = 0.85; // a wait that takes a larger part of the picture than this leaves too little for the rest

/** @typedef {{ from: number, to: number }} Span in ms since the epoch */
/** @typedef {Span & { left: number, width: number }} Break */

/**
 * @typedef {object} Scale
 * @property {(at: number) => number} x pixels from the left
 * @property {Break[]} breaks
 * @property {(Span & { left: number })[]} pieces the parts between the breaks
 * @property {number} pxPerMs
 */

/**
 * @param {Span[]} busy the spans that must be visible: work with its length, and moments, whose `from` is their `to`
 * @param {number} width in pixels
 * @param {number} [right] pixels to leave free at the right
 * @returns {Scale}
 */
export function scaleOf(busy, width, right = 0) {
  const spans = joined(busy);
  const breakPx = width < 480 ? BREAK_PX.narrow : BREAK_PX.wide;
  const limit = Math.min(BREAKS_MAX, Math.floor(width / PX_FOR_EACH_BREAK));
  const cut = longestWaits(spans, limit);
  const pieces = piecesOf(spans, cut);
  const open = pieces.reduce((sum, { from, to }) => sum + to - from, 0);
  const free = Math.max(20, width - right - cut.length * breakPx - pieces.length * 2 * PAD_PX);
  const pxPerMs = open > 0 ? free / open : 0;
  let left = 0;
  const breaks = [];
  const placed = pieces.map((piece, index) => {
    const at = left + PAD_PX;
    left = at + (piece.to - piece.from) * pxPerMs + PAD_PX;
    const next = pieces[index + 1];
    if (next) {
      breaks.push({ from: piece.to, to: next.from, left, width: breakPx });
      left += breakPx;
    }
    return { ...piece, left: at };
  });
  return { x: (at) => place(at, placed, breaks, pxPerMs), breaks, pieces: placed, pxPerMs };
}

/** A round number of ms that fits into the picture several times: 1, 2 or 5 of a power of ten, or of minutes and hours.
 * @param {number} pxPerMs @param {number} px how far apart they are at least
 */
export function roundStep(pxPerMs, px) {
  const least = px / pxPerMs;
  const steps = [];
  for (let power = 1; power <= 10_000; power *= 10) steps.push(power, 2 * power, 5 * power);
  steps.push(15_000, 30_000, 60_000, 120_000, 300_000, 900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000);
  return steps.sort((a, b) => a - b).find((step) => step >= least) ?? Math.ceil(least / 86_400_000) * 86_400_000;
}

/** @param {Span[]} spans */
function joined(spans) {
  /** @type {Span[]} */
  const all = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = all.at(-1);
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to);
    else all.push({ ...span });
  }
  return all.length ? all : [{ from: 0, to: 0 }];
}

/** Cuts out the longest waits, one after the other, until none takes too much of the rest. @returns {Span[]} the cut */
function longestWaits(spans, limit) {
  const waits = spans.slice(1).map((span, index) => ({ from: spans[index].to, to: span.from }));
  waits.sort((a, b) => b.to - b.from - (a.to - a.from));
  let open = spans.at(-1).to - spans[0].from;
  const cut = [];
  for (const wait of waits.slice(0, limit)) {
    const length = wait.to - wait.from;
    if (length < open * WORTH_A_BREAK || length >= open) break;
    cut.push(wait);
    open -= length;
  }
  return cut.sort((a, b) => a.from - b.from);
}

/** @returns {Span[]} */
function piecesOf(spans, cut) {
  const ends = [...cut.map((wait) => wait.from), spans.at(-1).to];
  const starts = [spans[0].from, ...cut.map((wait) => wait.to)];
  return starts.map((from, index) => ({ from, to: ends[index] }));
}

function place(at, pieces, breaks, pxPerMs) {
  for (const [index, piece] of pieces.entries()) {
    if (at <= piece.to || index === pieces.length - 1) return piece.left + Math.max(0, at - piece.from) * pxPerMs;
    const wait = breaks[index];
    if (at < wait.to) return wait.left + ((at - wait.from) / (wait.to - wait.from)) * wait.width;
  }
  return 0;
}
