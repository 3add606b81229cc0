/** The results of deliveries and of each attempt: the request that was sent, and the answer. */

import { request } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { clock } from "/console/kit/format.js";
import { badge, details } from "/console/kit/ui.js";
import { FORGERIES } from "./faults.js";
import { message } from "./message.js";
import { took } from "./requests.js";

/** @typedef {{ number: number, at: string, status: number | null, durationMs: number, error: string | null, responseBody: string,
 *   failure: "timeout" | "forbidden" | "no_answer" | null, forgery: string | null, url: string | null, sentHeaders: Record<string, string> | null, sentBody: string | null,
 *   responseHeaders: Record<string, string> | null }} Attempt */
/** @typedef {{ id: string, eventId: string, eventType: string | null, reference: string | null, endpointId: string,
 *   state: "pending" | "delivered" | "failed" | "cancelled", nextAttemptAt: string | null, attempts: Attempt[],
 *   fault: string | null, createdAt: string }} Delivery */

/** @param {Attempt} attempt */
export function isTaken({ status }) {
  return status !== null && status >= 200 && status < 300;
}

/** Whether the true event has failed before, and will be tried again. @param {Delivery} delivery */
export function isFailing({ state, attempts }) {
  return state === "pending" && attempts.some((attempt) => attempt.forgery === null);
}

/** @param {Delivery} delivery */
export function deliveryBadge(delivery) {
  if (isFailing(delivery)) return badge("warn", "failing");
  return badge({ delivered: "good", pending: "wait", failed: "bad", cancelled: "off" }[delivery.state], delivery.state);
}

/** A refused forgery is good, and an accepted one is a hole in the receiver. @param {Attempt} attempt */
export function attemptTone(attempt) {
  if (attempt.forgery) return isTaken(attempt) ? "bad" : "info";
  return isTaken(attempt) ? "good" : "bad";
}

/** The answer in a word: its status, or why there was none. @param {Attempt} attempt */
export function answerWord({ status, failure }) {
  return status === null ? (failure ?? "no_answer").replace("_", " ") : String(status);
}

/** @param {Attempt} attempt */
export function attemptBadge(attempt) {
  const forged = attempt.forgery && `forgery ${isTaken(attempt) ? "taken" : "refused"}`;
  return [badge(attemptTone(attempt), answerWord(attempt)), forged && badge(attemptTone(attempt), forged)];
}

/**
 * @param {Attempt} attempt @param {Delivery} delivery @param {{ open?: boolean, key?: string }} [options]
 */
export function attemptView(attempt, delivery, { open = false } = {}) {
  const forged = attempt.forgery && FORGERIES[attempt.forgery];
  const summary = [
    h("span", { class: "attempt-name" }, `Attempt ${attempt.number}`),
    attemptBadge(attempt),
    h("span", { class: "soft" }, took(attempt.durationMs)),
    h("span", { class: "soft attempt-at" }, clock(attempt.at, { ms: true })),
  ];
  const element = details(summary, () => content(), { open });
  element.classList.add("attempt");
  return element;

  function content() {
    const sent = h("div");
    const show = (/** @type {string} */ body) => fill(sent, message("Sent", attempt.sentHeaders, body, "Its body is not there any more.", { raw: true }));
    if (attempt.sentBody !== null) show(attempt.sentBody);
    else eventText(delivery.eventId).then(show);
    const why = attempt.error ?? "The answer has no body.";
    const answer = attempt.status === null ? "No answer" : `Answered ${attempt.status}`;
    return h("div", { class: "attempt-body stack" },
      forged && h("p", { class: "fine" }, h("strong", {}, `${forged[0]}: `), forged[1], " A right receiver refuses it."),
      attempt.url && h("p", { class: "fine mono" }, `POST ${attempt.url}`),
      h("div", { class: "side-by-side" }, sent, message(answer, attempt.responseHeaders, attempt.responseBody, why)));
  }
}

/** @type {Map<string, Promise<string>>} */
const texts = new Map();

/** An event, byte for byte. Events never change, so each is asked for once. @param {string} id */
export function eventText(id) {
  if (!texts.has(id)) {
    const reading = request("GET", `/v1/events/${id}`).then(({ text }) => text);
    reading.catch(() => texts.delete(id));
    texts.set(id, reading.catch(() => ""));
  }
  return /** @type {Promise<string>} */ (texts.get(id));
}

/** Small marks, one for each attempt: its result by shape and colour, and in words for readers who do not see them.
 * @param {Attempt[]} attempts
 */
export function attemptMarks(attempts) {
  if (!attempts.length) return h("span", { class: "soft" }, "not tried yet");
  const shown = attempts.slice(-8);
  const last = /** @type {Attempt} */ (attempts.at(-1));
  const title = attempts.map((one) => `${one.number}: ${answerWord(one)}`).join(", ");
  return h("span", { class: "attempt-marks", title },
    shown.map((one) => h("span", { class: `attempt-mark tone-${attemptTone(one)} ${isTaken(one) ? "taken" : "refused"}`, "aria-hidden": "true" })),
    h("span", { class: "soft" }, attempts.length === 1 ? answerWord(last) : `${attempts.length} attempts, last ${answerWord(last)}`));
}
