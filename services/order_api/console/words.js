/** The names of states and reviews, and the tone of each. */

import { badge } from "/console/kit/ui.js";
import { words } from "/console/kit/format.js";

/** @typedef {import("/console/kit/ui.js").Tone} Tone */

/** @type {Record<string, Tone>} */
const TONES = {
  Pending: "wait", Paid: "good", Failed: "bad", Cancelled: "off", PartiallyRefunded: "info", Refunded: "info",
  pending: "wait", succeeded: "good", failed: "bad", void: "off",
  requested: "wait", refused: "bad",
  open: "wait", ready: "wait", leased: "wait", done: "good", dead: "bad",
  accepted: "good", unavailable: "bad", withdrawn: "off",
  applied: "good", duplicate: "off", ignored: "off", mismatch: "bad", received: "wait", unmatched: "warn",
  won: "good", lost: "bad", accept: "good", refund: "info", closed: "off",
};

const CALLED = { open: "waiting", ready: "waiting", leased: "being sent", dead: "given up", void: "not needed", unavailable: "no usable answer" };

const REVIEWS = {
  "dead-letter": "A call of the provider was given up, and nobody knows whether it was done.",
  "refund-failed": "A refund was not made.",
  dispute: "The customer disputes the charge at the bank.",
  "refunded-and-disputed": "More is refunded and disputed than was paid.",
  "not-given-back": "Money must go back, and the provider does not give it back.",
  "second-charge": "A charge too many was refunded by hand.",
  "given-back-twice": "More was given back than was paid or charged too much.",
  "event-mismatch": "An event has another amount or currency than the order.",
  "event-altered": "An event came again with other bytes.",
};

/** @param {string} state @returns {Tone} */
export function toneOf(state) {
  return TONES[state] ?? "off";
}

/** The state of anything as a badge. @param {string} state */
export function stateBadge(state) {
  return badge(toneOf(state), words(CALLED[state] ?? state));
}

/** The state of a moment as a badge. An open call waits to be sent; an open review or dispute waits for a person. */
export function momentBadge(moment) {
  return isOpen(moment) ? badge("warn", "Open") : stateBadge(moment.state);
}

/** @returns {Tone} */
export function momentTone(moment) {
  return isOpen(moment) ? "warn" : moment.state ? toneOf(moment.state) : "info";
}

function isOpen({ kind, state }) {
  return (kind === "review" || kind === "dispute") && state === "open";
}

/** @param {string} code */
export function reviewText(code) {
  return REVIEWS[code] ?? words(code);
}
