/**
 * The provider's time, by which charges settle and deliveries are due. A test may freeze it or move it ahead, so "in 5 s"
 * must be counted by it and not by the time of the browser.
 */

import { get } from "/console/kit/api.js";
import { h } from "/console/kit/dom.js";
import { fullTime, relative } from "/console/kit/format.js";

/**
 * @typedef {object} Clock the answer to `GET /v1/test/clock`
 * @property {string} now
 * @property {"running" | "frozen" | "advancing"} state
 * @property {string | null} advancingTo
 * @property {number} aheadSeconds
 * @property {{ what: string, at: string }[]} next
 */

const REAL_MS = 2000; // a smaller difference may be the time that the request took
const ADVANCING_POLL_MS = 300;

/** @type {{ clock: Clock | null, readAt: number }} */
let known = { clock: null, readAt: 0 };
/** @type {Set<(clock: Clock) => void>} */
const watchers = new Set();
let timer = 0;

/** The provider's time, in ms. */
export function gatewayNow() {
  const { clock, readAt } = known;
  if (!clock) return Date.now();
  const passed = clock.state === "running" ? performance.now() - readAt : 0;
  return Date.parse(clock.now) + passed;
}

/** Whether its time runs, and is real time. @param {Clock} clock */
export function isReal({ state, aheadSeconds }) {
  return state === "running" && Math.abs(aheadSeconds) * 1000 < REAL_MS;
}

/** Whether its time stands still. */
export function isStill() {
  return known.clock !== null && known.clock.state !== "running";
}

/** Keeps the clock of an answer. @param {Clock} clock */
export function seeClock(clock) {
  known = { clock, readAt: performance.now() };
  for (const watcher of watchers) watcher(clock);
  refreshAll();
  clearTimeout(timer);
  if (clock.state === "advancing") timer = setTimeout(readClock, ADVANCING_POLL_MS);
}

/** Reads the clock. If that fails, the clock read before stays. */
export async function readClock() {
  await get("/v1/test/clock").then(seeClock, () => {});
}

/** Calls `watcher` at each read, and now if there was one. @param {(clock: Clock) => void} watcher @returns {() => void} ends it */
export function watchClock(watcher) {
  watchers.add(watcher);
  if (known.clock) watcher(known.clock);
  return () => watchers.delete(watcher);
}

/** Reads the clock now, and whenever it may have changed. @param {import("/console/kit/stream.js").Live} live */
export function followClock(live) {
  live.subscribe(({ ids, again }) => (again || ids.has("clock")) && readClock());
  readClock();
}

/** `<time>`: how long ago by the provider's time, or how long until then. @param {string} at RFC 3339 */
export function when(at) {
  const element = h("time", { datetime: at, title: `${fullTime(at)} here, ${at}`, "data-gateway-time": true });
  refresh(/** @type {HTMLTimeElement} */ (element));
  return element;
}

/** @param {HTMLTimeElement} element */
function refresh(element) {
  const text = relative(gatewayNow() - Date.parse(element.dateTime));
  if (element.textContent !== text) element.textContent = text;
}

function refreshAll() {
  document.querySelectorAll("time[data-gateway-time]").forEach(refresh);
}

setInterval(refreshAll, 1000);
