/** The cards a customer may pay with: the test cards of the payment gateway, and what each of them does. */

import { h } from "/console/kit/dom.js";
import { field } from "/console/kit/ui.js";

/** @type {[string, [string, string, string][]][]} */
const CARDS = [
  ["Paid", [
    ["pm_card_visa", "Succeeds", "Paid after some seconds."],
    ["pm_slow", "Slow", "Stays pending for a minute, then it is paid."],
    ["pm_card_disputed", "Disputed", "Paid, and then disputed at the bank."],
    ["pm_refund_fails", "Cannot be refunded", "Paid, but each refund fails."],
  ]],
  ["Not paid", [
    ["pm_card_declined", "Declined", "The bank says no."],
    ["pm_insufficient_funds", "No funds", "There is not enough money."],
    ["pm_expired_card", "Expired", "The card is too old."],
    ["pm_incorrect_cvc", "Wrong CVC", "The three digits are wrong."],
    ["pm_lost_card", "Lost card", "It was reported lost."],
    ["pm_stolen_card", "Stolen card", "It was reported stolen."],
    ["pm_processing_error", "Processing error", "The bank had a fault."],
  ]],
  ["Paid, after trouble on the way", [
    ["pm_lost|pm_card_visa", "Lost reply", "It is charged, but the answer is lost. The retry finds it."],
    ["pm_timeout|pm_card_visa", "Timeout", "It is charged, but no answer comes in time."],
    ["pm_500|pm_500|pm_card_visa", "Two errors", "HTTP 500 twice; the third attempt works."],
    ["pm_503|pm_429|pm_card_visa", "Too busy", "HTTP 503, then 429, then it works."],
    ["pm_malformed_json|pm_card_visa", "Broken answer", "It is charged, but the answer is cut off."],
    ["pm_wrong_reference|pm_card_visa", "Wrong answer", "The answer is about another order."],
    ["pm_slow_reply|pm_card_visa", "Slow answer", "The answer takes five seconds."],
    ["pm_500", "Always an error", "HTTP 500 until the call is given up."],
  ]],
];

/** Radio buttons for the cards, and a box for any other. @param {string} [chosen] @returns {{ element: HTMLElement, value: () => string }} */
export function cardPicker(chosen = "pm_card_visa") {
  const own = h("input", { type: "text", name: "own-card", autocomplete: "off", spellcheck: "false", maxlength: 255, class: "mono" });
  const groups = CARDS.map(([title, cards], index) =>
    h("details", { class: "card-group", open: index === 0 || cards.some(([method]) => method === chosen) }, h("summary", {}, title, h("span", { class: "fine" }, ` ${cards.length} cards`)),
      h("div", { class: "card-options" }, cards.map((card) => option(card, card[0] === chosen, () => (own.value = ""))))));
  const element = h("fieldset", { class: "card-picker" }, h("legend", {}, "Card"), groups,
    field("Or another payment method", own, "A chain such as pm_500|pm_lost|pm_card_declined: the first attempt, the second, and how it ends."));
  const value = () => own.value.trim() || /** @type {HTMLInputElement | null} */ (element.querySelector("input:checked"))?.value || "pm_card_visa";
  return { element, value };
}

/** @param {string} method */
export function cardName(method) {
  return CARDS.flatMap(([, cards]) => cards).find(([of]) => of === method)?.[1] ?? null;
}

function option([method, name, what], isChosen, onchange) {
  const radio = h("input", { type: "radio", name: "card", value: method, checked: isChosen, onchange });
  return h("label", { class: "card-option" }, radio, h("span", { class: "card-text" }, h("span", { class: "card-name" }, name), h("span", { class: "fine" }, what), h("code", {}, method)));
}
