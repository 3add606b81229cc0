/** Events on their way to endpoints: delivered, failing or failed, with every attempt. */

import { get } from "/console/kit/api.js";
import { signedCurl } from "/console/kit/curl.js";
import { h, fill } from "/console/kit/dom.js";
import { here, link } from "/console/kit/router.js";
import { badge, button, copy, emptyState, facts, idChip, problem, toast } from "/console/kit/ui.js";
import { attemptMarks, attemptView, deliveryBadge, eventText } from "./attempts.js";
import { endpointName, endpointUrl, readEndpoints } from "./endpoint_names.js";
import { example, trigger } from "./examples.js";
import { referenceLink } from "./find.js";
import { when } from "./gateway_time.js";
import { liveList } from "./live_list.js";
import { resendButtons } from "./resend.js";
import { split } from "./split.js";

const STATES = { "": "All", delivered: "Delivered", failing: "Failing", failed: "Failed", pending: "Pending", cancelled: "Cancelled" };

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place */
export function deliveriesView(outlet, { query }, { live, config }) {
  let asked = filtersOf(query);
  const list = liveList({
    live,
    label: "Deliveries",
    concerns: (id) => id.startsWith("dlv_"),
    read: async (page) => (await readEndpoints().catch(() => {}), get("/v1/deliveries", { ...asked, ...page })),
    row: (one) => row(one, asked),
    version,
    empty: () => empty(asked, config),
    head: h("div", { class: "rows-head deliveries-columns", "aria-hidden": "true" }, ["State", "Event", "To", "Attempts", "When"].map((name) => h("span", {}, name))),
  });
  const both = split(list.element, "One delivery");
  const filters = h("nav", { class: "chips", "aria-label": "Filter" });
  const note = h("p");
  outlet.append(h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Deliveries"), filters, note), both.element);
  let opened = "";
  let shown = "";

  async function open() {
    const id = here().query.get("id") ?? "";
    const event = here().query.get("event") ?? "";
    list.select(id || null);
    if (!id) {
      [opened, shown] = ["", ""];
      return both.shut();
    }
    const back = link("/deliveries", asked);
    try {
      const one = list.find(id) ?? (await get("/v1/deliveries", { eventId: event, limit: 100 })).data.find((other) => other.id === id);
      if (here().query.get("id") !== id) return;
      const now = one ? `${id} ${version(one)}` : id;
      if (now === shown) return;
      const isAnother = id !== opened;
      const unfolded = isAnother ? null : openAttempts(both.element);
      [opened, shown] = [id, now];
      both.open(one ? detail(one, config, unfolded) : h("div", { class: "card" }, emptyState({ title: "There is no such delivery", text: "A reset may have taken it." })), back);
      if (isAnother) list.reveal();
    } catch (error) {
      both.open(problem(error), back);
    }
  }

  function update(next) {
    const before = JSON.stringify(asked);
    asked = filtersOf(next);
    fill(filters, Object.entries(STATES).map(([state, text]) => h("a", { class: "chip", href: link("/deliveries", { ...asked, state }), "aria-current": state === (asked.state ?? "") && "true" }, text)));
    fill(note, asked.endpointId && ["Only to ", h("span", { class: "mono" }, endpointName(asked.endpointId)), ". "], asked.eventId && ["Only of ", h("span", { class: "mono" }, asked.eventId), ". "],
      (asked.endpointId || asked.eventId) && h("a", { href: link("/deliveries", { state: asked.state }) }, "Show all"));
    if (JSON.stringify(asked) !== before) list.reload();
    else open();
  }

  list.onChange(open);
  update(query);
  list.reload();
  return { title: "Deliveries", update, refresh: list.refresh, close: list.close, up: () => link("/deliveries", asked) };
}

/** @param {URLSearchParams} query */
function filtersOf(query) {
  const given = ["state", "endpointId", "eventId"].map((name) => [name, query.get(name)]);
  return Object.fromEntries(given.filter(([, value]) => value));
}

/** @param {import("./attempts.js").Delivery} one */
function version({ state, attempts, nextAttemptAt, endpointId }) {
  return `${state} ${attempts.length} ${nextAttemptAt} ${endpointUrl(endpointId)}`;
}

/** @param {import("./attempts.js").Delivery} one */
function row(one, asked) {
  return h("a", { class: "row deliveries-columns", "data-row": true, href: link("/deliveries", { ...asked, id: one.id, event: one.eventId }) },
    deliveryBadge(one),
    h("span", { class: "what" }, h("span", { class: "strong" }, one.eventType ?? "an event that is gone"), " ", one.fault && badge("warn", one.fault.replaceAll("_", " ")), h("span", { class: "clip fine mono" }, one.reference ?? one.eventId)),
    h("span", { class: "clip soft to" }, endpointName(one.endpointId)),
    h("span", { class: "marks" }, attemptMarks(one.attempts)),
    h("span", { class: "soft at" }, one.nextAttemptAt ? ["due ", when(one.nextAttemptAt)] : when(one.attempts.at(-1)?.at ?? one.createdAt)));
}

/** @param {import("./attempts.js").Delivery} one @param {Set<number> | null} unfolded the attempts that are open, or null for the last one */
export function detail(one, config, unfolded = null) {
  const attempts = one.attempts.map((attempt) =>
    attemptView(attempt, one, { open: unfolded ? unfolded.has(attempt.number) : attempt.number === one.attempts.length }));
  attempts.forEach((element, index) => (element.dataset.attempt = String(one.attempts[index].number)));
  return h("article", { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, one.eventType ?? "Delivery"), h("div", { class: "row-of" }, deliveryBadge(one), one.fault && badge("warn", one.fault.replaceAll("_", " ")))),
    h("div", { class: "card-body stack" },
      facts([
        ["About", one.reference && h("a", { href: referenceLink(one.reference), class: "mono" }, one.reference)],
        ["To", h("a", { href: link("/endpoints", { id: one.endpointId }) }, endpointName(one.endpointId))],
        ["Event", idChip(one.eventId)],
        ["Delivery", idChip(one.id)],
        ["Announced", when(one.createdAt)],
      ]),
      one.nextAttemptAt && h("p", { class: "next-attempt" }, one.attempts.length ? "The next attempt is due " : "It is due ", when(one.nextAttemptAt), "."),
      h("div", { class: "row-of" }, resendButtons(one, config), button("Copy as signed curl", () => copySigned(one))),
      attempts.length ? h("div", { class: "attempts" }, attempts) : h("p", { class: "soft" }, "It has not been tried yet.")));
}

async function copySigned({ eventId, endpointId }) {
  const body = await eventText(eventId);
  const text = signedCurl({ path: endpointUrl(endpointId) || "http://127.0.0.1:9000/webhooks", body });
  const done = await copy(text);
  toast(done ? "Copied. It signs itself with $WEBHOOK_SECRET" : "The browser did not allow copying.", done ? "good" : "bad");
}

/** @param {HTMLElement} element */
function openAttempts(element) {
  return new Set([...element.querySelectorAll("details[data-attempt][open]")].map((one) => Number(one.dataset.attempt)));
}

function empty(asked, config) {
  if (asked.state || asked.endpointId || asked.eventId) return emptyState({ title: "No delivery is like that" });
  return h("div", {},
    emptyState({ title: "Nothing has been delivered yet", text: "A charge settles after some seconds. Then its event goes to every endpoint that wants it.", command: example(config) }),
    h("p", { class: "fine empty-more" }, "Or with the command line: ", h("code", {}, trigger("payment.succeeded"))));
}
