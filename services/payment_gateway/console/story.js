/**
 * The moments of one reference. Requests, charges, refunds, disputes, events and deliveries become the items of the picture
 * and the rows of the list. Nothing here sends requests or draws.
 */

import { minorMoney, words } from "/console/kit/format.js";
import { answerWord, attemptTone, isTaken } from "./attempts.js";

/** @typedef {import("/console/kit/timeline.js").Item} Item */
/** @typedef {import("/console/kit/timeline.js").Lane} Lane */

/**
 * @typedef {object} Moment
 * @property {string} key the same as that of its item in the picture
 * @property {number} at
 * @property {string} kind
 * @property {import("/console/kit/ui.js").Tone} tone
 * @property {string} word
 * @property {string} text
 * @property {any} [of] what it is about, to show more of it
 */

/** @typedef {{ requests: any[], charges: any[], refunds: any[], disputes: any[], events: any[], deliveries: any[] }} Found */

const TONES = { pending: "wait", succeeded: "good", failed: "bad", open: "warn", won: "good", lost: "bad" };
const LANES_MAX = 8;
const CLOCK_MS = 2000; // a request and its charge are no further apart, unless the clock was moved

/** @param {string | null} at */
const ms = (at) => Date.parse(at ?? "");

/**
 * @param {Found} found @param {{ now: number, nameOf: (endpointId: string) => string }} by
 * @returns {{ lanes: Lane[], moments: Moment[], goesOn: boolean }}
 */
export function story(found, { now, nameOf }) {
  const parts = [requestLane(found), ...found.charges.map((charge) => chargeLane(charge, found, now)), eventLane(found), ...deliveryLanes(found, nameOf, now)];
  const moments = parts.flatMap((part) => part.moments).sort((a, b) => a.at - b.at);
  const goesOn = found.charges.some(isOpen) || found.refunds.some(isOpen) || found.deliveries.some((one) => one.state === "pending");
  return { lanes: parts.map((part) => part.lane), moments, goesOn };
}

const isOpen = ({ status }) => status === "pending";

/** The calls, each at its real time. If the clock was moved, they are put beside their charge instead. */
function requestLane({ requests, charges }) {
  const shift = shiftOf(requests, charges);
  const moments = [];
  const items = requests.map((one) => {
    const at = ms(one.at) + shift;
    const what = /\/refunds$/.test(one.path) ? "refund" : /dispute/.test(one.path) ? "dispute" : "charge";
    const tone = one.status >= 200 && one.status < 300 ? (one.fault ? "warn" : "good") : one.status ? "bad" : "warn";
    const word = one.fault ? words(one.fault) : one.replayed ? `${one.status} replayed` : String(one.status || "no answer");
    moments.push({ key: one.id, at, kind: "Request", tone, word, text: `${one.method} ${one.path}`, of: one });
    return { at, until: at + one.durationMs, shape: "bar", tone, label: `POST ${what}: ${word.toLowerCase()}`, title: `${one.method} ${one.path} → ${word}`, key: one.id };
  });
  return { lane: { name: "Your requests", items }, moments };
}

/** The distance from a charge to the nearest request that may have made it. Later requests, such as refunds, name it too. */
function shiftOf(requests, charges) {
  const posts = requests.filter(({ path, replayed }) => path === "/v1/charges" && !replayed);
  const apart = posts.flatMap(({ at }) => charges.map((charge) => ms(charge.createdAt) - ms(at)));
  const least = apart.sort((one, other) => Math.abs(one) - Math.abs(other))[0] ?? 0;
  return Math.abs(least) > CLOCK_MS ? least : 0;
}

function chargeLane(charge, { refunds, disputes }, now) {
  const moments = [];
  const items = [];
  /** @param {any} one @param {string} kind @param {string | null} ended */
  const add = (one, kind, ended) => {
    const amount = minorMoney(one.amount, one.currency);
    const begun = ms(one.createdAt);
    const tone = TONES[one.status];
    const why = one.failureCode ?? one.reason ?? "";
    if (ended === null) {
      items.push({ at: begun, until: now, shape: "line", tone, label: `${kind.toLowerCase()} ${one.status}`, title: `${kind} of ${amount} is ${one.status}`, key: `${one.id} made` });
      moments.push({ key: `${one.id} made`, at: begun, kind, tone, word: one.status, text: `${amount} ${why}`.trim(), of: one });
      return;
    }
    items.push({ at: begun, until: ms(ended), shape: "bar", tone, label: `${kind.toLowerCase()} ${one.status}`, title: `${kind} of ${amount}: ${one.status} ${why}`.trim(), key: `${one.id} ended` });
    moments.push({ key: `${one.id} made`, at: begun, kind, tone: "wait", word: kind === "Dispute" ? "open" : "pending", text: amount, of: one });
    moments.push({ key: `${one.id} ended`, at: ms(ended), kind, tone, word: one.status, text: `${amount} ${why}`.trim(), of: one });
  };
  add(charge, "Charge", charge.settledAt);
  for (const one of refunds.filter(({ chargeId }) => chargeId === charge.id)) add(one, "Refund", one.settledAt);
  for (const one of disputes.filter(({ chargeId }) => chargeId === charge.id)) add(one, "Dispute", one.closedAt);
  return { lane: { name: "Charge", note: minorMoney(charge.amount, charge.currency), items }, moments };
}

function eventLane({ events }) {
  const moments = events.map((one) => ({ key: one.id, at: ms(one.timestamp), kind: "Event", tone: eventTone(one.type), word: one.type, text: one.data.amount === undefined ? "" : minorMoney(one.data.amount, one.data.currency), of: one }));
  const items = moments.map(({ key, at, tone, word }) => ({ key, at, tone, shape: "point", label: word, title: word }));
  return { lane: { name: "Events", items }, moments };
}

function eventTone(type) {
  if (/failed|disabled/.test(type)) return "bad";
  return type === "dispute.created" ? "warn" : type === "dispute.closed" ? "info" : "good";
}

/** A lane for each delivery; if there are many, for each endpoint. */
function deliveryLanes({ deliveries }, nameOf, now) {
  const isMany = deliveries.length > LANES_MAX;
  const lanes = new Map();
  for (const one of [...deliveries].reverse()) {
    const of = isMany ? one.endpointId : one.id;
    if (!lanes.has(of)) lanes.set(of, { lane: { name: isMany ? "Deliveries" : (one.eventType ?? "Delivery"), note: `→ ${nameOf(one.endpointId)}`, items: [] }, moments: [] });
    const { lane, moments } = lanes.get(of);
    one.attempts.forEach((attempt) => {
      const at = ms(attempt.at);
      const key = `${one.id} ${attempt.number}`;
      const until = at + attempt.durationMs;
      const word = attempt.forgery ? `${words(attempt.forgery).toLowerCase()} ${isTaken(attempt) ? "taken" : "refused"}` : answerWord(attempt);
      const tone = attemptTone(attempt);
      lane.items.push({ at, until, shape: "bar", tone, label: `${word}`, title: `${one.eventType}, attempt ${attempt.number}: ${word}`, key });
      moments.push({ key, at, kind: "Attempt", tone, word, text: attemptText(one, attempt.number, nameOf), of: { delivery: one, attempt } });
    });
    if (one.state === "pending") waiting(one, lane, moments, { now, nameOf });
  }
  return [...lanes.values()];
}

/** @param {import("./attempts.js").Delivery} one */
function attemptText({ eventType, endpointId }, number, nameOf) {
  return `${number}, ${eventType ?? "an event"} → ${nameOf(endpointId)}`;
}

function waiting(one, lane, moments, { now, nameOf }) {
  const last = one.attempts.at(-1);
  const from = last ? ms(last.at) + last.durationMs : ms(one.createdAt);
  const key = `${one.id} next`;
  lane.items.push({ at: from, until: Math.max(from, now), shape: "line", tone: "wait", label: one.attempts.length ? "waiting to try again" : "waiting", title: "The next attempt is due later", key });
  moments.push({ key, at: ms(one.nextAttemptAt), kind: "Attempt", tone: "wait", word: "due", text: attemptText(one, one.attempts.length + 1, nameOf), of: { delivery: one, attempt: null } });
}

/** The story in a sentence. @param {Found} found */
export function summaryOf({ requests, charges, refunds, disputes, events, deliveries }) {
  const attempts = deliveries.reduce((sum, one) => sum + one.attempts.length, 0);
  const parts = [[requests.length, "request"], [charges.length, "charge"], [refunds.length, "refund"], [disputes.length, "dispute"], [events.length, "event"], [attempts, "attempt"]];
  const told = parts.filter(([count]) => count).map(([count, name]) => `${count} ${name}${count === 1 ? "" : "s"}`);
  return told.length > 1 ? `${told.slice(0, -1).join(", ")} and ${told.at(-1)}` : told.join("");
}
