/** A dialog that places an order as a customer would, shows the real request, and sends it again. */

import { newKey, request } from "/console/kit/api.js";
import { curl } from "/console/kit/curl.js";
import { fill, h } from "/console/kit/dom.js";
import { link } from "/console/kit/router.js";
import { badge, button, code, dialog, field, laidOut, problem } from "/console/kit/ui.js";
import { cardPicker } from "./cards.js";
import { keepRequest } from "./sent.js";

const CURRENCIES = ["USD", "EUR", "GBP", "JPY", "KWD", "CHF", "BRL", "INR", "AED"];

export function openPlaceOrder() {
  if (document.querySelector("dialog[open]")) return;
  const number = h("input", { type: "text", name: "orderNumber", value: `ORD-${newKey().slice(0, 6).toUpperCase()}`, autocomplete: "off", spellcheck: "false" });
  const amount = h("input", { type: "text", name: "amount", inputmode: "decimal", value: "99.99", autocomplete: "off" });
  const currency = h("input", { type: "text", name: "currency", list: "currencies", value: "USD", autocomplete: "off", spellcheck: "false" });
  const known = h("datalist", { id: "currencies" }, CURRENCIES.map((value) => h("option", { value })));
  const cards = cardPicker();
  const form = h("form", { class: "stack", onsubmit: (event) => (event.preventDefault(), place()) },
    h("div", { class: "fields" }, field("Order number", number), field("Amount", amount), field("Currency", currency), known), cards.element,
    h("input", { type: "submit", hidden: true }));
  const errors = h("div", { "aria-live": "polite" });
  const submit = button("Place the order", () => form.requestSubmit(), { kind: "primary" });
  const shown = dialog({ title: "Place an order", content: [errors, form], actions: [submit], wide: true });
  number.select();

  async function place() {
    const body = bodyOf({ orderNumber: number.value, amount: amount.value.trim(), currency: currency.value.trim(), paymentMethod: cards.value() });
    const key = newKey();
    submit.disabled = true;
    try {
      const answer = await request("POST", "/api/orders", { body, key });
      keepRequest(answer.body.id, answer.request);
      showPlaced(shown, answer, { key, body });
    } catch (error) {
      fill(errors, problem(error));
      errors.scrollIntoView({ block: "nearest" });
    } finally {
      submit.disabled = false;
    }
  }
}

/** The amount goes out as it was typed: a number in JavaScript would turn 10.00 into 10. */
function bodyOf({ amount, ...others }) {
  const written = /^\d{1,15}(\.\d+)?$/.test(amount) && !/^0\d/.test(amount) ? amount : JSON.stringify(amount);
  const { orderNumber, ...rest } = others;
  const members = [["orderNumber", JSON.stringify(orderNumber)], ["amount", written], ...Object.entries(rest).map(([name, value]) => [name, JSON.stringify(value)])];
  return `{${members.map(([name, value]) => `"${name}": ${value}`).join(", ")}}`;
}

/** What was sent and answered, and two things to try with the same key. */
function showPlaced(shown, first, { key, body }) {
  const exchanges = h("ol", { class: "exchanges", "aria-live": "polite" });
  const add = (title, answer) => exchanges.prepend(exchange(title, answer));
  const order = first.body;
  const again = button("Send it again", async () => add("Sent again, with the same key and body", await request("POST", "/api/orders", { body, key, anyStatus: true })));
  const other = button("Other body", async () => {
    const changed = body.replace(/"amount": ("[^"]*"|[\d.]+)/, '"amount": 1');
    add("Another body, with the same key", await request("POST", "/api/orders", { body: changed === body ? body.replace('"amount": 1', '"amount": 2') : changed, key, anyStatus: true }));
  });
  const see = h("a", { class: "button primary", href: link(`/orders/${order.id}`), onclick: () => shown.close() }, "See the order");
  fill(shown.body, h("div", { class: "stack" },
    h("p", {}, "The order is placed, and stored together with its key. Whatever comes with this key from now on, for 24 hours, gets this answer."),
    code(curl(first.request), { label: "The request, as it was sent" }), exchanges));
  add("Placed", first);
  shown.setActions([other, again, see]);
  shown.element.querySelector("h2").textContent = "The order is placed";
  shown.body.scrollTop = 0;
  see.focus();
}

function exchange(title, answer) {
  const isReplay = answer.headers.get("Idempotent-Replayed") === "true";
  const tone = answer.status < 300 ? "good" : "bad";
  return h("li", { class: "exchange" },
    h("div", { class: "exchange-head" }, badge(tone, String(answer.status)), h("strong", {}, answer.body?.title ?? title), h("span", { class: "soft" }, `${answer.body?.title ? `${title} · ` : ""}${answer.ms} ms`)),
    isReplay && h("p", {}, h("code", {}, "Idempotent-Replayed: true"), " The same answer as the first time, byte for byte. There is no second order."),
    answer.body?.detail && h("p", {}, answer.body.detail),
    code(laidOut(answer.text), { label: "Answer" }));
}
