/** `#/outbox`: the calls of the provider that are not done. */

import { get } from "/console/kit/api.js";
import { fill, h, reconcile } from "/console/kit/dom.js";
import { ago, shortId } from "/console/kit/format.js";
import { link } from "/console/kit/router.js";
import { badge, button, details, emptyState, facts, idChip, problem } from "/console/kit/ui.js";
import { redrive } from "./actions.js";
import { stateBadge } from "./words.js";

const PAGE = 50;
const STATES = [["", "All"], ["ready", "Waiting"], ["leased", "Being sent"], ["dead", "Given up"]];
const NOTHING = { "": "Every call is done", ready: "No call waits", leased: "No call is being sent", dead: "No call was given up" };

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place @param {import("./app.js").Context} context */
export function showOutbox(outlet, place, { live }) {
  let chosen = place.query.get("state") ?? "";
  let messages = [];
  let cursor = null;
  const chips = h("nav", { class: "chips", "aria-label": "Filters" });
  const list = h("ol", { class: "rows" });
  const state = h("div", {}, h("p", { class: "loading" }, "Reading…"));
  const pager = h("div", { class: "pager", hidden: true }, button("Show older calls", more));
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Outbox"), h("p", {}, "Calls of the provider that are not done. Each was written together with the decision to move money, and is sent until its outcome is known.")),
    chips, h("section", { class: "card outbox-card", "aria-label": "Calls" }, list, state, pager));

  async function read() {
    fill(chips, STATES.map(([value, name]) => h("a", { class: "chip", href: link("/outbox", { state: value }), "aria-current": value === chosen ? "true" : null }, name)));
    try {
      ({ data: messages, nextCursor: cursor } = await get("/api/outbox", { state: chosen, limit: PAGE }));
      show();
    } catch (error) {
      if (error.status) fill(state, h("div", { class: "card-body" }, problem(error)));
    }
  }

  async function more() {
    const page = await get("/api/outbox", { state: chosen, limit: PAGE, cursor });
    messages = [...messages, ...page.data];
    cursor = page.nextCursor;
    show();
  }

  function show() {
    reconcile(list, messages, { key: ({ id }) => id, version: (message) => JSON.stringify(message), render: (message) => row(message, read) });
    pager.hidden = !cursor;
    fill(state, messages.length ? null : emptyState({ title: NOTHING[chosen] ?? "There is nothing", text: "What waits for the provider, and what was given up, stands here." }));
  }

  read();
  const end = live.subscribe(() => !live.paused && read());
  return { title: "Outbox", refresh: read, close: end, update: (query) => ((chosen = query.get("state") ?? ""), read()) };
}

function row(message, changed) {
  if (message.unreadable) return h("li", { class: "message" }, badge("bad", "Unreadable"), idChip(message.id));
  const isDead = message.state === "dead";
  return h("li", { class: "message" },
    h("div", { class: "message-head" }, stateBadge(message.state), h("strong", {}, message.kind === "charge" ? "Charge" : "Refund"), h("span", { class: "soft" }, "of ", h("a", { class: "mono", href: link(`/orders/${message.orderId}`), "data-row": true, title: message.orderId }, shortId(message.orderId))),
      h("span", { class: "soft" }, `${message.attempts} ${message.attempts === 1 ? "attempt" : "attempts"}`),
      message.nextAttemptAt && message.state === "ready" && h("span", { class: "soft" }, "next ", ago(message.nextAttemptAt)),
      isDead && button("Send it again", () => redrive(message.id, changed), { small: true })),
    message.lastError && h("p", { class: "mono message-error" }, message.lastError),
    h("p", { class: "soft" }, message.explanation),
    details("Details", () => facts([["Id", idChip(message.id)], ["Order", idChip(message.orderId, { href: link(`/orders/${message.orderId}`) })], ["Refund", message.refundId && idChip(message.refundId)], ["Written", ago(message.createdAt)], ["First attempt", message.firstAttemptAt && ago(message.firstAttemptAt)], ["Sent again by hand", message.redrives > 0 && `${message.redrives} times`]])));
}
