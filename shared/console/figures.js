/** Reads the numbers of `/metrics` and draws small pictures of them. A picture always has its numbers beside it. */

import { h } from "./dom.js";
import { authorization } from "./api.js";

/** @typedef {{ labels: Record<string, string>, value: number }} Sample */
/** @typedef {Map<string, Sample[]>} Metrics samples by name */

/** `GET /metrics`. @returns {Promise<Metrics>} */
export async function readMetrics() {
  const response = await fetch("/metrics", { headers: { Accept: "text/plain", ...authorization() }, cache: "no-store" });
  if (!response.ok) throw new Error(`/metrics answers ${response.status}`);
  return parseMetrics(await response.text());
}

/** Prometheus' text format 0.0.4. @param {string} text @returns {Metrics} */
export function parseMetrics(text) {
  /** @type {Metrics} */
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const [, name, labels = "", value] = match;
    if (!metrics.has(name)) metrics.set(name, []);
    metrics.get(name).push({ labels: labelsOf(labels), value: Number(value.replace("+Inf", "Infinity")) });
  }
  return metrics;
}

/** The sum of the samples that have these labels; null if there is none.
 * @param {Metrics} metrics @param {string} name @param {Record<string, string>} [labels]
 */
export function valueOf(metrics, name, labels = {}) {
  const found = (metrics.get(name) ?? []).filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  return found.length ? found.reduce((sum, { value }) => sum + value, 0) : null;
}

/** Values by a label. @param {Metrics} metrics @param {string} name @param {string} label @returns {[string, number][]} */
export function valuesBy(metrics, name, label) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { labels, value } of metrics.get(name) ?? []) sums.set(labels[label], (sums.get(labels[label]) ?? 0) + value);
  return [...sums];
}

/** The counts of a histogram in each of its buckets, not added up. @param {Metrics} metrics @param {string} name
 * @returns {{ upTo: number, count: number }[]}
 */
export function bucketsOf(metrics, name) {
  const upTo = valuesBy(metrics, `${name}_bucket`, "le").map(([le, value]) => [Number(le.replace("+Inf", "Infinity")), value]).sort((a, b) => a[0] - b[0]);
  return upTo.map(([bound, value], index) => ({ upTo: bound, count: value - (upTo[index - 1]?.[1] ?? 0) }));
}

/** Below which value a part of all lies, from 0 to 1, read off the buckets as Prometheus does; null without any. */
export function quantile(buckets, part) {
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  let left = total * part;
  for (const [index, { upTo, count }] of buckets.entries()) {
    const from = buckets[index - 1]?.upTo ?? 0;
    if (total && left <= count) return upTo === Infinity ? from : from + (upTo - from) * (left / (count || 1));
    left -= count;
  }
  return null;
}

/**
 * A bar for each thing, with its number.
 * @param {{ label: any, value: number, text?: string, tone?: import("./ui.js").Tone, href?: string }[]} rows
 */
export function bars(rows) {
  const most = Math.max(1, ...rows.map(({ value }) => value));
  return h("ul", { class: "bars" }, rows.map(({ label, value, text, tone = "info", href }) => {
    const bar = h("span", { class: "bar-track", "aria-hidden": "true" }, h("span", { class: `bar-fill tone-${tone}`, style: { width: `${(value / most) * 100}%` } }));
    const parts = [h("span", { class: "bar-label" }, label), bar, h("span", { class: "bar-value" }, text ?? String(value))];
    return h("li", {}, href ? h("a", { class: "bar", href }, parts) : h("div", { class: "bar" }, parts));
  }));
}

/**
 * Columns side by side, each with its number above and its name below.
 * @param {{ label: string, value: number, tone?: import("./ui.js").Tone }[]} columns
 */
export function columns(columns) {
  const most = Math.max(1, ...columns.map(({ value }) => value));
  return h("ol", { class: "columns" }, columns.map(({ label, value, tone = "info" }) =>
    h("li", { class: value ? null : "is-none" }, h("span", { class: "column-value" }, String(value)), h("span", { class: "column-track", "aria-hidden": "true" }, h("span", { class: `column-fill tone-${tone}`, style: { height: `${(value / most) * 100}%` } })), h("span", { class: "column-label" }, label))));
}

/** One number with what it means. @param {{ label: string, value: any, note?: any, tone?: import("./ui.js").Tone | "", href?: string }} options */
export function tile({ label, value, note = "", tone = "", href = "" }) {
  const parts = [h("span", { class: "tile-label" }, label), h("span", { class: "tile-value" }, value), note && h("span", { class: "tile-note" }, note)];
  const classes = `tile ${tone && `tone-${tone}`}`.trim();
  return href ? h("a", { class: classes, href }, parts) : h("div", { class: classes }, parts);
}

/** @param {string} text `a="x",b="y"` */
function labelsOf(text) {
  const pairs = [...text.matchAll(/(\w+)="((?:\\.|[^"\\])*)"/g)];
  return Object.fromEntries(pairs.map(([, name, value]) => [name, value.replace(/\\(.)/g, (_, char) => (char === "n" ? "\n" : char))]));
}
