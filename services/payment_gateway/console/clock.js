/** The provider's time: shows it and what is due next, and moves it. It also offers a fresh start. */

import { request } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { duration, fullTime } from "/console/kit/format.js";
import { badge, button, confirmed, toast } from "/console/kit/ui.js";
import { clockSentence } from "./banners.js";
import { gatewayNow, isReal, readClock, seeClock, watchClock, when } from "./gateway_time.js";

const HOUR_S = 3600;
const WHAT = {
  charges: ["A charge, refund or dispute settles", "#/charges"],
  endpoints: ["An endpoint's own event is announced", "#/endpoints"],
  resends: ["A resend goes on", "#/deliveries"],
  deliveries: ["A delivery is tried", "#/deliveries?state=pending"],
  held: ["A held delivery is let go", "#/deliveries?state=pending"],
};

/** @param {HTMLElement} outlet */
export function clockView(outlet, _place, { live }) {
  const face = h("p", { class: "clock-face mono" });
  const state = h("div", { class: "row-of" });
  const buttons = h("div", { class: "row-of" });
  const next = h("ol", { class: "rows due" });
  const hours = h("input", { type: "number", min: 1, max: 87600, step: 1, value: "24", required: true, "aria-label": "Hours to advance" });
  const own = h("form", { class: "row-of own-step", onsubmit: (event) => (event.preventDefault(), advance(Number(hours.value) * HOUR_S)) }, h("span", {}, "+"), hours, h("span", {}, "h"), h("button", { type: "submit", class: "button" }, "Go"));
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Clock"),
      h("p", {}, "Charges settle and deliveries are retried by this clock. On its way, everything that falls due happens, in order and at its own time. Signatures and idempotency keys keep the real time.")),
    h("div", { class: "grid clock-grid" },
      h("section", { class: "card", "aria-label": "Now" }, h("div", { class: "card-head" }, h("h2", {}, "Now"), state), h("div", { class: "card-body stack" }, face, buttons, own)),
      h("section", { class: "card", "aria-label": "Due next" }, h("div", { class: "card-head" }, h("h2", {}, "Due next")), next)),
    h("div", { class: "grid clock-grid below" },
      panel("Forget idempotency keys", "Yours are kept for a day of real time. Forget them now, to try a retry that comes too late.", button("Forget the keys", () => act({ action: "forgetKeys" }, "The keys are forgotten"))),
      panel("Reset", "Deletes charges, refunds, disputes, events, endpoints, keys, faults and the setting of the clock, for every merchant. The endpoint of the environment comes back, and the clock is real time again.", button("Reset everything…", reset, { kind: "danger" }))));

  function show(clock) {
    fill(state, clock.state === "running" ? badge(isReal(clock) ? "good" : "wait", isReal(clock) ? "real time" : clockSentence(clock).replace(/^The clock is |\.$/g, "")) : badge("wait", clock.state === "frozen" ? "frozen" : `on its way to ${fullTime(clock.advancingTo)}`));
    const isMoving = clock.state === "advancing";
    const step = (seconds) => button(`+${seconds / HOUR_S} h`, () => advance(seconds), { disabled: isMoving, kind: "primary" });
    const freeze = clock.state === "frozen" ? button("Resume", () => act({ action: "resume" }, "The clock runs")) : button("Freeze", () => act({ action: "freeze" }, "The clock stands still"), { disabled: isMoving });
    const focused = buttons.contains(document.activeElement) ? document.activeElement.textContent : "";
    fill(buttons, step(HOUR_S), step(72 * HOUR_S), freeze);
    if (focused) [...buttons.children].find((one) => one.textContent === focused || (/Resume|Freeze/.test(focused) && /Resume|Freeze/.test(one.textContent)))?.focus();
    for (const one of own.elements) one.disabled = isMoving;
    fill(next, clock.next.length ? clock.next.map((due) => dueRow(due, isMoving)) : h("li", {}, h("p", { class: "due-none soft" }, "Nothing is due.")));
    tick();
  }

  const tick = () => fill(face, fullTime(new Date(gatewayNow()).toISOString()));

  const timer = setInterval(tick, 250);
  const unwatch = watchClock(show);
  // Charges and deliveries change what is due next, too.
  const end = live.subscribe(({ ids, again }) => !live.paused && (again || [...ids.keys()].some((id) => /^(ch|dlv)_/.test(id))) && readClock());
  readClock();
  return { title: "Clock", refresh: readClock, close: () => (clearInterval(timer), unwatch(), end()) };
}

function dueRow({ what, at }, isMoving) {
  const [text, href] = WHAT[what] ?? [what, "#/deliveries"];
  const seconds = Math.max(1, Math.ceil((Date.parse(at) - gatewayNow()) / 1000));
  return h("li", {}, h("a", { class: "row due-columns", "data-row": true, href }, h("span", { class: "strong" }, text), h("span", { class: "soft" }, when(at))),
    button("Go there", () => advance(seconds), { small: true, disabled: isMoving, title: `Advance by ${duration(seconds * 1000)}` }));
}

function panel(title, text, action) {
  return h("section", { class: "card", "aria-label": title }, h("div", { class: "card-head" }, h("h2", {}, title)), h("div", { class: "card-body stack" }, h("p", { class: "soft" }, text), h("div", { class: "row-of" }, action)));
}

/** @param {number} seconds */
function advance(seconds) {
  return act({ action: "advance", seconds }, `The clock is ${duration(seconds * 1000)} ahead of where it was`);
}

async function act(body, done) {
  try {
    const { status, body: clock } = await request("POST", "/v1/test/clock", { body });
    seeClock(clock);
    toast(status === 202 ? "The clock is on its way" : done);
  } catch (error) {
    toast(error.message, "bad");
  }
}

async function reset() {
  const text = "Every charge, event and endpoint is gone then, for everybody who uses this gateway. It cannot be undone.";
  if (!(await confirmed({ title: "Reset everything?", text, action: "Reset everything" }))) return;
  await request("POST", "/v1/test/reset", { body: {} });
  toast("Everything is new");
  document.dispatchEvent(new CustomEvent("faults-changed"));
  await readClock();
}
