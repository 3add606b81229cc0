/** The latest API calls of this process, each with its answer beside it. */

import { get } from "/console/kit/api.js";
import { curl } from "/console/kit/curl.js";
import { h } from "/console/kit/dom.js";
import { ago, clock } from "/console/kit/format.js";
import { here, link } from "/console/kit/router.js";
import { badge, copyButton, emptyState, facts } from "/console/kit/ui.js";
import { example } from "./examples.js";
import { referenceLink } from "./find.js";
import { liveList } from "./live_list.js";
import { message } from "./message.js";
import { split } from "./split.js";

/** @typedef {{ id: string, at: string, method: string, path: string, status: number, durationMs: number, key: string | null,
 *   replayed: boolean, fault: string | null, requestHeaders: Record<string, string>, requestBody: string,
 *   responseHeaders: Record<string, string>, responseBody: string }} Request */

const PAGES_MAX = 4; // read to find requests that match

/** @type {Record<string, [string, (one: Request) => boolean]>} */
const FILTERS = {
  "": ["All", () => true],
  write: ["Writes", (one) => one.method !== "GET"],
  refused: ["Refused", (one) => one.status >= 400],
  fault: ["With a fault", (one) => one.fault !== null],
  replayed: ["Replayed", (one) => one.replayed],
};

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place */
export function requestsView(outlet, { query }, { live, config }) {
  let only = query.get("only") ?? "";
  const list = liveList({
    live,
    label: "Requests",
    concerns: (id) => id.startsWith("req_"),
    read: (page) => matching(page, (FILTERS[only] ?? FILTERS[""])[1]),
    row: (one) => row(one, only),
    version: () => 1,
    empty: () => empty(only, config),
    head: h("div", { class: "rows-head requests-columns", "aria-hidden": "true" }, ["Status", "Request", "", "Took", "When"].map((name) => h("span", {}, name))),
  });
  const both = split(list.element, "One request");
  const filters = h("nav", { class: "chips", "aria-label": "Filter" });
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Requests"), filters,
      h("p", {}, "The last 1,000 calls of this process, without their secrets. They are kept in memory, in development only.")),
    both.element,
  );
  let opened = "";

  function open() {
    const id = here().query.get("id") ?? "";
    const one = list.find(id);
    list.select(id || null);
    if (id === opened) return;
    if (!id) both.shut();
    else if (one) both.open(detail(one), link("/requests", { only }));
    else return both.open(h("div", { class: "card" }, emptyState({ title: "This process does not remember that request", text: "It was too long ago, or the process has started anew since." })), link("/requests", { only }));
    opened = id;
    if (id) list.reveal();
  }

  function update(next) {
    const before = only;
    only = next.get("only") ?? "";
    filters.replaceChildren(...Object.entries(FILTERS).map(([value, [text]]) =>
      h("a", { class: "chip", href: link("/requests", { only: value }), "aria-current": value === only && "true" }, text)));
    if (before !== only) list.reload();
    else open();
  }

  list.onChange(open);
  update(query);
  list.reload();
  return { title: "Requests", update, refresh: list.refresh, close: list.close, up: () => link("/requests", { only }) };
}

/** A page of the requests that match. It reads several pages, so that a rare one is found. */
async function matching({ limit, cursor }, fits) {
  const data = [];
  for (let pages = 0; pages < PAGES_MAX && data.length < limit; pages++) {
    const page = await get("/v1/test/requests", { limit, cursor });
    data.push(...page.data.filter(fits));
    cursor = page.nextCursor;
    if (!cursor) break;
  }
  return { data, nextCursor: cursor };
}

/** @param {Request} one @param {string} only */
function row(one, only) {
  return h("a", { class: "row requests-columns", "data-row": true, href: link("/requests", { only, id: one.id }) },
    statusBadge(one.status),
    h("span", { class: "call" }, h("span", { class: "method" }, one.method), h("span", { class: "mono clip", title: one.path }, one.path), h("span", { class: "fine mono clip about" }, one.method === "POST" ? referenceOf(one) : null)),
    h("span", { class: "row-of marks" }, marks(one)),
    h("span", { class: "soft took" }, took(one.durationMs)),
    h("span", { class: "soft at" }, ago(one.at)));
}

/** @param {Request} one */
function marks({ fault, replayed }) {
  return [fault && badge("warn", fault.replaceAll("_", " ")), replayed && badge("info", "replayed")];
}

/** @param {number} status */
export function statusBadge(status) {
  if (!status) return badge("bad", "no answer");
  const tone = status < 300 ? "good" : status < 400 ? "info" : status < 500 ? "wait" : "bad";
  return badge(tone, String(status));
}

/** @param {number} ms */
export function took(ms) {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** @param {Request} one */
function detail(one) {
  const reference = referenceOf(one);
  const headers = Object.fromEntries(Object.entries(one.requestHeaders).filter(([name]) => ["content-type", "idempotency-key"].includes(name)));
  const again = curl({ method: one.method, path: one.path, headers, body: one.requestBody || null });
  return h("article", { class: "card" },
    h("div", { class: "card-head" }, h("h2", { class: "mono" }, one.method, " ", one.path), h("div", { class: "row-of" }, statusBadge(one.status), marks(one))),
    h("div", { class: "card-body stack" },
      facts([
        ["At", clock(one.at, { ms: true })],
        ["Took", took(one.durationMs)],
        ["Idempotency-Key", one.key && h("code", {}, one.key)],
        ["About", reference && h("a", { href: referenceLink(reference), class: "mono" }, reference)],
        ["Request id", one.responseHeaders["x-request-id"] && h("code", {}, one.responseHeaders["x-request-id"])],
      ]),
      h("div", { class: "row-of" }, copyButton(again, "Copy as curl")),
      h("div", { class: "side-by-side" },
        message("Request", one.requestHeaders, one.requestBody, "It has no body."),
        message(one.status ? `Answer ${one.status}` : "No answer", one.responseHeaders, one.responseBody, one.status ? "It has no body." : "The connection was closed without an answer."))));
}

/** The reference that a request is about, as far as it can be seen in it. @param {Request} one */
export function referenceOf({ requestBody, responseBody, path }) {
  for (const text of [responseBody, requestBody]) {
    try {
      const body = JSON.parse(text);
      const found = body.chargeReference ?? (path.startsWith("/v1/charges") && !path.includes("/refunds") ? body.reference : null);
      if (typeof found === "string") return found;
    } catch {
      // It is cut off, or not JSON.
    }
  }
  return new URLSearchParams(path.split("?")[1] ?? "").get("reference");
}

function empty(only, config) {
  if (only) return emptyState({ title: "No request is like that", text: "Of those that this process still remembers." });
  return emptyState({ title: "Nobody has called yet", text: "Paste this, and see it arrive.", command: example(config) });
}
