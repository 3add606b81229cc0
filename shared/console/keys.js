/** The keyboard: j and k walk through the rows, and a page adds keys of its own. `?` shows them all. */

import { h } from "./dom.js";
import { dialog } from "./ui.js";

const OFF = "single-keys-off";
const ROWS = "main [data-row]";

/** @type {Map<string, { what: string, act: () => void }>} */
const bound = new Map();

/** Binds a key until the returned function is called.
 * @param {string} key as in KeyboardEvent.key @param {string} what for the list that `?` shows @param {() => void} act
 */
export function onKey(key, what, act) {
  const binding = { what, act };
  bound.set(key, binding);
  return () => {
    if (bound.get(key) === binding) bound.delete(key);
  };
}

/** Starts listening. To be called once. */
export function startKeys() {
  onKey("j", "next row", () => step(1));
  onKey("k", "row before", () => step(-1));
  onKey("?", "this list", showKeys);
  addEventListener("keydown", (event) => {
    const binding = bound.get(event.key);
    if (!binding || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector("dialog[open]") || isTyping(event.target)) return;
    if (event.key.length === 1 && areOff()) return;
    event.preventDefault();
    binding.act();
  });
}

export function showKeys() {
  if (document.querySelector("dialog[open]")) return;
  const rows = [...bound].map(([key, { what }]) => [key, what]);
  rows.splice(2, 0, ["Enter", "open the row"]);
  const list = h("dl", { class: "keys" }, rows.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key === "Escape" ? "Esc" : key)), h("dd", {}, what))));
  const box = h("input", { type: "checkbox", id: "single-keys" });
  box.checked = !areOff();
  box.addEventListener("change", () => (box.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
  const choice = h("p", { class: "check" }, box, h("label", { for: "single-keys" }, "Keys of one character are on"));
  dialog({ title: "Keyboard", content: [list, choice] });
}

// WCAG 2.1.4: whoever speaks to the computer, or hits keys by accident, can turn them off.
function areOff() {
  return localStorage.getItem(OFF) !== null;
}

/** @param {number} by */
function step(by) {
  const rows = [...document.querySelectorAll(ROWS)];
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
  const to = rows[at === -1 ? (by > 0 ? 0 : rows.length - 1) : at + by];
  to?.focus();
  to?.scrollIntoView({ block: "nearest" });
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.matches("input:not([type=checkbox], [type=range]), textarea, select, [contenteditable]");
}
