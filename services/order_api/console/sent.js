/** The requests that this tab has sent, so that an order can show the request that made it. The API does not show keys. */

const NAME = "sent-requests";
const KEPT = 50;

/** @param {string} orderId @param {import("/console/kit/api.js").SentRequest} request */
export function keepRequest(orderId, request) {
  const kept = Object.entries({ ...read(), [orderId]: request }).slice(-KEPT);
  sessionStorage.setItem(NAME, JSON.stringify(Object.fromEntries(kept)));
}

/** @param {string} orderId @returns {import("/console/kit/api.js").SentRequest | null} */
export function requestOf(orderId) {
  return read()[orderId] ?? null;
}

function read() {
  return JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
}
