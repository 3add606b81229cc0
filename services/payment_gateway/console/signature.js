/** Says why a signature is refused: whether bytes, secret, clock or headers are wrong, and what would be right. */

import { get, request } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { badge, button, code, field, problem, toast } from "/console/kit/ui.js";
import { eventText } from "./attempts.js";

const WRONG = { bytes: "The bytes", secret: "The secret", clock: "The clock", headers: "The headers", unknown: "The bytes or the secret" };
const SIGNED = /^(x-signature|webhook-(id|timestamp|signature))$/i;

/** @param {HTMLElement} outlet */
export function signatureView(outlet) {
  const headers = h("textarea", { rows: 4, required: true, spellcheck: "false", placeholder: "X-Signature: t=1795462643,v1=5257a869…" });
  const body = h("textarea", { rows: 8, spellcheck: "false", placeholder: '{"id":"evt_…","type":"payment.succeeded",…}' });
  const secret = h("input", { type: "password", required: true, autocomplete: "off", spellcheck: "false", maxlength: 255, placeholder: "whsec_…" });
  const at = h("input", { type: "text", inputmode: "numeric", pattern: "[0-9]{1,15}", placeholder: "now", autocomplete: "off" });
  const said = h("div", { class: "stack", role: "status" }, waiting());
  const form = h("form", { class: "card", onsubmit: (event) => (event.preventDefault(), check()) },
    h("div", { class: "card-body stack" },
      field("Headers", headers, "As they came: X-Signature, or the three of Standard Webhooks. A line each."),
      field("Body", body, "The raw bytes as your service had them, before parsing."),
      h("div", { class: "fields" }, field("Secret", secret, "As your service has it. It is not kept."), field("Checked at", at, "In Unix seconds, by your service's clock.")),
      h("div", { class: "row-of" }, h("button", { type: "submit", class: "button primary" }, "Check it"), button("Take the last webhook", takeLast))));
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Signature helper"), h("p", {}, "Your service refuses a webhook, and you do not see why? Give here what it had. The usual mistakes are tried, and the secrets of your endpoints.")),
    h("div", { class: "side-by-side helper" }, form, said));

  async function check() {
    const asked = { headers: parseHeaders(headers.value), body: body.value, secret: secret.value, ...(at.value && { at: Number(at.value) }) };
    try {
      const { verdicts } = (await request("POST", "/v1/test/signatures", { body: asked })).body;
      fill(said, verdicts.map(verdictCard));
    } catch (error) {
      fill(said, problem(error));
    }
  }

  /** Fills in a webhook as it was sent; the secret is the reader's to give. */
  async function takeLast() {
    const { data } = await get("/v1/deliveries", { limit: 50 });
    const one = data.find(({ attempts }) => attempts.some(({ sentHeaders }) => sentHeaders));
    if (!one) return toast("No webhook has been sent yet", "wait");
    const attempt = one.attempts.findLast(({ sentHeaders }) => sentHeaders);
    const signed = Object.entries(attempt.sentHeaders).filter(([name]) => SIGNED.test(name));
    headers.value = signed.map(([name, value]) => `${name}: ${value}`).join("\n");
    body.value = attempt.sentBody ?? (await eventText(one.eventId));
    at.value = attempt.sentHeaders["webhook-timestamp"] ?? "";
    secret.focus();
  }

  return { title: "Signature helper" };
}

function waiting() {
  return h("div", { class: "card" }, h("div", { class: "card-body stack soft" },
    h("h2", {}, "What can be wrong"),
    h("p", {}, h("strong", {}, "Bytes: "), "the body was parsed and printed again, or got a line break at its end."),
    h("p", {}, h("strong", {}, "Secret: "), "it is that of another endpoint, or whsec_ was used wrongly."),
    h("p", {}, h("strong", {}, "Clock: "), "more than five minutes apart, or milliseconds for seconds."),
    h("p", {}, h("strong", {}, "Headers: "), "one scheme's value was taken for the other's.")));
}

/** `Name: value` in each line. @param {string} text @returns {Record<string, string>} */
function parseHeaders(text) {
  const lines = text.split("\n").map((line) => /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line)).filter(Boolean);
  return Object.fromEntries(lines.map(([, name, value]) => [name, value]));
}

function verdictCard({ scheme, valid, mistakes, expected }) {
  const right = Object.entries(expected).map(([name, value]) => `${name}: ${value}`).join("\n");
  return h("section", { class: "card", "aria-label": scheme },
    h("div", { class: "card-head" }, h("h2", {}, scheme), valid ? badge("good", "right") : badge("bad", "not right")),
    h("div", { class: "card-body stack" },
      valid && h("p", {}, "The signature is of these bytes, by this secret, and of about this time."),
      mistakes.map(({ wrong, explanation }) => h("div", { class: "mistake" }, badge(wrong === "clock" ? "wait" : "bad", WRONG[wrong]), h("p", {}, explanation))),
      !valid && right && code(right, { label: "What would have been right" })));
}
