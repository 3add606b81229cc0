/** `#/glance`: the figures of `/metrics` at a glance. */

import { fill, h } from "/console/kit/dom.js";
import { count, duration, words } from "/console/kit/format.js";
import { bars, bucketsOf, columns, quantile, readMetrics, tile, valueOf, valuesBy } from "/console/kit/figures.js";
import { link } from "/console/kit/router.js";
import { problem } from "/console/kit/ui.js";
import { STATUSES } from "./search.js";
import { reviewText, toneOf } from "./words.js";

const READ_EVERY_MS = 5000; // the service counts no more often
const BREAKER = [["Closed", "Calls go through.", "good"], ["Half-open", "One call is let through to try.", "wait"], ["Open", "The provider fails; calls wait.", "bad"]];

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} _place @param {import("./app.js").Context} context */
export function showGlance(outlet, _place, { live }) {
  const body = h("div", { class: "stack glance" }, h("p", { class: "loading" }, "Reading…"));
  outlet.append(h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "At a glance"), h("a", { class: "button small", href: "/metrics" }, "/metrics"), h("p", {}, "The same figures as Prometheus scrapes. What is counted since the start is of this process; what is open is what the database holds.")), body);

  let isRead = false;

  async function read() {
    try {
      const metrics = await readMetrics();
      fill(body, tiles(metrics), h("div", { class: "grid" }, statusCard(metrics), paidCard(metrics), callsCard(metrics), reviewsCard(metrics)));
      isRead = true;
    } catch (error) {
      if (!isRead) fill(body, problem(error));
    }
  }

  read();
  const timer = setInterval(() => !live.paused && !document.hidden && read(), READ_EVERY_MS);
  const end = live.subscribe(({ again }) => again && read());
  return { title: "At a glance", refresh: read, close: () => (clearInterval(timer), end()) };
}

function tiles(metrics) {
  const waiting = outbox(metrics, "ready") + outbox(metrics, "leased");
  const oldest = valueOf(metrics, "order_api_outbox_oldest_due_age_seconds") ?? 0;
  const [state, means, tone] = BREAKER[valueOf(metrics, "order_api_breaker_state") ?? 0];
  const dead = outbox(metrics, "dead");
  const reviews = valueOf(metrics, "order_api_open_reviews") ?? 0;
  const pending = valueOf(metrics, "order_api_pending_orders") ?? 0;
  const pendingFor = valueOf(metrics, "order_api_pending_order_oldest_age_seconds") ?? 0;
  return h("div", { class: "tiles" },
    tile({ label: "Pending orders", value: count(pending), note: pendingFor ? `the oldest for ${duration(pendingFor * 1000)}` : pending ? "each has a review" : "none waits", href: link("/orders", { q: "status:pending" }) }),
    tile({ label: "Calls waiting", value: count(waiting), note: oldest >= 1 ? `the oldest is due for ${duration(oldest * 1000)}` : "none is late", tone: oldest > 60 ? "wait" : "", href: link("/outbox") }),
    tile({ label: "Dead letters", value: count(dead), note: dead ? "each waits for a person" : "nothing was given up", tone: dead ? "bad" : "", href: link("/outbox", { state: "dead" }) }),
    tile({ label: "Open reviews", value: count(reviews), note: reviews ? "each waits for a person" : "nobody has to look", tone: reviews ? "warn" : "", href: link("/orders", { q: "review:open" }) }),
    tile({ label: "Breaker before the provider", value: state, note: means, tone }));
}

function statusCard(metrics) {
  const now = new Map(valuesBy(metrics, "order_api_orders", "status"));
  const taken = new Map(valuesBy(metrics, "order_api_orders_total", "status"));
  const counts = now.size ? now : taken;
  const rows = STATUSES.map((status) => ({ label: words(status), value: counts.get(status) ?? 0, text: count(counts.get(status) ?? 0), tone: toneOf(status), href: link("/orders", { q: `status:${status.toLowerCase()}` }) }));
  return card("Orders by status", now.size ? "as they are now" : "times an order took on a status since the start", bars(rows));
}

function paidCard(metrics) {
  const name = "order_api_time_to_paid_seconds";
  const buckets = bucketsOf(metrics, name);
  const total = valueOf(metrics, `${name}_count`) ?? 0;
  const mean = total ? (valueOf(metrics, `${name}_sum`) ?? 0) / total : 0;
  const said = (part) => total ? `within about ${duration(quantile(buckets, part) * 1000)}` : "–";
  const shown = buckets.map(({ upTo, count: value }, index) => ({ label: upTo === Infinity ? "∞" : short(upTo), value, tone: index < 6 ? "good" : "wait" }));
  return card("Time to Paid", `${count(total)} orders since the start; each column up to the time below it`,
    columns(shown),
    h("dl", { class: "facts quantiles" }, [["Mean", total ? duration(mean * 1000) : "–"], ["Half of them", said(0.5)], ["95 of 100", said(0.95)]].map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)))));
}

function callsCard(metrics) {
  const results = valuesBy(metrics, "order_api_dispatch_attempts_total", "result");
  const tones = { accepted: "good", refused: "bad", unavailable: "wait", withdrawn: "off" };
  const names = { accepted: "Accepted", refused: "Refused", unavailable: "No usable answer", withdrawn: "Not sent" };
  const rows = results.map(([result, value]) => ({ label: names[result] ?? words(result), value, text: count(value), tone: tones[result] ?? "info" }));
  const open = [["ready", "Waiting"], ["leased", "Being sent"], ["dead", "Given up"]].map(([state, label]) => ({ label, value: outbox(metrics, state), text: count(outbox(metrics, state)), tone: toneOf(state), href: link("/outbox", { state }) }));
  return card("Calls of the provider", "open now, and attempts since the start", h("h3", {}, "Open"), bars(open), h("h3", {}, "Attempts"), bars(rows));
}

function reviewsCard(metrics) {
  const codes = valuesBy(metrics, "order_api_open_reviews", "code").filter(([, value]) => value > 0);
  const rows = codes.map(([code, value]) => ({ label: h("span", { title: reviewText(code) }, code), value, text: count(value), tone: "warn", href: link("/orders", { q: `review:${code}` }) }));
  const refused = valuesBy(metrics, "order_api_webhooks_refused_total", "reason").map(([reason, value]) => ({ label: words(reason), value, text: count(value), tone: "bad", href: link("/webhooks") }));
  return card("For a person to look at", "open reviews now, and webhooks refused since the start", h("h3", {}, "Open reviews"), rows.length ? bars(rows) : h("p", { class: "soft none" }, "There are none."), h("h3", {}, "Refused webhooks"), bars(refused));
}

function card(title, note, ...content) {
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, title), h("p", {}, note)), h("div", { class: "card-body stack" }, content));
}

function outbox(metrics, state) {
  return valueOf(metrics, "order_api_outbox_messages", { state }) ?? 0;
}

/** A bound of a histogram in few characters. @param {number} seconds */
function short(seconds) {
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${seconds / 60}m`;
  return `${seconds / 3600}h`;
}
