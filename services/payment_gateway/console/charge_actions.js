/** The actions on a charge: refund it, or dispute it as the customer's bank would. */

import { newKey, request } from "/console/kit/api.js";
import { h } from "/console/kit/dom.js";
import { digitsOf, minorMoney } from "/console/kit/format.js";
import { button, dialog, field, problem, toast } from "/console/kit/ui.js";

/** @param {any} charge @param {any[]} disputes of it @param {{ testEndpoints: boolean }} config */
export function chargeActions(charge, disputes, { testEndpoints }) {
  const left = charge.amount - charge.amountRefunded;
  const open = disputes.find(({ status }) => status === "open");
  const isPaid = charge.status === "succeeded" && left > 0;
  return [
    isPaid && !disputes.length && button("Refund…", () => askForRefund(charge, left), { small: true }),
    testEndpoints && isPaid && !disputes.length && button("Dispute it", () => act(`/v1/test/charges/${charge.id}/dispute`, {}, "The charge is disputed"), { small: true }),
    testEndpoints && open && button("Dispute won", () => act(`/v1/test/disputes/${open.id}/close`, { outcome: "won" }, "The dispute is won"), { small: true }),
    testEndpoints && open && button("Dispute lost", () => act(`/v1/test/disputes/${open.id}/close`, { outcome: "lost" }, "The dispute is lost"), { small: true }),
  ];
}

async function act(path, body, done) {
  await request("POST", path, { body });
  toast(done);
}

function askForRefund(charge, left) {
  const scale = 10 ** digitsOf(charge.currency);
  const amount = h("input", { type: "number", min: 1 / scale, max: left / scale, step: 1 / scale, required: true, value: String(left / scale) });
  const key = newKey();
  const said = h("div");
  const form = h("form", { class: "stack", onsubmit: (event) => (event.preventDefault(), send()) }, field(`Amount in ${charge.currency}`, amount, `${minorMoney(left, charge.currency)} can be refunded.`), said);
  const asked = dialog({ title: "Refund the charge", content: form, actions: [button("Leave it", () => asked.close()), button("Refund", () => form.requestSubmit(), { kind: "primary" })] });
  amount.focus();

  async function send() {
    const body = { amount: Math.round(Number(amount.value) * scale), reference: `console-${key.slice(0, 8)}` };
    try {
      await request("POST", `/v1/charges/${charge.id}/refunds`, { body, key });
      asked.close();
      toast("The refund is on its way");
    } catch (error) {
      said.replaceChildren(problem(error));
    }
  }
}
