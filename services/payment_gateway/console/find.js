/** The search box: an id or a reference leads to the page of the reference, everything else to a list of charges. */

import { get } from "/console/kit/api.js";
import { go, link } from "/console/kit/router.js";

const KINDS = { ch: "charges", re: "refunds", dp: "disputes", evt: "events" };

/** @param {string} text */
export async function find(text) {
  if (!text) return go(link("/charges"));
  const reference = (await referenceOfId(text)) ?? ((await isReference(text)) ? text : null);
  go(reference === null ? link("/charges", { q: text }) : referenceLink(reference));
}

/** A link to the page of a reference. @param {string} reference */
export function referenceLink(reference) {
  return link(`/references/${encodeURIComponent(reference)}`);
}

/** @param {string} id @returns {Promise<string | null>} */
async function referenceOfId(id) {
  const kind = KINDS[/^(ch|re|dp|evt)_[0-9a-f]{32}$/.exec(id)?.[1] ?? ""];
  if (!kind) return null;
  const found = await get(`/v1/${kind}/${id}`).catch(() => null);
  const about = kind === "events" ? found?.data : found;
  return about ? (about.chargeReference ?? about.reference ?? null) : null;
}

async function isReference(text) {
  if (/\s/.test(text) || text.length > 255) return false;
  const page = await get("/v1/charges", { reference: text, limit: 1 }).catch(() => ({ data: [] }));
  return page.data.length > 0;
}
