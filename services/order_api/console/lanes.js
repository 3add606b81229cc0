/** The lanes of an order's picture, from its timeline, its facts and the events' own bytes. Pure. */

import { duration, words } from "/console/kit/format.js";
import { toneOf } from "./words.js";

const LABEL_MAX = 28; // the list below has it in full
const OUTCOMES = { unavailable: "no usable answer", withdrawn: "not sent" };

/** The end of bands and bars that have not ended yet. */
const OPEN = Infinity;

/** @param {import("./order.js").Known} known @param {number | null} now */
export function lanesOf(known, now) {
  const { order } = known;
  const lanes = [
    { name: "Order", note: "its status", items: statusBands(order) },
    { name: "Requests", note: "to this API", items: requestPoints(known) },
    ...callLanes(known),
    { name: "Provider", note: "charges", items: chargeItems(known) },
    { name: "Webhooks", note: "received", items: eventPoints(known, "webhook") },
    { name: "Reconciliation", note: "asked for", items: eventPoints(known, "reconcile") },
    { name: "Refunds", items: order.refunds.flatMap(refundItems(known)) },
    { name: "Disputes", items: order.disputes.flatMap(disputeItems) },
    { name: "Reviews", note: "for a person", items: order.reviews.flatMap(reviewItems) },
  ];
  return { lanes, now, summary: summaryOf(known) };
}

/** The key that a moment of the list shares with its item of the picture. */
export function keyOf(moment) {
  return `${moment.kind} ${moment.id ?? ""} ${moment.at}`;
}

function statusBands(order) {
  return order.history.map(({ status, at, cause }, index) => {
    const next = order.history[index + 1];
    return { at: ms(at), until: next ? ms(next.at) : OPEN, shape: "band", tone: toneOf(status), label: words(status), title: `${words(status)}: ${cause}`, key: `status  ${at}` };
  });
}

function requestPoints({ order, timeline }) {
  const point = (at, label, key) => ({ at: ms(at), shape: "point", tone: "info", label, key });
  const refunds = order.refunds.filter(({ cause }) => cause === "merchant").map((refund) => callOf(timeline, refund)).filter(Boolean);
  return [
    point(order.createdAt, "POST /api/orders", `placed ${order.id} ${order.createdAt}`),
    ...order.payments.slice(1).map(({ at }) => point(at, "POST …/payments", null)),
    ...order.history.filter(({ status }) => status === "Cancelled").map(({ at }) => point(at, "POST …/cancel", `status  ${at}`)),
    ...refunds.map((call) => point(call.at, "POST …/refunds", keyOf(call))),
  ];
}

function callLanes({ timeline }) {
  return timeline.filter(({ kind }) => kind === "call").map((call) => {
    const attempts = timeline.filter(({ kind, id }) => kind === "attempt" && id === call.id);
    const started = ms(call.at);
    const items = attempts.map((attempt) => ({ at: Math.max(started, ms(attempt.at)), until: Math.max(started, ms(attempt.at)) + attempt.ms, shape: "bar", tone: toneOf(attempt.state), label: attemptLabel(attempt), title: `${words(attempt.type)}: ${attempt.state} after ${duration(attempt.ms)}${attempt.reason ? `, ${attempt.reason}` : ""}`, key: keyOf(attempt) }));
    const due = { at: started, shape: "point", tone: toneOf(call.state), label: call.state === "open" ? "waiting" : words(call.state), key: keyOf(call) };
    const note = attempts.length === 1 ? "1 attempt" : `${attempts.length} attempts`;
    return { name: `Call: ${call.type}`, note, items: items.length ? items : [due] };
  });
}

function attemptLabel({ ms: took, state, status, reason }) {
  const outcome = state === "unavailable" && reason ? clipped(reason) : OUTCOMES[state] ?? state;
  return `${duration(took)}, ${status ? `HTTP ${status}` : outcome}`;
}

function clipped(text) {
  return text.length > LABEL_MAX ? `${text.slice(0, LABEL_MAX - 1)}…` : text;
}

/** Each line is the time that the provider took to settle a charge. The charge's events say when it was made. */
function chargeItems({ order, events, timeline }) {
  return order.charges.flatMap((charge) => {
    const data = events.map((event) => dataOf(event)).find((one) => one?.id === charge.id);
    const key = `charge ${charge.id} ${charge.at}`;
    const tone = toneOf(charge.state);
    const made = data?.createdAt ? ms(data.createdAt) : ms(charge.at);
    const end = charge.state === "pending" ? OPEN : ms(charge.at);
    const line = end > made && { at: made, until: end, shape: "line", tone, label: charge.state === "pending" ? "pending" : "", title: charge.id, key };
    const label = charge.failureCode ? `failed: ${words(charge.failureCode).toLowerCase()}` : charge.state;
    const point = charge.state !== "pending" && { at: ms(charge.at), shape: "point", tone, label, title: `${charge.id}: ${label}`, key };
    return [line, point].filter(Boolean);
  });
}

function eventPoints({ events, timeline }, source) {
  return timeline.filter((moment) => moment.kind === "event" && moment.source === source).map((moment) => ({ at: ms(moment.at), shape: "point", tone: toneOf(moment.state), label: moment.state === "applied" ? moment.type : `${moment.type}, ${moment.state}`, title: `${moment.type}: ${moment.state}`, key: keyOf(moment) }));
}

function refundItems({ timeline, events }) {
  return (refund) => {
    const asked = callOf(timeline, refund);
    const event = events.find((one) => one.type.startsWith("refund.") && dataOf(one)?.reference === refund.id);
    const from = ms(asked?.at ?? refund.at);
    const until = refund.state === "requested" ? OPEN : ms(event?.receivedAt ?? refund.at);
    const key = `refund ${refund.id} ${refund.at}`;
    const label = refund.state === "requested" ? "asked for" : refund.state;
    const line = until > from && { at: from, until, shape: "line", tone: toneOf(refund.state), label: until === OPEN ? label : "", title: refund.id, key };
    const point = until !== OPEN && { at: until, shape: "point", tone: toneOf(refund.state), label, title: `${refund.id}: ${label}`, key };
    return [line, point].filter(Boolean);
  };
}

/** The call that asks for a refund is written with it, and has its id. */
function callOf(timeline, refund) {
  return timeline.find(({ kind, id }) => kind === "call" && id === refund.id.replace(/^rf_/, "obx_"));
}

function disputeItems(dispute) {
  const key = `dispute ${dispute.id} ${dispute.at}`;
  const point = { at: ms(dispute.at), shape: "point", tone: dispute.state === "open" ? "warn" : toneOf(dispute.state), label: `${dispute.state}: ${words(dispute.reason).toLowerCase()}`, title: dispute.id, key };
  return [point];
}

function reviewItems(review) {
  const key = `review ${review.eventId} ${review.raisedAt}`;
  const label = `${review.code}${review.resolvedAt ? `, ${review.decision ?? "closed by itself"}` : ""}`;
  const items = [{ at: ms(review.raisedAt), shape: "point", tone: review.resolvedAt ? "off" : "warn", label, title: review.detail, key }];
  if (review.resolvedAt && ms(review.resolvedAt) > ms(review.raisedAt)) items.unshift({ at: ms(review.raisedAt), until: ms(review.resolvedAt), shape: "line", tone: "off", label: "", title: "until it was closed", key });
  return items;
}

function summaryOf({ order, timeline }) {
  const counted = (kind, name) => {
    const number = timeline.filter((moment) => moment.kind === kind).length;
    return number && `${number} ${name}${number === 1 ? "" : "s"}`;
  };
  const parts = [counted("call", "call"), counted("attempt", "attempt"), counted("charge", "charge"), counted("event", "event"), counted("refund", "refund"), counted("dispute", "dispute"), counted("review", "review")].filter(Boolean);
  const took = timeline.length ? ms(timeline.at(-1).at) - ms(timeline[0].at) : 0;
  return `Timeline of ${duration(took)}: ${parts.join(", ")}. The order is ${words(order.status).toLowerCase()}. The list below has every moment.`;
}

/** The data of an event, read from its own bytes. */
export function dataOf(event) {
  try {
    return JSON.parse(event.raw).data;
  } catch {
    return null;
  }
}

function ms(at) {
  return Date.parse(at);
}
