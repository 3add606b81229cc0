/** Money, times and durations as people read them. */

import { h } from "./dom.js";

// ISO 4217. The browser's own table follows another list (CLDR) and is wrong for some: IQD has three places, not none.
const DIGITS = Object.fromEntries([
  ..."BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ").map((code) => [code, 0]),
  ..."BHD IQD JOD KWD LYD OMR TND".split(" ").map((code) => [code, 3]),
  ..."CLF UYW".split(" ").map((code) => [code, 4]),
]);

/** How many decimal places a currency has. @param {string} currency */
export function digitsOf(currency) {
  return DIGITS[currency] ?? 2;
}

/** `1234.5, "USD"` is "1,234.50 USD". @param {number} amount in major units @param {string} currency */
export function money(amount, currency) {
  const digits = digitsOf(currency);
  const number = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${number.format(amount)} ${currency}`;
}

/** `123450, "USD"` is "1,234.50 USD". @param {number} minor in minor units @param {string} currency */
export function minorMoney(minor, currency) {
  return money(minor / 10 ** digitsOf(currency), currency);
}

/** @param {number} value */
export function count(value) {
  return new Intl.NumberFormat("en").format(value);
}

/** "14 ms", "1.25 s", "2 m 5 s", "3 h 10 m", "4 d 2 h". @param {number} ms */
export function duration(ms) {
  const of = Math.abs(ms);
  if (of < 1000) return `${Math.round(of)} ms`;
  if (of < 60_000) return `${trimmed(of / 1000, of < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(of / 1000);
  if (seconds < 3600) return two(seconds, 60, "m", "s");
  if (seconds < 86_400) return two(Math.round(seconds / 60), 60, "h", "m");
  return two(Math.round(seconds / 3600), 24, "d", "h");
}

/** "5 s ago", "in 2 m", or "now". @param {number} ms from then until now */
export function relative(ms) {
  if (Math.abs(ms) < 1000) return "now";
  const [value, unit] = coarse(Math.abs(ms) / 1000);
  return ms > 0 ? `${value} ${unit} ago` : `in ${value} ${unit}`;
}

/** The time of day here: "19:37:18", or with milliseconds. @param {string} at RFC 3339 */
export function timeOfDay(at, { ms = false } = {}) {
  const date = new Date(at);
  const text = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return ms ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

/** "23 Nov 2026, 19:37:18". @param {string} at RFC 3339 */
export function fullTime(at) {
  const day = new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${timeOfDay(at)}`;
}

/** `<time>` with how long ago it was, or how long it is until then. It updates itself. @param {string} at RFC 3339 */
export function ago(at) {
  const element = h("time", { datetime: at, title: `${fullTime(at)} here, ${at}`, "data-relative": true });
  refresh(/** @type {HTMLTimeElement} */ (element));
  return element;
}

/** `<time>` with the time of day. @param {string} at RFC 3339 */
export function clock(at, { ms = false } = {}) {
  return h("time", { datetime: at, title: `${fullTime(at)} here, ${at}` }, timeOfDay(at, { ms }));
}

/** "ord_…ece39e02": an id where there is little room. @param {string} id */
export function shortId(id) {
  const match = /^([a-z]{1,4}_).{9,}(.{8})$/s.exec(id);
  return match ? `${match[1]}…${match[2]}` : id;
}

/** "PartiallyRefunded" or "dead-letter" as words: "Partially refunded", "Dead letter". @param {string} name */
export function words(name) {
  const spaced = name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[-_.]+/g, " ").toLowerCase().trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function coarse(seconds) {
  if (seconds < 60) return [Math.floor(seconds), "s"];
  if (seconds < 3600) return [Math.floor(seconds / 60), "min"];
  if (seconds < 86_400) return [Math.floor(seconds / 3600), "h"];
  return [Math.floor(seconds / 86_400), "d"];
}

function two(value, base, large, small) {
  const rest = value % base;
  return `${Math.floor(value / base)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

function trimmed(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/** @param {HTMLTimeElement} element */
function refresh(element) {
  const text = relative(Date.now() - Date.parse(element.dateTime));
  if (element.textContent !== text) element.textContent = text;
}

setInterval(() => document.querySelectorAll("time[data-relative]").forEach(refresh), 1000);
