/** The dialogs to add an endpoint, to rotate its secret, and to resend events to it. */

import { newKey, request } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { banner, button, code, dialog, field, problem, select, toast } from "/console/kit/ui.js";
import { gatewayNow } from "./gateway_time.js";

const TYPES = ["payment.succeeded", "payment.failed", "refund.succeeded", "refund.failed", "dispute.created", "dispute.closed", "webhook_endpoint.disabled"];
const HOUR_S = 3600;
const IN_FLIGHT_MAX = 64; // the most that the gateway takes

/** @param {() => Promise<void>} read */
export function askForEndpoint(read) {
  const key = newKey();
  const url = h("input", { type: "url", required: true, placeholder: "http://127.0.0.1:9000/webhooks", maxlength: 2048 });
  const boxes = TYPES.map((type) => h("label", { class: "check" }, h("input", { type: "checkbox", value: type }), h("span", { class: "mono" }, type)));
  const chosen = h("fieldset", { class: "boxes" }, h("legend", {}, "Events"), h("p", { class: "hint" }, "None chosen means every event."), boxes);
  const atOnce = h("input", { type: "number", required: true, min: 1, max: IN_FLIGHT_MAX, value: IN_FLIGHT_MAX });
  const content = h("div", { class: "stack" }, field("Address", url), chosen, field("Deliveries at once", atOnce, "Fewer for a service that takes few requests at a time."));
  asking("Add an endpoint", "Add", content, async () => {
    const eventTypes = [...chosen.querySelectorAll("input:checked")].map((box) => box.value);
    const { body } = await request("POST", "/v1/webhook-endpoints", { body: { url: url.value, eventTypes, maxInFlight: Number(atOnce.value) }, key });
    await read();
    return secretOnce(body.secret, "The endpoint is added. This is its secret:");
  });
  url.focus();
}

/** @param {import("./endpoint_names.js").Endpoint} endpoint @param {() => Promise<void>} read */
export function askForRotation(endpoint, read) {
  const key = newKey();
  const overlap = select([[String(0), "not at all"], [String(HOUR_S), "for an hour"], [String(24 * HOUR_S), "for a day"], [String(7 * 24 * HOUR_S), "for a week"]], String(24 * HOUR_S));
  asking("Rotate the secret", "Rotate", field("The old secret signs too", overlap, "Until then your service may have either one."), async () => {
    const { body } = await request("POST", `/v1/webhook-endpoints/${endpoint.id}/rotate-secret`, { body: { overlapSeconds: Number(overlap.value) }, key });
    await read();
    return secretOnce(body.secret, "This is the new secret:");
  });
}

/** @param {import("./endpoint_names.js").Endpoint} endpoint */
export function askForResend(endpoint) {
  const since = select([[String(HOUR_S), "the last hour"], [String(24 * HOUR_S), "the last day"], [String(72 * HOUR_S), "the last three days"], [String(30 * 24 * HOUR_S), "the last thirty days"]], String(24 * HOUR_S));
  asking("Resend what it has not taken", "Resend", field("Events of", since, "Everything that it wants and has not answered with a 2xx."), async (asked) => {
    const at = new Date(gatewayNow() - Number(since.value) * 1000).toISOString();
    const { body } = await request("POST", `/v1/webhook-endpoints/${endpoint.id}/resend`, { body: { since: at } });
    asked.close();
    const more = body.complete ? "" : ", and more follow";
    toast(body.resent ? `${body.resent} ${body.resent === 1 ? "event is" : "events are"} on the way${more}` : "It has missed nothing since then", body.resent ? "good" : "info");
    return null;
  });
}

/** A dialog with one action. It shows a refusal, or the result. */
function asking(title, action, content, act) {
  const said = h("div");
  const form = h("form", { class: "stack", onsubmit: (event) => (event.preventDefault(), go()) }, content, said);
  const asked = dialog({ title, content: form, actions: [button("Leave it", () => asked.close()), button(action, () => form.requestSubmit(), { kind: "primary" })] });

  async function go() {
    try {
      const result = await act(asked);
      if (!result) return;
      fill(asked.body, result);
      asked.setActions([button("Done", () => asked.close(), { kind: "primary" })]);
    } catch (error) {
      fill(said, problem(error));
    }
  }
}

/** @param {string} secret @param {string} text */
function secretOnce(secret, text) {
  return h("div", { class: "stack" }, h("p", {}, text), code(secret, { label: "Secret" }), banner("wait", "It is shown here once and never again. Copy it now."));
}
