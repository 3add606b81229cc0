/** Banners above every view: faults are on, or the clock is not at real time, each with a way to end that. */

import { get, request } from "/console/kit/api.js";
import { h, fill } from "/console/kit/dom.js";
import { duration, fullTime, timeOfDay } from "/console/kit/format.js";
import { link } from "/console/kit/router.js";
import { banner, button, toast } from "/console/kit/ui.js";
import { isReal, seeClock, watchClock } from "./gateway_time.js";
import { faultName } from "./faults.js";

/** @param {HTMLElement} outlet @param {import("/console/kit/stream.js").Live} live */
export function startBanners(outlet, live) {
  const chaos = h("div");
  const clock = h("div");
  fill(outlet, chaos, clock);
  async function readFaults() {
    const [faults, recent] = await Promise.all([get("/v1/test/faults"), get("/v1/test/requests", { limit: 100 }).catch(() => ({ data: [] }))]);
    fill(chaos, chaosBanner(faults, recent.data.find(setsFaults), readAgain));
  }
  const readAgain = () => readFaults().catch(() => {});
  live.subscribe(({ ids, again }) => (again || ids.has("faults")) && readAgain());
  document.addEventListener("faults-changed", readAgain);
  watchClock((now) => fill(clock, clockBanner(now)));
  readAgain();
}

/** @param {any} request one of the recent ones */
function setsFaults({ method, path, status }) {
  return method === "PUT" && path === "/v1/test/faults" && status === 200;
}

/** @param {{ seed: number, rates: Record<string, number> }} faults @param {any} by the request that has set them, if it is known */
function chaosBanner({ seed, rates }, by, read) {
  const on = Object.entries(rates).filter(([, rate]) => rate > 0);
  if (!on.length) return null;
  const named = on.slice(0, 3).map(([name, rate]) => `${faultName(name)} ${percent(rate)}`).join(", ");
  const more = on.length > 3 ? ` and ${on.length - 3} more` : "";
  return banner(
    "warn",
    h("div", { class: "banner-line" },
      h("p", {}, h("strong", {}, "Chaos is on. "), `${named}${more}; seed ${seed}.`, by && [" Switched on at ", h("a", { href: link("/requests", { id: by.id }) }, timeOfDay(by.at)), ` by ${agentOf(by)}.`]),
      h("span", { class: "row-of" }, h("a", { href: "#/chaos" }, "See"), button("All off", () => allOff().then(read), { small: true }))),
  );
}

/** The program that sent a request, by the name it gives: `curl/8.5.0`, or a page of this console. */
function agentOf({ requestHeaders }) {
  return requestHeaders["sec-fetch-site"] === "same-origin" ? "this console" : (requestHeaders["user-agent"] ?? "a client without a name").split(" ")[0];
}

/** Switches all faults off. */
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
