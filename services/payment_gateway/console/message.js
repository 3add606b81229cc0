/** One HTTP message: its headers, folded, and its body, laid out to be read. */

import { h } from "/console/kit/dom.js";
import { code, details, laidOut } from "/console/kit/ui.js";

/**
 * @param {string} title
 * @param {Record<string, string> | null} headers null where they were not kept
 * @param {string} body
 * @param {string} nothing what to say where there is no body
 * @param {{ raw?: boolean }} [options] `raw`: byte for byte, as signatures see it
 */
export function message(title, headers, body, nothing, { raw = false } = {}) {
  const names = Object.entries(headers ?? {});
  const lines = names.map(([name, value]) => `${name}: ${value}`).join("\n");
  const told = headers === null ? "Headers were not kept" : `${names.length} ${names.length === 1 ? "header" : "headers"}`;
  return h("section", { class: "stack message" },
    h("h3", {}, title),
    body ? code(raw ? body : laidOut(body), { label: raw ? "Body, byte for byte" : "Body" }) : h("p", { class: "soft" }, nothing),
    names.length ? details(told, () => code(lines, { label: `Headers of the ${title.toLowerCase().split(" ")[0]}` })) : h("p", { class: "fine" }, told));
}
