/** Finds an endpoint's address by its id: a delivery has only the id, but people know the address. */

import { get } from "/console/kit/api.js";

/** @typedef {{ id: string, url: string, eventTypes: string[], state: "enabled" | "disabled", disabledReason: string | null,
 *   failingSince: string | null, maxInFlight: number, headerNames: string[], expiresAt: string | null, createdAt: string }} Endpoint */

/** @type {Map<string, Endpoint>} */
const known = new Map();

/** Reads all endpoints: a merchant has at most a hundred. @returns {Promise<Endpoint[]>} */
export async function readEndpoints() {
  const { data } = await get("/v1/webhook-endpoints", { limit: 100 });
  for (const one of data) known.set(one.id, one);
  return data;
}

/** @param {string} id */
export function endpointUrl(id) {
  return known.get(id)?.url ?? "";
}

/** Host and path, or the id of one that was deleted. @param {string} id */
export function endpointName(id) {
  const url = endpointUrl(id);
  return url ? url.replace(/^https?:\/\//, "").replace(/\/$/, "") : id;
}
