/** The actions on an order. Each is one call of the API, and tells the result. */

import { newKey, request } from "/console/kit/api.js";
import { fill, h } from "/console/kit/dom.js";
import { money } from "/console/kit/format.js";
import { button, confirmed, dialog, field, problem, toast } from "/console/kit/ui.js";
import { cardPicker } from "./cards.js";

/** The buttons that fit the order as it is. @param {import("./order.js").Known} known @param {() => void} changed */
export function actionsFor({ order }, changed) {
  const isPaid = order.charges.some(({ state }) => state === "succeeded");
  return [
    order.status === "Failed" && button("Pay again", () => payAgain(order, changed), { kind: "primary", small: true }),
    isPaid && left(order) > 0 && order.status !== "Cancelled" && button("Refund", () => refund(order, changed), { small: true }),
    !isPaid && order.status !== "Cancelled" && button("Cancel", () => cancel(order, changed), { small: true }),
  ];
}

/** @param {any} review one that is open @param {"accept" | "refund"} decision */
export async function resolve(order, review, decision, changed) {
  const text = decision === "accept" ? "The money stays where it is, and the review is closed." : "The money is given back, or asked for once more, and the review is closed.";
  if (!(await confirmed({ title: `Close “${review.code}”`, text, action: decision === "accept" ? "Accept it" : "Refund it", danger: decision === "refund" }))) return;
  const path = `/api/orders/${order.id}/reviews/${encodeURIComponent(review.code)}/resolve`;
  await act(() => request("POST", path, { body: { decision, eventId: review.eventId } }), "The review is closed.", changed);
}

/** @param {string} messageId */
export async function redrive(messageId, changed) {
  await act(() => request("POST", `/api/outbox/${messageId}/redrive`), "It is sent again. The provider is asked first what it has.", changed);
}

async function cancel(order, changed) {
  const text = "A charge that was sent already may still succeed. Then its money is given back by itself.";
  if (!(await confirmed({ title: "Cancel this order?", text, action: "Cancel the order" }))) return;
  await act(() => request("POST", `/api/orders/${order.id}/cancel`), "The order is cancelled.", changed);
}

function refund(order, changed) {
  const amount = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", value: String(left(order)) });
  const hint = `At most ${money(left(order), order.currency)}, if one charge has so much left. Empty: all that is left.`;
  ask({
    title: "Refund",
    action: "Refund",
    fields: field(`Amount in ${order.currency}`, amount, hint),
    send: (key) => {
      const text = amount.value.trim();
      const body = !text ? "{}" : `{"amount": ${/^\d{1,15}(\.\d+)?$/.test(text) && !/^0\d/.test(text) ? text : JSON.stringify(text)}}`;
      return request("POST", `/api/orders/${order.id}/refunds`, { key, body });
    },
    said: "The refund is asked for. An event will say that it succeeded.",
    changed,
  });
  amount.select();
}

function payAgain(order, changed) {
  const cards = cardPicker();
  ask({
    title: "Pay again",
    action: "Pay again",
    wide: true,
    fields: [h("p", {}, "The same order, under the same number, with another card."), cards.element],
    send: (key) => request("POST", `/api/orders/${order.id}/payments`, { key, body: { paymentMethod: cards.value() } }),
    said: "It is being paid again.",
    changed,
  });
}

/** A form in a dialog. It keeps one key until its input changes, so that pressing twice is asking once. It shows a refusal. */
function ask({ title, action, fields, send, said, changed, wide = false }) {
  let key = newKey();
  const errors = h("div", { "aria-live": "polite" });
  const form = h("form", { class: "stack", onsubmit: (event) => (event.preventDefault(), submit()), oninput: () => (key = newKey()) }, fields, h("input", { type: "submit", hidden: true }));
  const go = button(action, () => form.requestSubmit(), { kind: "primary" });
  const shown = dialog({ title, wide, content: [errors, form], actions: [button("Leave it", () => shown.close()), go] });

  async function submit() {
    go.disabled = true;
    try {
      await send(key);
      shown.close();
      toast(said);
      changed();
    } catch (error) {
      fill(errors, problem(error));
    } finally {
      go.disabled = false;
    }
  }
}

async function act(send, said, changed) {
  try {
    await send();
    toast(said);
  } catch (error) {
    toast(error.message, "bad");
  }
  changed();
}

/** The amount that is neither refunded, nor asked for, nor disputed, to the last digit. */
function left(order) {
  const asked = order.refunds.filter(({ state }) => state === "requested").reduce((sum, { amount }) => sum + amount, 0);
  return Math.max(0, Number((order.amount - order.refundedAmount - asked - order.disputedAmount).toFixed(4)));
}
