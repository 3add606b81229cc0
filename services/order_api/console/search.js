/** The search box: `ORD-1 status:failed review:open from:2026-11-01 to:2026-11-30`, as the API's query. */

import { get } from "/console/kit/api.js";

export const STATUSES = ["Pending", "Paid", "Failed", "Cancelled", "PartiallyRefunded", "Refunded"];

/**
 * @typedef {object} Search
 * @property {Record<string, string>} query of GET /api/orders
 * @property {string[]} hints what is wrong with the search, in plain words; if there are any, the API is not asked
 */

/** @param {string} text @returns {Search} */
export function parseSearch(text) {
  /** @type {Search} */
  const search = { query: {}, hints: [] };
  const free = [];
  for (const [, quoted, word] of text.matchAll(/"([^"]*)"|(\S+)/g)) {
    const filter = quoted === undefined ? /^([A-Za-z]+):(.*)$/.exec(word) : null;
    if (!filter) free.push(quoted ?? word);
    else apply(search, filter[1].toLowerCase(), filter[2]);
  }
  if (free.length) search.query.orderNumber = free.join(" ");
  return search;
}

/** The search with another value for one filter, or without it. @param {string} text @param {string} name @param {string} [value] */
export function withFilter(text, name, value = "") {
  const others = text.split(/\s+/).filter((word) => word && !word.toLowerCase().startsWith(`${name}:`));
  return [...others, value && `${name}:${value}`].filter(Boolean).join(" ");
}

/** @param {string} text @returns {string | null} */
export function orderIdIn(text) {
  return /^ord_[0-9a-f]{32}$/.exec(text)?.[0] ?? null;
}

/** The id of the only order that the search finds by its number alone. @param {string} text @returns {Promise<string | null>} */
export async function orderWithNumber(text) {
  const { query, hints } = parseSearch(text);
  if (hints.length || !query.orderNumber || Object.keys(query).length > 1 || query.orderNumber.length > 64) return null;
  const { data } = await get("/api/orders", { orderNumber: query.orderNumber, limit: 2 });
  return data.length === 1 ? data[0].id : null;
}

/** @param {Search} search */
function apply(search, name, value) {
  if (name === "status") applyStatus(search, value);
  else if (name === "review") applyReview(search, value);
  else if (name === "from" || name === "to") applyDay(search, name, value);
  else search.hints.push(`“${name}:” is no filter. The filters are status:, review:, from: and to:. An order number with a colon goes in quotes: "${name}:${value}".`);
}

function applyStatus(search, value) {
  const plain = (text) => text.toLowerCase().replace(/[-_]/g, "");
  const status = STATUSES.find((one) => plain(one) === plain(value));
  if (status) search.query.status = status;
  else search.hints.push(`“${value}” is no status. There are ${STATUSES.map((one) => one.toLowerCase()).join(", ")}.`);
}

function applyReview(search, value) {
  if (value && value.length <= 64) search.query.review = value.toLowerCase();
  else search.hints.push("Write review:open, or review: with the code of one, such as review:dispute.");
}

/** A day is one of the browser's time zone; `to:` includes it. */
function applyDay(search, name, value) {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(value);
  const at = new Date(isDay ? `${value}T00:00` : value);
  if (!/^\d{4}-\d{2}-\d{2}/.test(value) || Number.isNaN(at.getTime())) {
    search.hints.push(`Write ${name}: with a day or a time, such as ${name}:2026-11-28 or ${name}:2026-11-28T12:00.`);
    return;
  }
  if (isDay && name === "to") at.setDate(at.getDate() + 1);
  search.query[name === "from" ? "createdFrom" : "createdTo"] = at.toISOString();
}
