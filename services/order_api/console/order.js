/** `#/orders/<id>`: one order, its picture in time, every moment of it, and what can be done. */

import { get } from "/console/kit/api.js";
import { curl } from "/console/kit/curl.js";
import { fill, h } from "/console/kit/dom.js";
import { ago, duration, fullTime, money } from "/console/kit/format.js";
import { icon } from "/console/kit/icons.js";
import { link } from "/console/kit/router.js";
import { timeline } from "/console/kit/timeline.js";
import { banner, button, copyButton, emptyState, facts, idChip, problem } from "/console/kit/ui.js";
import { actionsFor, redrive, resolve } from "./actions.js";
import { cardName } from "./cards.js";
import { lanesOf } from "./lanes.js";
import { momentsOf, showMoments } from "./moments.js";
import { lastList } from "./orders.js";
import { requestOf } from "./sent.js";
import { reviewText, stateBadge } from "./words.js";

const EVENT_PAGES_MAX = 5;
const EVENTS_PAGE = 100;
const REFUNDABLE = new Set(["refund-failed", "second-charge"]); // the reviews whose decision may be to give money back

/** All that is known of one order. @typedef {{ order: any, timeline: any[], events: any[], messages: any[] }} Known */

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place @param {import("./app.js").Context} context */
export function showOrder(outlet, { params: [id] }, { config, live }) {
  const view = { title: id, refresh: read, up: lastList, close };
  const head = h("div", { class: "order-head" });
  const alerts = h("div", { class: "stack order-alerts" });
  const picture = timeline({ lanes: [], summary: "", select: (key) => moments.open(key) });
  const moments = showMoments({ mark: picture.mark });
  const heading = h("h1", { tabindex: -1, class: "order-number" }, h("bdi", {}, id));
  const body = h("div", {},
    h("section", { class: "card", "aria-labelledby": "timeline-title" }, h("div", { class: "card-head" }, h("h2", { id: "timeline-title" }, "Timeline"), h("p", { class: "took" })), h("div", { class: "card-body" }, picture.element)),
    h("section", { class: "card", "aria-labelledby": "moments-title" }, h("div", { class: "card-head" }, h("h2", { id: "moments-title" }, "Every moment"), h("p", {}, "Open one to see all that is kept of it.")), moments.element));
  const state = h("div", {}, h("p", { class: "loading" }, "Reading…"));
  outlet.append(h("a", { class: "back", href: lastList() }, icon("back"), "Orders"), head, alerts, state);
  head.append(heading);

  /** @type {Known | null} */
  let known = null;
  let reading = new AbortController();
  const ticking = setInterval(() => known && isGoingOn(known) && !live.paused && draw(), 1000);

  async function read() {
    reading.abort();
    reading = new AbortController();
    try {
      known = await readAll(id, reading.signal);
      view.title = known.order.orderNumber;
      document.title = document.title.replace(/^.*(?= · )/s, () => known.order.orderNumber);
      show();
    } catch (error) {
      if (error.name === "AbortError" || (known && !error.status)) return;
      if (error.status === 404) fill(state, emptyState({ title: "There is no such order", text: "It may belong to another API key.", action: h("a", { class: "button", href: link("/orders") }, "Show all orders") }));
      else fill(state, problem(error));
    }
  }

  function show() {
    fill(heading, h("bdi", {}, known.order.orderNumber));
    fill(head, ...headOf(known, config, heading, read));
    fill(alerts, ...alertsOf(known, read));
    if (body.parentNode !== state) fill(state, body);
    moments.update(momentsOf(known, requestOf(id)));
    draw();
  }

  function draw() {
    const now = isGoingOn(known) ? Date.now() : null;
    picture.update(lanesOf(known, now));
    fill(body.querySelector(".took"), tookOf(known.order));
  }

  function close() {
    end();
    clearInterval(ticking);
    reading.abort();
    picture.close();
  }

  const end = live.subscribe(({ ids, again }) => {
    if (!live.paused && (again || ids.has(id))) read();
  });
  read();
  return view;
}

/** @returns {Promise<Known>} */
async function readAll(id, signal) {
  const path = `/api/orders/${encodeURIComponent(id)}`;
  const [order, { data }, events] = await Promise.all([get(path, {}, signal), get(`${path}/timeline`, {}, signal), readEvents(`${path}/events`, signal)]);
  const isOpen = data.some(({ kind, state }) => kind === "call" && (state === "open" || state === "dead"));
  // The explanation of a call is in the outbox. Only its first page is read, so a call further down shows none.
  const messages = isOpen ? (await get("/api/outbox", { limit: 100 }, signal)).data.filter(({ orderId }) => orderId === id) : [];
  return { order, timeline: data, events, messages };
}

async function readEvents(path, signal) {
  let [events, cursor] = [[], null];
  for (let page = 0; page < EVENT_PAGES_MAX; page++) {
    const { data, nextCursor } = await get(path, { limit: EVENTS_PAGE, cursor }, signal);
    events = [...events, ...data];
    cursor = nextCursor;
    if (!cursor) break;
  }
  return events;
}

/** Whether something is still to come, so that the picture has a line for now. @param {Known} known */
function isGoingOn({ order, timeline: moments }) {
  return order.status === "Pending" || order.refunds.some(({ state }) => state === "requested") || moments.some(({ kind, state }) => kind === "call" && state === "open");
}

function headOf(known, config, heading, changed) {
  const { order } = known;
  const path = `/api/orders/${order.id}`;
  const gateway = config.gatewayConsoleUrl?.replace(/\/$/, "");
  const method = order.payments.at(-1)?.paymentMethod ?? order.paymentMethod;
  const card = cardName(method);
  return [
    h("div", { class: "order-title" }, heading, stateBadge(order.status), h("span", { class: "order-amount" }, money(order.amount, order.currency))),
    h("div", { class: "row-of order-actions" }, actionsFor(known, changed), copyButton(curl({ method: "GET", path }), "Copy as curl"),
      gateway && h("a", { class: "button small", href: `${gateway}/#/references/${order.id}` }, "At the gateway", icon("out"))),
    facts([
      ["Order id", idChip(order.id, { label: "order id" })],
      ["Placed", h("span", { title: order.createdAt }, fullTime(order.createdAt), " (", ago(order.createdAt), ")")],
      ["Card", h("span", {}, card && `${card} `, h("code", { class: "soft" }, method))],
      ["Payments", order.payments.length > 1 && order.payments.map(({ state }) => state).join(", then ")],
      ["Refunded", order.refundedAmount > 0 && money(order.refundedAmount, order.currency)],
      ["Disputed", order.disputedAmount > 0 && money(order.disputedAmount, order.currency)],
      ...Object.entries(order.metadata).map(([name, value]) => [h("bdi", {}, name), h("bdi", {}, value)]),
    ]),
  ];
}

/** The things that need a person: open reviews, and calls that were given up. */
function alertsOf({ order, timeline: moments, messages }, changed) {
  const calls = moments.filter(({ kind, state }) => kind === "call" && state === "dead");
  const dead = calls.map(({ id, type }) => messages.find((message) => message.id === id) ?? { id, kind: type });
  const open = order.reviews.filter(({ resolvedAt }) => resolvedAt === null);
  const reviewOf = (message) => open.find(({ code, eventId }) => code === "dead-letter" && eventId.split("~")[0] === message.id);
  const others = open.filter((review) => !dead.some((message) => reviewOf(message) === review));
  return [
    ...dead.map((message) => banner("bad",
      h("p", {}, h("strong", {}, `The call for the ${message.kind} was given up${message.attempts ? ` after ${message.attempts} attempts` : ""}.`)), message.explanation && h("p", {}, message.explanation), message.lastError && h("p", { class: "fine" }, message.lastError),
      h("div", { class: "row-of banner-actions" }, button("Send it again", () => redrive(message.id, changed), { small: true }),
        reviewOf(message) && button("Leave it so", () => resolve(order, reviewOf(message), "accept", changed), { small: true })))),
    ...others.map((review) => banner("warn",
      h("p", {}, h("strong", {}, reviewText(review.code)), " ", h("code", {}, review.code)), h("p", {}, h("bdi", {}, review.detail)),
      h("div", { class: "row-of banner-actions" }, button("Accept", () => resolve(order, review, "accept", changed), { small: true }),
        REFUNDABLE.has(review.code) && button("Refund", () => resolve(order, review, "refund", changed), { small: true })))),
  ];
}

function tookOf(order) {
  const paid = order.history.find(({ status }) => status === "Paid");
  if (paid) return `Paid after ${duration(Date.parse(paid.at) - Date.parse(order.createdAt))}`;
  return order.status === "Pending" ? ["Waiting for ", duration(Date.now() - Date.parse(order.createdAt))] : "";
}
