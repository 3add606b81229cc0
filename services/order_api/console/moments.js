/** The list below the picture: every moment in a sentence, which unfolds into all that is stored about it. */

import { curl, signedCurl } from "/console/kit/curl.js";
import { h, reconcile } from "/console/kit/dom.js";
import { duration, money, timeOfDay, words } from "/console/kit/format.js";
import { code, copyButton, facts, idChip, laidOut } from "/console/kit/ui.js";
import { keyOf } from "./lanes.js";
import { momentBadge, momentTone, reviewText, stateBadge } from "./words.js";

const WEBHOOKS = "/api/webhooks/payments";
const NAMES = { placed: "Request", call: "Call", attempt: "Attempt", charge: "Charge", event: "Event", refund: "Refund", dispute: "Dispute", review: "Review", status: "Status" };
const CAUSES = { merchant: "asked for by the merchant", cancelled: "because the order was cancelled", duplicateCharge: "because it was charged twice", provider: "made by hand at the provider" };

const REFUNDED = { succeeded: "given back", failed: "not given back", refused: "not given back" };

/**
 * @typedef {object} Shown One moment with what belongs to it.
 * @property {any} moment as the timeline has it
 * @property {string} key
 * @property {number} after ms since the order was placed
 * @property {any} order
 * @property {any} [event] @property {any} [message] @property {any} [request]
 */

/** @param {import("./order.js").Known} known @param {any} request the one that placed it, if this tab sent it @returns {Shown[]} */
export function momentsOf({ order, timeline, events, messages }, request) {
  const started = Date.parse(order.createdAt);
  return timeline.map((moment) => ({
    moment,
    order,
    key: keyOf(moment),
    after: Date.parse(moment.at) - started,
    event: moment.kind === "event" ? events.find((one) => one.id === moment.id && one.receivedAt === moment.at) : null,
    message: moment.kind === "call" ? messages.find((one) => one.id === moment.id) : null,
    request: moment.kind === "placed" ? request : null,
  }));
}

/** @param {{ mark: (key: string | null) => void }} picture */
export function showMoments({ mark }) {
  const element = h("ol", { class: "moments" });
  const open = (key) => {
    const item = [...element.children].find((child) => child.dataset.key.startsWith(key));
    if (!item) return;
    const folded = item.querySelector("details");
    folded.open = true;
    folded.querySelector("summary").focus({ preventScroll: true });
    item.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  };
  const update = (/** @type {Shown[]} */ shown) => reconcile(element, unlike(shown), { key: ({ key }) => key, version: (one) => JSON.stringify([one.moment, one.event?.timesReceived, one.message]), render: (one) => item(one, mark) });
  return { element, open, update };
}

/** Makes keys unique, because two moments may be alike to the millisecond. */
function unlike(shown) {
  const seen = new Map();
  return shown.map((one) => {
    const number = seen.get(one.key) ?? 0;
    seen.set(one.key, number + 1);
    return number ? { ...one, key: `${one.key} ${number}` } : one;
  });
}

function item(one, mark) {
  const { moment, after, key } = one;
  const summary = h("summary", { class: "moment", "data-row": true },
    h("span", { class: "moment-time", title: moment.at }, h("span", {}, after ? `+${duration(after)}` : "0"), h("small", {}, timeOfDay(moment.at, { ms: true }))),
    h("span", { class: `moment-dot tone-${momentTone(moment)}`, "aria-hidden": "true" }),
    h("span", { class: "moment-text" }, h("span", { class: "moment-kind" }, NAMES[moment.kind]), h("bdi", {}, sentence(one))),
    h("span", { class: "moment-state" }, moment.state && moment.kind !== "status" ? momentBadge(moment) : null));
  const folded = h("details", {}, summary);
  folded.addEventListener("toggle", () => folded.open && folded.childElementCount === 1 && folded.append(h("div", { class: "moment-body" }, bodyOf(one))));
  return h("li", { onmouseenter: () => mark(key), onmouseleave: () => mark(null), onfocusin: () => mark(key), onfocusout: () => mark(null) }, folded);
}

function sentence({ moment, order }) {
  const amount = moment.amount === undefined ? "" : money(moment.amount, order.currency);
  switch (moment.kind) {
    case "placed": return `The order is placed: ${amount}`;
    case "status": return `The order is ${words(moment.state).toLowerCase()}`;
    case "call": return `The provider is to be asked for the ${moment.type}`;
    case "attempt": return `Asked for the ${moment.type}: ${moment.state === "accepted" ? "accepted" : moment.reason ?? moment.state}, ${duration(moment.ms)}`;
    case "charge": return `${amount} ${moment.reason ? `not charged: ${words(moment.reason).toLowerCase()}` : moment.state === "pending" ? "to be charged" : "charged"}`;
    case "event": return `${moment.type} ${moment.source === "webhook" ? "came as a webhook" : "was fetched by reconciliation"}`;
    case "refund": return `${amount} ${REFUNDED[moment.state] ?? "to be given back"}, ${CAUSES[moment.reason] ?? moment.reason}`;
    case "dispute": return `${amount} disputed at the bank: ${words(moment.reason).toLowerCase()}`;
    case "review": return reviewText(moment.reason);
    default: return moment.kind;
  }
}

function bodyOf(one) {
  const { moment, order } = one;
  const raw = code(JSON.stringify(moment, null, 2), { label: "The moment, as GET …/timeline has it" });
  switch (moment.kind) {
    case "placed": return [...requestParts(one), raw];
    case "event": return one.event ? eventParts(one.event) : [raw];
    case "call": return [one.message && facts([["What this means", one.message.explanation], ["Attempts", one.message.attempts], ["Last error", one.message.lastError], ["Next attempt", one.message.nextAttemptAt]]), ids(moment), raw];
    case "attempt": return [facts([["Took", duration(moment.ms)], ["Result", moment.state], ["HTTP status", moment.status], ["Said", moment.reason], ["Idempotency-Key at the provider", idChip(moment.id, { whole: true, label: "key" })]]), raw];
    case "charge": return [ids(moment), fact("charge", order.charges, moment.id), raw];
    case "refund": return [ids(moment), fact("refund", order.refunds, moment.id), raw];
    case "dispute": return [ids(moment), fact("dispute", order.disputes, moment.id), raw];
    case "review": return [facts([["In detail", order.reviews.find((review) => review.eventId === moment.id && review.code === moment.reason)?.detail], ["Cause", idChip(moment.id, { whole: true, label: "cause" })]]), raw];
    default: return [facts([["Because", moment.reason]]), raw];
  }
}

function requestParts({ request }) {
  if (!request) return [h("p", { class: "soft" }, "This tab did not send the request, and the API does not tell keys, so it cannot be shown as it was sent.")];
  return [facts([["Idempotency-Key", idChip(request.headers["Idempotency-Key"], { whole: true, label: "key" })]]), code(curl(request), { label: "The request, as it was sent" })];
}

function eventParts(event) {
  const isWebhook = event.source === "webhook";
  return [
    facts([
      ["What became of it", [stateBadge(event.outcome), event.detail && ` ${event.detail}`]],
      ["Signature", isWebhook ? "valid: only then is an event kept" : "none: it was fetched from the provider"],
      ["Came", event.timesReceived === 1 ? "once" : `${event.timesReceived} times`],
      ["Event id", idChip(event.id, { label: "event id" })],
      ["Charge", event.chargeId && idChip(event.chargeId, { label: "charge id" })],
    ]),
    code(event.raw, { label: `The body, byte for byte: ${new TextEncoder().encode(event.raw).length} bytes` }),
    code(laidOut(event.raw), { label: "The same, laid out" }),
    h("div", { class: "row-of" }, copyButton(signedCurl({ path: WEBHOOKS, body: event.raw }), "Copy as signed curl"), h("span", { class: "fine" }, "It signs itself when it runs, with $WEBHOOK_SECRET of your shell.")),
  ];
}

function ids(moment) {
  return facts([["Id", idChip(moment.id, { whole: true })]]);
}

function fact(name, list, id) {
  const found = list.find((one) => one.id === id);
  return found && code(JSON.stringify(found, null, 2), { label: `The ${name}, as the order has it` });
}
