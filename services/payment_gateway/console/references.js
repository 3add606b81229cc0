/** Everything about one reference on one line of time: the request, the charge, its events, and each attempt to deliver them. */

import { get } from "/console/kit/api.js";
import { h, fill, reconcile } from "/console/kit/dom.js";
import { clock, duration, minorMoney } from "/console/kit/format.js";
import { icon } from "/console/kit/icons.js";
import { timeline } from "/console/kit/timeline.js";
import { badge, code, copyButton, emptyState, facts, idChip, laidOut, problem } from "/console/kit/ui.js";
import { attemptView } from "./attempts.js";
import { chargeActions } from "./charge_actions.js";
import { endpointName, readEndpoints } from "./endpoint_names.js";
import { gatewayNow, isStill, when } from "./gateway_time.js";
import { message } from "./message.js";
import { referenceOf } from "./requests.js";
import { resendButtons } from "./resend.js";
import { story, summaryOf } from "./story.js";

const TICK_MS = 1000;
const TONES = { pending: "wait", succeeded: "good", failed: "bad" };

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place */
export function referenceView(outlet, { params: [reference] }, { live, config }) {
  const head = h("div", { class: "view-head" }, h("h1", { tabindex: -1, class: "mono reference" }, reference), copyButton(reference, "Copy reference", { quiet: true }));
  const links = h("div", { class: "row-of" });
  const top = h("div");
  const list = h("ol", { class: "rows moments", "aria-label": "What happened, the earliest first" });
  const picture = timeline({ lanes: [], summary: "", select: (key) => reveal(list, key) });
  const pictured = h("section", { class: "card", "aria-label": "Timeline", hidden: true }, h("div", { class: "card-head" }, h("h2", {}, "Timeline"), h("p", {}, "drawn to scale")), h("div", { class: "card-body" }, picture.element));
  const told = h("section", { class: "card", "aria-label": "Moments", hidden: true }, list);
  const state = h("div", {}, h("p", { class: "loading" }, "Reading…"));
  head.append(links);
  outlet.append(head, top, state, pictured, told);
  list.addEventListener("focusin", (event) => picture.mark(event.target.closest("[data-key]")?.dataset.key ?? null));
  /** @type {import("./story.js").Found | null} */
  let found = null;
  let goesOn = false;
  let isClosed = false;

  async function read() {
    try {
      const next = await everythingAbout(reference, config);
      if (isClosed) return;
      found = next;
      show();
    } catch (error) {
      if (!found) fill(state, problem(error));
    }
  }

  function show() {
    const { charges } = found;
    const isEmpty = !charges.length && !found.requests.length;
    pictured.hidden = told.hidden = isEmpty;
    fill(state, isEmpty && h("div", { class: "card" }, emptyState({ title: "Nothing is known of this reference", text: "There is no charge with it. A reset may have taken it." })));
    fill(links, config.orderConsoleUrl && orderId(reference) && h("a", { class: "button small", href: `${config.orderConsoleUrl}/#/orders/${orderId(reference)}` }, "The order", icon("out")));
    fill(top, charges.map((charge) => chargeCard(charge, found, config)));
    const { moments } = draw();
    const start = moments[0]?.at ?? 0;
    reconcile(list, moments, { key: (one) => one.key, version: (one) => `${one.word} ${one.at} ${one.of?.status ?? ""}`, render: (one) => momentRow(one, start, config) });
  }

  function draw() {
    const all = story(found, { now: gatewayNow(), nameOf: endpointName });
    goesOn = all.goesOn;
    picture.update({ lanes: all.lanes, summary: `${summaryOf(found)} under the reference ${reference}`, now: goesOn ? gatewayNow() : null });
    return all;
  }

  const timer = setInterval(() => goesOn && !live.paused && !isStill() && draw(), TICK_MS);
  const end = live.subscribe(({ ids, again }) => {
    if (!live.paused && (again || [...ids.keys()].some((id) => /^(ch|dlv|req|we)_/.test(id)))) read();
  });
  read();
  return { title: reference, refresh: read, up: () => "#/charges", close: () => ((isClosed = true), clearInterval(timer), end(), picture.close()) };
}

/** @returns {Promise<import("./story.js").Found>} */
async function everythingAbout(reference, config) {
  const of = { reference, limit: 100 };
  const [charges, disputes, events, deliveries, requests] = await Promise.all([
    ...["charges", "disputes", "events", "deliveries"].map(async (kind) => (await get(`/v1/${kind}`, of)).data),
    config.testEndpoints && config.development ? requestsAbout(reference) : [],
    readEndpoints(),
  ]);
  const refunds = await Promise.all(charges.map(async ({ id }) => (await get("/v1/refunds", { chargeId: id, limit: 100 })).data));
  const own = new Set(charges.map(({ id }) => id));
  const theirs = requests.filter((one) => referenceOf(one) === reference || own.has(/^\/v1\/charges\/([^/?]+)/.exec(one.path)?.[1] ?? ""));
  return { charges: charges.reverse(), disputes, events, deliveries, refunds: refunds.flat(), requests: theirs };
}

async function requestsAbout(reference) {
  const { data } = await get("/v1/test/requests", { limit: 100 }).catch(() => ({ data: [] }));
  return data.filter((one) => one.method === "POST");
}

/** The order of a reference: at order_api each attempt to pay has a reference of its own, `ord_….2`. */
function orderId(reference) {
  return /^(ord_[0-9a-f]+)(\.\d+)?$/.exec(reference)?.[1] ?? "";
}

function chargeCard(charge, { refunds, disputes }, config) {
  const own = ({ chargeId }) => chargeId === charge.id;
  return h("section", { class: "card charge-card", "aria-label": "Charge" },
    h("div", { class: "card-body charge-line" },
      h("div", { class: "row-of" }, h("strong", { class: "amount" }, minorMoney(charge.amount, charge.currency)), badge(TONES[charge.status], charge.failureCode ?? charge.status)),
      facts([
        ["Charge", idChip(charge.id)],
        ["Payment method", h("code", {}, charge.paymentMethod)],
        ["Created", when(charge.createdAt)],
        ["Settled", charge.settledAt && `after ${duration(Date.parse(charge.settledAt) - Date.parse(charge.createdAt))}`],
        ["Refunded", charge.amountRefunded > 0 && minorMoney(charge.amountRefunded, charge.currency)],
        ["Disputed", disputes.filter(own).map(({ status }) => status).join(", ")],
      ]),
      h("div", { class: "row-of" }, chargeActions(charge, disputes.filter(own), config))));
}

/** @param {import("./story.js").Moment} one */
function momentRow(one, start, config) {
  const element = h("details", { class: "moment" }, h("summary", { "data-row": true },
    h("span", { class: "moment-at mono" }, `+${duration(one.at - start)}`),
    h("span", { class: "moment-kind" }, one.kind),
    badge(one.tone, one.word),
    h("span", { class: "clip moment-text" }, one.text),
    h("span", { class: "soft moment-clock" }, clock(new Date(one.at).toISOString(), { ms: true }))));
  element.addEventListener("toggle", () => element.open && element.childElementCount === 1 && element.append(h("div", { class: "moment-body" }, more(one, config))));
  return h("li", {}, element);
}

/** @param {import("./story.js").Moment} one */
function more({ kind, of }, config) {
  if (kind === "Request") return h("div", { class: "side-by-side" }, message("Request", of.requestHeaders, of.requestBody, "It has no body."), message(of.status ? `Answer ${of.status}` : "No answer", of.responseHeaders, of.responseBody, "The connection was closed without an answer."));
  if (kind === "Event") return h("div", { class: "stack" }, h("div", { class: "row-of" }, resendButtons({ eventId: of.id }, config)), code(JSON.stringify(of, null, 2), { label: "Event" }));
  if (kind !== "Attempt") return code(laidOut(JSON.stringify(of)), { label: kind });
  const { delivery, attempt } = of;
  if (attempt) return attemptView(attempt, delivery, { open: true });
  return h("div", { class: "stack" }, h("p", {}, "It is due ", when(delivery.nextAttemptAt), "."), h("div", { class: "row-of" }, resendButtons(delivery, config)));
}

/** Opens the moment in the list that was clicked in the picture. */
function reveal(list, key) {
  const row = [...list.children].find((one) => one.dataset.key === key)?.querySelector("details");
  if (!row) return;
  row.open = true;
  row.querySelector("summary").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
