/** The frame around every view: name, views, search, live or not, theme, keyboard, links, and the API key if needed. */

import { apiKey, keepApiKey } from "./api.js";
import { h, fill } from "./dom.js";
import { icon } from "./icons.js";
import { onKey, showKeys, startKeys } from "./keys.js";
import { go, startRouter } from "./router.js";
import { button, dialog, emptyState, field } from "./ui.js";

const MANY = 5; // so many views fit beside the search; more get a line of their own
const THEMES = ["auto", "light", "dark"];
const STATES = {
  connecting: ["wait", "Connecting", "The page connects to the stream of changes."],
  live: ["good", "Live", "Changes are shown as they happen. Press to pause."],
  reconnecting: ["wait", "Reconnecting", "The service does not answer. The page tries again, and then shows what it missed."],
  paused: ["off", "Paused", "The page shows no changes now. Press to go on."],
  refused: ["bad", "No access", "The API key was not accepted. Press to give another."],
};

/**
 * Builds the page and shows the view of the fragment.
 * @param {object} options
 * @param {import("./api.js").Config} options.config
 * @param {string} options.name the name at the top and in the title
 * @param {import("./stream.js").Live} options.live
 * @param {import("./router.js").Route[]} options.routes if none fits, the first is shown
 * @param {[string, string][]} options.views fragment and name of each view in the menu
 * @param {{ label: string, placeholder: string, submit: (text: string) => void, get: () => string }} options.search
 *   `get` returns the text of the box for the current view
 * @param {[string, string] | null} [options.other] name and address of the other console
 * @returns {{ banners: HTMLElement }} `banners` is above every view
 */
export function startShell({ config, name, live, routes, views, search, other = null }) {
  const menu = h("nav", { class: "views", "aria-label": "Views" }, views.map(([href, text]) => h("a", { href }, text)));
  const box = h("input", { type: "search", name: "q", autocomplete: "off", spellcheck: "false", enterkeyhint: "search", placeholder: search.placeholder, "aria-label": search.label, maxlength: 400 });
  const form = h("form", { class: "search", role: "search", onsubmit: (event) => (event.preventDefault(), search.submit(box.value.trim())) }, icon("search"), box, h("kbd", { "aria-hidden": "true" }, "/"));
  const banners = h("div", { class: "banners" });
  const outlet = h("main", { id: "view", tabindex: -1 });
  const links = [other && h("a", { class: "quiet-link", href: other[1] }, other[0], icon("out")), h("a", { class: "quiet-link", href: "/schema" }, "API", icon("out"))];
  const brand = h("a", { class: "brand", href: views[0][0] }, h("span", { class: "mark", "aria-hidden": "true" }), h("span", {}, name));
  fill(
    document.body,
    h("a", { class: "skip", href: "#view", onclick: (event) => (event.preventDefault(), outlet.focus()) }, "Skip to the view"),
    h("header", { class: "top" }, h("div", { class: views.length > MANY ? "top-inner many" : "top-inner" }, brand, menu, form, h("div", { class: "tools" }, liveButton(live), themeButton(), keyboardButton(), links))),
    banners,
    outlet,
    h("footer", { class: "bottom" }, h("span", {}, `${config.service} ${config.version}`), config.development && h("span", {}, "development"), h("span", {}, "All that this page does is a call of the ", h("a", { href: "/schema" }, "API"), "."), other && h("a", { href: other[1] }, other[0])),
  );
  document.addEventListener("key-needed", (event) => askForKey(/** @type {CustomEvent} */ (event).detail));
  if (config.needsKey && !apiKey()) {
    const again = button("Give the key", () => askForKey(false), { kind: "primary" });
    fill(outlet, h("h1", { class: "visually-hidden" }, name), emptyState({ title: "This service has API keys", text: "The page can show nothing without one.", action: again }));
    askForKey(false);
    return { banners };
  }
  const router = startRouter(outlet, routes, {
    site: name,
    onShow: (path) => {
      if (document.activeElement !== box) box.value = search.get();
      for (const item of menu.children) mark(item, path);
    },
  });
  startKeys();
  onKey("/", "search", () => (box.focus(), box.select()));
  onKey("r", "read the view again", () => router.current()?.refresh?.());
  onKey("Escape", "close, or one level up", () => leave(router.current()));
  box.addEventListener("keydown", (event) => event.key === "Escape" && box.blur());
  live.start();
  return { banners };
}

/** Esc first takes away the focus, and then leads up. @param {import("./router.js").View} view */
function leave(view) {
  const focused = /** @type {HTMLElement} */ (document.activeElement);
  if (!focused.matches("body, main, h1")) focused.blur();
  else if (view.up) go(view.up());
}

/** @param {Element} item */
function mark(item, path) {
  const href = item.getAttribute("href").replace(/^#/, "").split("?")[0];
  const isOn = path === href || (href !== "/" && path.startsWith(`${href}/`));
  if (isOn) item.setAttribute("aria-current", "page");
  else item.removeAttribute("aria-current");
}

/** @param {import("./stream.js").Live} live */
function liveButton(live) {
  const word = h("span", {});
  const element = h("button", { type: "button", class: "live" }, h("span", { class: "dot", "aria-hidden": "true" }), word);
  const said = h("span", { class: "visually-hidden", role: "status" });
  element.addEventListener("click", () => (live.state === "refused" ? askForKey(true) : live.pause(!live.paused)));
  live.watch((state) => {
    const [tone, text, title] = STATES[state];
    element.className = `live tone-${tone}`;
    element.dataset.state = state;
    element.title = title;
    fill(word, text);
    if (state === "reconnecting" || said.textContent) fill(said, text);
  });
  return h("span", {}, element, said);
}

function themeButton() {
  const element = h("button", { type: "button", class: "icon-button" }, icon("theme"));
  const now = () => document.documentElement.dataset.theme ?? "auto";
  const show = () => {
    element.title = `Theme: ${now()}`;
    element.setAttribute("aria-label", `Theme: ${now()}. Change it`);
  };
  element.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(now()) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    localStorage.setItem("theme", next);
    show();
  });
  show();
  return element;
}

function keyboardButton() {
  return h("button", { type: "button", class: "icon-button keyboard", title: "Keyboard", "aria-label": "Keyboard shortcuts", onclick: showKeys }, icon("help"));
}

/** Keeps the key in this tab only, and loads the page again with it. @param {boolean} wasRefused */
function askForKey(wasRefused) {
  if (document.querySelector("dialog[data-asks-for-key]")) return;
  const input = h("input", { type: "password", autocomplete: "off", required: true });
  const submit = () => (keepApiKey(input.value.trim()), location.reload());
  const hint = wasRefused ? "The service did not accept the key it was given." : "The service has API keys. The page keeps yours until this tab is closed.";
  const form = h("form", { onsubmit: (event) => (event.preventDefault(), submit()) }, field("API key", input, hint));
  const asked = dialog({ title: "An API key, please", content: form, actions: [button("Open the console", () => form.requestSubmit(), { kind: "primary" })] });
  asked.element.dataset.asksForKey = "";
  input.focus();
}
