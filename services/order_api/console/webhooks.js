/** `#/webhooks`: the requests to the address of webhooks that were refused. */

import { get } from "/console/kit/api.js";
import { signedCurl } from "/console/kit/curl.js";
import { fill, h, reconcile } from "/console/kit/dom.js";
import { ago, duration } from "/console/kit/format.js";
import { badge, button, code, copyButton, emptyState, laidOut, problem } from "/console/kit/ui.js";

const PAGE = 50;
const BODY_KEPT = 4096; // characters; the service keeps no more

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} _place @param {import("./app.js").Context} context */
export function showWebhooks(outlet, _place, { config, live }) {
  let refused = [];
  let cursor = null;
  const list = h("ol", { class: "rows" });
  const state = h("div", {}, h("p", { class: "loading" }, "Reading…"));
  const pager = h("div", { class: "pager", hidden: true }, button("Show older ones", more));
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Refused webhooks"), h("p", {}, "What was sent to the address of webhooks and not taken: a signature that is missing, wrong or stale, or a body that is no event. Webhooks that were taken are with their order.")),
    h("section", { class: "card", "aria-label": "Refused webhooks" }, list, state, pager));

  async function read() {
    if (!config.development) return fill(state, emptyState({ title: "Only in development", text: "The service keeps the requests that it refuses only in development, in memory. How many there were is in the metrics." }));
    try {
      const page = await get("/api/webhooks/refused", { limit: PAGE });
      [refused, cursor] = [page.data, page.nextCursor];
      show();
    } catch (error) {
      if (error.status) fill(state, h("div", { class: "card-body" }, problem(error)));
    }
  }

  async function more() {
    const page = await get("/api/webhooks/refused", { limit: PAGE, cursor });
    [refused, cursor] = [[...refused, ...page.data], page.nextCursor];
    show();
  }

  function show() {
    reconcile(list, refused, { key: ({ id }) => id, version: () => "", render: row });
    pager.hidden = !cursor;
    fill(state, refused.length ? null : emptyState({
      title: "Nothing was refused",
      text: "Send one with no good signature to see it here:",
      command: `curl -i ${location.origin}/api/webhooks/payments \\\n  -H 'Content-Type: application/json' -H 'X-Signature: t=1,v1=00' \\\n  -d '{"id": "evt_forged"}'`,
    }));
  }

  read();
  const end = live.subscribe(({ again }) => again && !live.paused && read());
  const timer = setInterval(() => !live.paused && !document.hidden && read(), 2000);
  return { title: "Refused webhooks", refresh: read, close: () => (end(), clearInterval(timer)) };
}

function row(one) {
  const why = titleOf(one.responseBody);
  const folded = h("details", {}, h("summary", { class: "row refused", "data-row": true },
    badge("bad", String(one.status)), h("span", { class: "strong" }, why), h("span", { class: "soft" }, duration(one.durationMs)), h("span", { class: "soft end" }, ago(one.at))));
  folded.addEventListener("toggle", () => folded.open && folded.childElementCount === 1 && folded.append(bodyOf(one)));
  return h("li", {}, folded);
}

function bodyOf(one) {
  return h("div", { class: "moment-body" },
    h("div", { class: "side-by-side" },
      h("div", { class: "stack" }, h("h3", {}, "What came"), code(headerLines(one.requestHeaders), { label: `${one.method} ${one.path}` }), code(one.requestBody, { label: "Body" })),
      h("div", { class: "stack" }, h("h3", {}, "What was answered"), code(headerLines(one.responseHeaders), { label: `HTTP ${one.status}` }), code(laidOut(one.responseBody), { label: "Body" }))),
    h("div", { class: "row-of" }, copyButton(signedCurl({ path: one.path, body: one.requestBody }), "Copy as signed curl"), h("span", { class: "fine" }, one.requestBody.length >= BODY_KEPT && "The body is cut off. ", "The same body with a good signature, made when it runs with $WEBHOOK_SECRET of your shell.")));
}

function titleOf(body) {
  try {
    return JSON.parse(body).title ?? "Refused";
  } catch {
    return "Refused";
  }
}

function headerLines(headers) {
  return Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n");
}
