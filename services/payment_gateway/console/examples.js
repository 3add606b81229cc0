/** Commands to paste, shown in place of empty lists. */

import { quoted } from "/console/kit/curl.js";

/** A charge. @param {{ needsKey: boolean }} config */
export function example({ needsKey }) {
  const body = JSON.stringify({ amount: 2500, currency: "EUR", reference: `basket-${Math.floor(Math.random() * 9000 + 1000)}` });
  return [
    `curl -i ${location.origin}/v1/charges`,
    needsKey && `-H "Authorization: Bearer $API_KEY"`,
    `-H 'Content-Type: application/json'`,
    `-H "Idempotency-Key: $(date +%s)"`,
    `-d ${quoted(body)}`,
  ].filter(Boolean).join(" \\\n  ");
}

/** @param {string} event */
export function trigger(event) {
  return `payment-gateway trigger ${event} --url ${location.origin}`;
}

/** An endpoint. @param {{ needsKey: boolean }} config */
export function exampleEndpoint({ needsKey }) {
  return [
    `curl -i ${location.origin}/v1/webhook-endpoints`,
    needsKey && `-H "Authorization: Bearer $API_KEY"`,
    `-H 'Content-Type: application/json'`,
    `-H "Idempotency-Key: $(date +%s)"`,
    `-d '{"url": "http://127.0.0.1:9000/webhooks"}'`,
  ].filter(Boolean).join(" \\\n  ");
}
