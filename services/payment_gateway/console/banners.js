/** Above every view: that faults are on, or that the clock is not the real one, and how to end it. */

import { get, request } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { duration, fullTime } from "/console/kit/format.js";
import { banner, button, toast } from "/console/kit/ui.js";
import { isReal, seeClock, watchClock } from "./gateway_time.js";
import { faultName } from "./faults.js";

/** @param {HTMLElement} outlet @param {import("/console/kit/stream.js").Live} live */
export function startBanners(outlet, live) {
  const chaos = h("div");
  const clock = h("div");
  fill(outlet, chaos, clock);
  const readFaults = () => get("/v1/test/faults").then((faults) => fill(chaos, chaosBanner(faults, readFaults)), () => {});
  live.subscribe(({ ids, again }) => (again || ids.has("faults")) && readFaults());
  document.addEventListener("faults-changed", readFaults);
  watchClock((now) => fill(clock, clockBanner(now)));
  readFaults();
}

/** @param {{ seed: number, rates: Record<string, number> }} faults */
function chaosBanner({ seed, rates }, read) {
  const on = Object.entries(rates).filter(([, rate]) => rate > 0);
  if (!on.length) return null;
  const named = on.slice(0, 3).map(([name, rate]) => `${faultName(name)} ${percent(rate)}`).join(", ");
  const more = on.length > 3 ? ` and ${on.length - 3} more` : "";
  return banner(
    "warn",
    h("div", { class: "banner-line" },
      h("p", {}, h("strong", {}, "Chaos is on. "), `${named}${more}; seed ${seed}.`),
      h("span", { class: "row-of" }, h("a", { href: "#/chaos" }, "See"), button("All off", () => allOff().then(read), { small: true }))),
  );
}

/** Nothing goes wrong by itself any more. */
export async function allOff() {
  await request("DELETE", "/v1/test/faults");
  toast("All faults are off");
  document.dispatchEvent(new CustomEvent("faults-changed"));
}

/** @param {number} rate from 0 to 1 */
export function percent(rate) {
  return `${Number((rate * 100).toFixed(1))} %`;
}

/** @param {import("./gateway_time.js").Clock} clock */
function clockBanner(clock) {
  if (isReal(clock)) return null;
  return banner(
    "wait",
    h("div", { class: "banner-line" },
      h("p", {}, h("strong", {}, clockSentence(clock)), " Charges and deliveries go by it; signatures keep the real time."),
      h("span", { class: "row-of" }, h("a", { href: "#/clock" }, clock.state === "running" ? "Back to real time" : "See"),
        clock.state === "frozen" && button("Resume", resume, { small: true }))),
  );
}

/** @param {import("./gateway_time.js").Clock} clock */
export function clockSentence({ state, now, advancingTo, aheadSeconds }) {
  if (state === "advancing") return `The clock is on its way to ${fullTime(advancingTo ?? now)}.`;
  if (state === "frozen") return `The clock is frozen at ${fullTime(now)}.`;
  return `The clock is ${duration(aheadSeconds * 1000)} ${aheadSeconds < 0 ? "behind" : "ahead of"} real time.`;
}

async function resume() {
  seeClock((await request("POST", "/v1/test/clock", { body: { action: "resume" } })).body);
}
