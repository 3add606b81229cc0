/** The faults that happen by themselves: a slider for how often each does, and the seed that draws them. */

import { get, request } from "/console/kit/api.js";
import { curl } from "/console/kit/curl.js";
import { h, fill } from "/console/kit/dom.js";
import { button, code, field, problem, toast } from "/console/kit/ui.js";
import { allOff, percent } from "./banners.js";
import { GROUPS } from "./faults.js";

/** @typedef {{ seed: number, rates: Record<string, number> } & Record<string, any>} Faults */

const NUMBERS = {
  settleDelaySeconds: ["Settles slowly for", "seconds", 0, 31536000],
  replySeconds: ["A slow or silent reply takes", "seconds", 0, 120],
  retryAfterSeconds: ["Retry-After", "seconds", 0, 86400],
  webhookDelaySeconds: ["A webhook is late by", "seconds", 0, 604800],
  copies: ["Copies of a duplicated webhook", "", 2, 10],
};
const BAD_DAY = 0.05;

/** @param {HTMLElement} outlet */
export function chaosView(outlet, _place, { live }) {
  /** @type {Faults | null} */
  let faults = null;
  const seed = h("input", { type: "number", min: 0, max: 2 ** 53 - 1, step: 1, required: true, onchange: () => put({ seed: Number(seed.value) }) });
  /** @type {Map<string, { slider: HTMLInputElement, output: HTMLOutputElement, row: HTMLElement }>} */
  const rows = new Map();
  const numbers = Object.entries(NUMBERS).map(([name, [label, unit, min, max]]) => {
    const input = h("input", { type: "number", min, max, step: name === "copies" || name === "retryAfterSeconds" ? 1 : "any", required: true, onchange: () => put({ [name]: Number(input.value) }) });
    return { name, input, element: field(unit ? `${label}, ${unit}` : label, input) };
  });
  const command = h("div");
  const state = h("div");
  const [payments, ...others] = GROUPS.map(({ title, faults: of }) =>
    h("section", { class: "card", "aria-label": title }, h("div", { class: "card-head" }, h("h2", {}, title)), h("div", { class: "card-body" }, Object.entries(of).map(([name, words]) => sliderRow(name, words)))));
  const drawn = h("section", { class: "card", "aria-label": "Seed and numbers" }, h("div", { class: "card-head" }, h("h2", {}, "Seed and numbers")),
    h("div", { class: "card-body stack" }, h("div", { class: "seed" }, field("Seed", seed), button("Another", () => put({ seed: Math.floor(Math.random() * 1e6) }))), h("div", { class: "fields" }, numbers.map(({ element }) => element))));
  outlet.append(
    h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Chaos"), h("div", { class: "row-of" }, button("A bad day", badDay, { title: `Every fault at ${percent(BAD_DAY)}, but disputes` }), button("All off", () => allOff().then(read), { kind: "primary" })),
      h("p", {}, "The seed and a request's Idempotency-Key decide its faults: the same keys give the same faults, run after run.")),
    state,
    h("div", { class: "grid faults" }, h("div", { class: "stack" }, payments, drawn), others),
    h("div", { class: "chaos-command" }, command));

  function sliderRow(name, [title, text]) {
    const output = h("output", { class: "rate" });
    const slider = h("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": title, "aria-describedby": `about-${name}` });
    slider.addEventListener("input", () => showRate(name, Number(slider.value) / 100));
    slider.addEventListener("change", () => put({ rates: { ...faults?.rates, [name]: Number(slider.value) / 100 } }));
    const row = h("div", { class: "fault", dataset: { fault: name } }, h("div", { class: "fault-name" }, h("span", { class: "strong" }, title), output), slider, h("p", { class: "fine", id: `about-${name}` }, text));
    rows.set(name, { slider, output, row });
    return row;
  }

  function showRate(name, rate) {
    const { slider, output, row } = rows.get(name);
    output.value = rate ? percent(rate) : "off";
    slider.setAttribute("aria-valuetext", output.value);
    row.classList.toggle("is-on", rate > 0);
  }

  function show(next) {
    faults = next;
    for (const [name, { slider }] of rows) {
      const rate = next.rates[name] ?? 0;
      if (document.activeElement !== slider || Number(slider.value) / 100 !== rate) slider.value = String(rate * 100);
      showRate(name, rate);
    }
    if (document.activeElement !== seed) seed.value = String(next.seed);
    for (const { name, input } of numbers) if (document.activeElement !== input) input.value = String(next[name]);
    fill(command, code(curl({ method: "PUT", path: "/v1/test/faults", headers: { "Content-Type": "application/json" }, body: JSON.stringify(next) }), { label: "The same as a command" }));
    fill(state);
  }

  async function read() {
    await get("/v1/test/faults").then(show, (error) => fill(state, problem(error)));
  }

  /** @param {Partial<Faults>} change */
  async function put(change) {
    if (!faults) return;
    const rates = Object.fromEntries(Object.entries(change.rates ?? faults.rates).filter(([, rate]) => rate > 0));
    try {
      show((await request("PUT", "/v1/test/faults", { body: { ...faults, ...change, rates } })).body);
      document.dispatchEvent(new CustomEvent("faults-changed"));
    } catch (error) {
      toast(error.message, "bad");
      await read();
    }
  }

  /** A little of every fault but disputes: a dispute that nobody closes never ends. */
  function badDay() {
    const names = [...rows.keys()].filter((name) => name !== "disputed");
    put({ rates: Object.fromEntries(names.map((name) => [name, BAD_DAY])) });
  }

  const end = live.subscribe(({ ids, again }) => (again || ids.has("faults")) && read());
  read();
  return { title: "Chaos", refresh: read, close: end };
}
