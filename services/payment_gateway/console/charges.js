/** The charges, newest first. Each row leads to the page of its reference. */

import { get } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { minorMoney } from "/console/kit/format.js";
import { link } from "/console/kit/router.js";
import { badge, button, emptyState } from "/console/kit/ui.js";
import { example } from "./examples.js";
import { referenceLink } from "./find.js";
import { when } from "./gateway_time.js";
import { liveList } from "./live_list.js";
import { askForCharge } from "./new_charge.js";

const STATES = { "": "All", pending: "Pending", succeeded: "Succeeded", failed: "Failed" };
const TONES = { pending: "wait", succeeded: "good", failed: "bad" };
const LOOKED_AT = 100;

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place */
export function chargesView(outlet, { query }, { live, config }) {
  let asked = parse(query.get("q") ?? "");
  const list = liveList({
    live,
    label: "Charges",
    concerns: (id) => id.startsWith("ch_"),
    read: (page) => read(asked, page),
    row,
    version: (one) => `${one.status} ${one.amountRefunded}`,
    empty: () => empty(asked, config),
    head: h("div", { class: "rows-head charges-columns", "aria-hidden": "true" }, ["State", "Amount", "Reference", "Payment method", "When"].map((name) => h("span", {}, name))),
  });
  const filters = h("nav", { class: "chips", "aria-label": "Filter" });
  const note = h("p");
  outlet.append(h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Charges"), filters, button("New charge", () => askForCharge(), { kind: "primary" }), note), list.element);

  function update(next) {
    const before = JSON.stringify(asked);
    asked = parse(next.get("q") ?? "");
    fill(filters, Object.entries(STATES).map(([status, text]) =>
      h("a", { class: "chip", href: link("/charges", { q: [status && `status:${status}`, asked.text].filter(Boolean).join(" ") }), "aria-current": status === asked.status && "true" }, text)));
    fill(note, asked.text && ["With ", h("span", { class: "mono" }, asked.text), " in the reference, among the newest 100. ", h("a", { href: "#/charges" }, "Show all")]);
    if (JSON.stringify(asked) !== before) list.reload();
  }

  update(query);
  list.reload();
  return { title: "Charges", update, refresh: list.refresh, close: list.close };
}

/** `status:failed basket` @param {string} text @returns {{ status: string, text: string }} */
function parse(text) {
  const status = /(?:^|\s)status:(pending|succeeded|failed)(?=\s|$)/.exec(text);
  return { status: status?.[1] ?? "", text: text.replace(status?.[0] ?? "", "").trim() };
}

/** The API finds a whole reference. A part of one is searched for among the newest charges. */
async function read({ status, text }, page) {
  if (!text) return get("/v1/charges", { status, ...page });
  const { data } = await get("/v1/charges", { status, limit: LOOKED_AT });
  const part = text.toLowerCase();
  return { data: data.filter((one) => [one.reference, one.id, one.paymentMethod].some((value) => value.toLowerCase().includes(part))), nextCursor: null };
}

function row(one) {
  return h("a", { class: "row charges-columns", "data-row": true, href: referenceLink(one.reference) },
    badge(TONES[one.status], one.status),
    h("span", { class: "strong end" }, minorMoney(one.amount, one.currency)),
    h("span", { class: "clip mono what" }, one.reference),
    h("span", { class: "clip soft mono how" }, one.failureCode ?? one.paymentMethod, one.amountRefunded > 0 && `, ${minorMoney(one.amountRefunded, one.currency)} refunded`),
    h("span", { class: "soft at" }, when(one.createdAt)));
}

function empty({ status, text }, config) {
  if (status || text) return emptyState({ title: "No charge matches", text: "A charge is found by its id or its reference. The reference is the merchant's: an order of order_api has its id as such, ord_…, and not its number." });
  return emptyState({ title: "Nothing has been charged yet", text: "Paste this, or make one here.", command: example(config), action: button("New charge", () => askForCharge()) });
}
