/** The endpoints of a merchant: whether each works, and the actions on it. */

import { get, request } from "/console/kit/api.js";
import { h, fill, reconcile } from "/console/kit/dom.js";
import { ago, words } from "/console/kit/format.js";
import { here, link } from "/console/kit/router.js";
import { badge, button, confirmed, emptyState, facts, idChip, problem, toast } from "/console/kit/ui.js";
import { answerWord, attemptMarks, isTaken } from "./attempts.js";
import { askForEndpoint, askForResend, askForRotation } from "./endpoint_dialogs.js";
import { readEndpoints } from "./endpoint_names.js";
import { exampleEndpoint } from "./examples.js";
import { when } from "./gateway_time.js";

const LOOKED_AT = 20; // deliveries, from which the state of an endpoint is judged

/** @typedef {import("./endpoint_names.js").Endpoint} Endpoint */
/** @typedef {import("./attempts.js").Delivery} Delivery */

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place */
export function endpointsView(outlet, _place, { live, config }) {
  const list = h("div", { class: "stack" });
  const state = h("div", {}, h("p", { class: "loading" }, "Reading…"));
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Webhook endpoints"), button("Add an endpoint", () => askForEndpoint(read), { kind: "primary" }),
      h("p", {}, "Each gets the events that it wants, signed with its own secret. One that fails for five days, or answers 410, is disabled.")),
    state, list);

  async function read() {
    try {
      const endpoints = await readEndpoints();
      const shown = await Promise.all(endpoints.map(async (endpoint) => ({ endpoint, deliveries: (await get("/v1/deliveries", { endpointId: endpoint.id, limit: LOOKED_AT })).data })));
      fill(state, !shown.length && h("div", { class: "card" }, emptyState({ title: "Nobody is told anything yet", text: "Add the address of your service.", command: exampleEndpoint(config) })));
      reconcile(list, shown, { key: ({ endpoint }) => endpoint.id, version: (one) => JSON.stringify(one), render: (one) => card(one, read) });
      const chosen = here().query.get("id");
      if (chosen) list.querySelector(`[data-key="${CSS.escape(chosen)}"]`)?.classList.add("is-chosen");
    } catch (error) {
      if (!list.childElementCount) fill(state, problem(error));
    }
  }

  const end = live.subscribe(({ ids, again }) => {
    if (!live.paused && (again || [...ids.keys()].some((id) => /^(we|dlv)_/.test(id)))) read();
  });
  read();
  return { title: "Webhook endpoints", update: () => read(), refresh: read, close: end };
}

/** @param {{ endpoint: Endpoint, deliveries: Delivery[] }} of @param {() => Promise<void>} read */
function card({ endpoint, deliveries }, read) {
  const isOn = endpoint.state === "enabled";
  const attempts = deliveries.flatMap((one) => one.attempts.filter(({ forgery }) => !forgery)).sort((a, b) => a.at.localeCompare(b.at));
  const failed = attempts.filter((one) => !isTaken(one)).at(-1);
  return h("section", { class: "card endpoint", "aria-label": endpoint.url },
    h("div", { class: "card-head" }, h("h2", { class: "mono" }, endpoint.url), healthBadge(endpoint, attempts)),
    h("div", { class: "card-body stack" },
      facts([
        ["Endpoint", idChip(endpoint.id, { whole: true })],
        ["Wants", endpoint.eventTypes.length ? endpoint.eventTypes.join(", ") : "every event"],
        ["At once", `${endpoint.maxInFlight} at most`],
        ["Headers of its own", endpoint.headerNames.join(", ")],
        ["Expires", endpoint.expiresAt && ago(endpoint.expiresAt)],
        ["Failing", endpoint.failingSince && ["since ", when(endpoint.failingSince)]],
        ["Added", when(endpoint.createdAt)],
      ]),
      h("dl", { class: "facts" },
        h("div", {}, h("dt", {}, "The latest attempts"), h("dd", {}, attempts.length ? attemptMarks(attempts) : h("span", { class: "soft" }, "none yet"))),
        h("div", {}, h("dt", {}, "The last failure"), h("dd", {}, failed ? [when(failed.at), ": ", h("span", { class: "failure" }, answerWord(failed), failed.error && ` ${failed.error}`, failed.responseBody && `, “${failed.responseBody.slice(0, 120)}”`)] : h("span", { class: "soft" }, "none among these")))),
      h("div", { class: "row-of" },
        h("a", { class: "button small", href: link("/deliveries", { endpointId: endpoint.id }) }, "Its deliveries"),
        button(isOn ? "Disable" : "Enable", () => change(endpoint, isOn ? "disabled" : "enabled", read), { small: true, kind: isOn ? "" : "primary" }),
        button("Rotate the secret…", () => askForRotation(endpoint, read), { small: true }),
        button("Resend since…", () => askForResend(endpoint), { small: true, disabled: !isOn, title: isOn ? "" : "Enable it first" }),
        button("Remove", () => remove(endpoint, read), { small: true }))));
}

function healthBadge({ state, disabledReason, failingSince }, attempts) {
  if (state === "disabled") return badge("off", `disabled: ${{ gone: "it answered 410", failing: "it failed for days", merchant: "by you" }[disabledReason] ?? words(disabledReason ?? "")}`);
  if (failingSince) return badge("bad", "failing");
  return attempts.length ? badge("good", "works") : badge("info", "enabled");
}

async function change(endpoint, state, read) {
  await request("PATCH", `/v1/webhook-endpoints/${endpoint.id}`, { body: { state } });
  toast(state === "enabled" ? "Enabled. What it has missed can be resent." : "Disabled");
  await read();
}

async function remove(endpoint, read) {
  const text = `Nothing is sent to ${endpoint.url} any more, and what is pending for it is cancelled.`;
  if (!(await confirmed({ title: "Remove the endpoint?", text, action: "Remove it" }))) return;
  await request("DELETE", `/v1/webhook-endpoints/${endpoint.id}`);
  toast("Removed");
  await read();
}

