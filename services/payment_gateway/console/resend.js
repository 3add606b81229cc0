/** Sending an event again, or a forgery of it. */

import { request } from "/console/kit/api.js";
import { h } from "/console/kit/dom.js";
import { button, dialog, toast } from "/console/kit/ui.js";
import { FORGERIES } from "./faults.js";

/**
 * The buttons. @param {{ eventId: string, endpointId?: string }} what without an endpoint, to every one that wants it
 * @param {{ testEndpoints: boolean }} config
 */
export function resendButtons({ eventId, endpointId }, { testEndpoints }) {
  return [
    button("Resend", () => resend(eventId, endpointId)),
    testEndpoints && button("Resend forged as…", () => chooseForgery(eventId, endpointId)),
  ];
}

/** @param {string} eventId @param {string} [endpointId] @param {string} [forgery] */
async function resend(eventId, endpointId, forgery) {
  const body = { ...(endpointId && { endpointId }), ...(forgery && { forgery }) };
  const { resent } = (await request("POST", `/v1/events/${eventId}/resend`, { body })).body;
  if (!resent) toast("No endpoint wants this event", "wait");
  else if (forgery) toast(`${FORGERIES[forgery][0]} is on its way, and then the true event`);
  else toast(resent === 1 ? "On its way" : `On its way to ${resent} endpoints`);
}

function chooseForgery(eventId, endpointId) {
  const choices = Object.entries(FORGERIES).map(([name, [title, text]]) =>
    h("li", {}, button(title, () => (asked.close(), resend(eventId, endpointId, name))), h("span", { class: "soft" }, text)));
  const asked = dialog({
    title: "Resend forged as…",
    content: [h("p", { class: "soft" }, "A right receiver answers 401 and changes nothing. The true event follows as a retry."), h("ul", { class: "choices" }, choices)],
  });
}
