/** Making a charge by hand, with a payment method that says how it ends. */

import { newKey, request } from "/console/kit/api.js";
import { curl } from "/console/kit/curl.js";
import { h, fill } from "/console/kit/dom.js";
import { digitsOf } from "/console/kit/format.js";
import { go } from "/console/kit/router.js";
import { button, code, dialog, field, problem, select } from "/console/kit/ui.js";
import { referenceLink } from "./find.js";

/** @type {[string, string][]} */
const METHODS = [
  ["pm_card_visa", "succeeds"],
  ["pm_card_declined", "is declined"],
  ["pm_insufficient_funds", "fails: insufficient funds"],
  ["pm_slow", "stays pending for a minute"],
  ["pm_card_disputed", "succeeds, then is disputed"],
  ["pm_refund_fails", "succeeds, its refunds fail"],
  ["pm_lost|pm_card_visa", "the first reply is lost"],
  ["pm_500|pm_card_visa", "the first reply is a 500"],
];

export function askForCharge() {
  const key = newKey();
  const amount = h("input", { type: "number", min: 0, step: "any", required: true, value: "25" });
  const currency = h("input", { type: "text", pattern: "[A-Z]{3}", maxlength: 3, required: true, value: "EUR", autocomplete: "off" });
  const reference = h("input", { type: "text", maxlength: 255, required: true, value: `basket-${key.slice(0, 6)}`, autocomplete: "off" });
  const method = select(METHODS.map(([name, text]) => [name, `${text} (${name})`]), METHODS[0][0]);
  const shown = h("div");
  const said = h("div");
  const body = () => ({
    amount: Math.round(Number(amount.value) * 10 ** digitsOf(currency.value)),
    currency: currency.value,
    reference: reference.value,
    paymentMethod: method.value,
  });
  const show = () => fill(shown, code(curl({ method: "POST", path: "/v1/charges", headers: { "Content-Type": "application/json", "Idempotency-Key": `"${key}"` }, body: JSON.stringify(body()) }), { label: "The same as a command" }));
  const form = h("form", { class: "stack", onsubmit: (event) => (event.preventDefault(), send()), oninput: show },
    h("div", { class: "fields" }, field("Amount", amount), field("Currency", currency), field("Reference", reference, "Your own id of what is paid.")), field("Card", method), shown, said);
  const asked = dialog({ title: "New charge", content: form, actions: [button("Leave it", () => asked.close()), button("Charge", () => form.requestSubmit(), { kind: "primary" })] });
  show();
  amount.focus();

  async function send() {
    try {
      await request("POST", "/v1/charges", { body: body(), key });
    } catch (error) {
      return fill(said, problem(error), error.status ? null : h("p", { class: "fine" }, "No answer came, and it may be done all the same. Charge again: the key is the same, so it is done once."));
    }
    asked.close();
    go(referenceLink(reference.value));
  }
}
