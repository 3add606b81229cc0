/** The parts from which pages are built. */

import { h, fill } from "./dom.js";
import { shortId } from "./format.js";
import { icon } from "./icons.js";

/** @typedef {"good" | "wait" | "bad" | "info" | "warn" | "off"} Tone */

/** Shows a state by a word, a colour and the shape of its mark. @param {Tone} tone @param {string} word */
export function badge(tone, word, { title = "" } = {}) {
  return h("span", { class: `badge tone-${tone}`, title: title || null }, icon(tone), word);
}

/** A short message at the bottom of the page, read out too. @param {string} text @param {Tone} [tone] */
export function toast(text, tone = "good") {
  const place = document.querySelector("dialog[open]") ?? document.body; // all else is inert below a dialog
  const region = place.querySelector(":scope > .toasts") ?? place.appendChild(h("div", { class: "toasts", role: "status" }));
  const element = h("div", { class: `toast tone-${tone}` }, icon(tone), h("span", {}, text));
  region.append(element);
  setTimeout(() => element.remove(), tone === "bad" ? 10_000 : 4000);
}

/** A button. If what it does fails, the message says so. @param {string} label @param {() => unknown} onclick
 * @param {{ kind?: "primary" | "danger" | "quiet" | "", small?: boolean, title?: string, disabled?: boolean }} [options]
 */
export function button(label, onclick, { kind = "", small = false, title = "", disabled = false } = {}) {
  const classes = ["button", kind, small && "small"].filter(Boolean).join(" ");
  const act = async () => {
    try {
      await onclick();
    } catch (error) {
      toast(error.message, "bad");
    }
  };
  return h("button", { type: "button", class: classes, onclick: act, title: title || null, disabled }, label);
}

/** A button that copies. @param {string | (() => string)} text @param {string} label for example "Copy id"
 * @param {{ quiet?: boolean }} [options] `quiet`: only its picture is seen
 */
export function copyButton(text, label, { quiet = false } = {}) {
  const element = h("button", { type: "button", class: quiet ? "icon-button" : "button small", title: quiet ? label : null, "aria-label": quiet ? label : null }, icon("copy"), quiet ? null : label);
  element.addEventListener("click", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const done = await copy(typeof text === "function" ? text() : text);
    toast(done ? "Copied" : "The browser did not allow copying. Select the text instead.", done ? "good" : "bad");
  });
  return element;
}

/** `navigator.clipboard` is missing on pages that came by plain HTTP from another machine. @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** An id that can be copied, and a link if there is a place for it.
 * @param {string} id @param {{ href?: string, whole?: boolean, label?: string }} [options] `whole`: not shortened
 */
export function idChip(id, { href = "", whole = false, label = "id" } = {}) {
  const shown = whole ? id : shortId(id);
  const text = href ? h("a", { href, title: id }, shown) : h("span", { title: whole ? null : id }, shown);
  return h("span", { class: "id-chip" }, text, copyButton(id, `Copy ${label}`, { quiet: true }));
}

/** Text in a box with a fixed width font, and a button to copy it.
 * @param {string} text @param {{ label?: string, wrap?: boolean }} [options] `label` stands above and names it
 */
export function code(text, { label = "", wrap = true } = {}) {
  const body = h("pre", { tabindex: 0, role: "group", "aria-label": label || "Text", class: wrap ? "wrap" : null }, h("code", {}, text));
  return h("div", { class: "code" }, h("div", { class: "code-head" }, h("span", {}, label), copyButton(text, "Copy")), body);
}

/** JSON laid out to be read, or the text itself if it is none. @param {string} text */
export function laidOut(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A part to unfold. @param {Parameters<typeof h>[2]} summary @param {() => Node} content made when it is first unfolded */
export function details(summary, content, { open = false, onToggle = null } = {}) {
  const element = h("details", { open }, h("summary", {}, summary));
  const make = () => element.open && element.childElementCount === 1 && element.append(content());
  element.addEventListener("toggle", () => {
    make();
    onToggle?.(element.open);
  });
  make();
  return element;
}

/** Name and value, one above the other or side by side. @param {[string, any][]} pairs those without a value are left out */
export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false);
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** @param {Tone} tone @param {...any} content */
export function banner(tone, ...content) {
  return h("div", { class: `banner tone-${tone}`, role: tone === "bad" ? "alert" : "status" }, icon(tone), h("div", {}, content));
}

/** Stands in place of an empty list. `command` is the next thing to paste.
 * @param {{ title: string, text?: string, command?: string, action?: Node | null }} options
 */
export function emptyState({ title, text = "", command = "", action = null }) {
  return h("div", { class: "empty" }, icon("empty"), h("p", { class: "empty-title" }, title), text && h("p", {}, text), action, command && code(command, { label: "Paste into a terminal" }));
}

/** An error of a request, in the words of the problem document. @param {any} error an ApiError or any other */
export function problem(error) {
  const of = error.problem;
  if (!of) return banner("bad", h("p", {}, error.message || String(error)));
  return banner(
    "bad",
    h("p", {}, h("strong", {}, `${of.status} · ${of.title}`)),
    h("p", {}, of.detail),
    of.errors?.length ? h("ul", {}, of.errors.map((one) => h("li", {}, h("code", {}, one.pointer), ` ${one.detail}`))) : null,
    h("p", { class: "fine" }, h("a", { href: of.type }, of.type), " · ", h("code", {}, of.instance)),
  );
}

let fields = 0;

/** A label, its control, and a hint below. @param {string} label @param {HTMLElement} control @param {string} [hint] */
export function field(label, control, hint = "") {
  control.id ||= `field-${++fields}`;
  if (hint) control.setAttribute("aria-describedby", `${control.id}-hint`);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, hint && h("p", { class: "hint", id: `${control.id}-hint` }, hint));
}

/** A drop-down. @param {[string, string][]} options values and what they are called */
export function select(options, value = "", attributes = {}) {
  const element = h("select", attributes, options.map(([of, text]) => h("option", { value: of }, text)));
  element.value = value;
  return element;
}

/**
 * A modal dialog, open. It closes by Esc, by its buttons, and by `close()`.
 * @param {{ title: string, content: any, actions?: Node[], wide?: boolean, onClose?: () => void }} options
 */
export function dialog({ title, content, actions = [], wide = false, onClose = null }) {
  const name = `dialog-${++fields}`;
  const close = () => element.close();
  const head = h("header", {}, h("h2", { id: name }, title), h("button", { type: "button", class: "icon-button", "aria-label": "Close", title: "Close", onclick: close }, icon("close")));
  const body = h("div", { class: "dialog-body" }, content);
  const foot = h("footer", {}, actions);
  const element = /** @type {HTMLDialogElement} */ (h("dialog", { class: wide ? "wide" : null, "aria-labelledby": name }, head, body, actions.length ? foot : null));
  element.addEventListener("close", () => {
    element.remove();
    onClose?.();
  });
  document.body.append(element);
  element.showModal();
  return { element, body, close, setActions: (/** @type {Node[]} */ next) => (element.contains(foot) || element.append(foot), fill(foot, next)) };
}

/** Asks before something that cannot be undone. @returns {Promise<boolean>} */
export function confirmed({ title, text, action, danger = true }) {
  return new Promise((resolve) => {
    let answer = false;
    const go = button(action, () => ((answer = true), asked.close()), { kind: danger ? "danger" : "primary" });
    const asked = dialog({ title, content: h("p", {}, text), actions: [button("Leave it", () => asked.close()), go], onClose: () => resolve(answer) });
  });
}
