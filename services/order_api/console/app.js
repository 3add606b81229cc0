/** The console of order_api. Each view is a module; what they share is the kit under `/console/kit/`. */

import { loadConfig } from "/console/kit/api.js";
import { fill } from "/console/kit/dom.js";
import { onKey } from "/console/kit/keys.js";
import { go, here, link } from "/console/kit/router.js";
import { startShell } from "/console/kit/shell.js";
import { Live } from "/console/kit/stream.js";
import { problem } from "/console/kit/ui.js";
import { showGlance } from "./glance.js";
import { showOrder } from "./order.js";
import { showOrders } from "./orders.js";
import { showOutbox } from "./outbox.js";
import { openPlaceOrder } from "./place.js";
import { orderIdIn, orderWithNumber } from "./search.js";
import { showWebhooks } from "./webhooks.js";

/** What every view is given. @typedef {{ config: import("/console/kit/api.js").Config, live: Live }} Context */

async function start() {
  const config = await loadConfig();
  const live = new Live("/api/stream");
  const context = { config, live };
  startShell({
    config,
    live,
    name: "Order console",
    routes: [
      { pattern: "/orders", show: (outlet, place) => showOrders(outlet, place, context) },
      { pattern: "/orders/:id", show: (outlet, place) => showOrder(outlet, place, context) },
      { pattern: "/glance", show: (outlet, place) => showGlance(outlet, place, context) },
      { pattern: "/outbox", show: (outlet, place) => showOutbox(outlet, place, context) },
      { pattern: "/webhooks", show: (outlet, place) => showWebhooks(outlet, place, context) },
    ],
    views: [["#/orders", "Orders"], ["#/glance", "At a glance"], ["#/outbox", "Outbox"], ["#/webhooks", "Webhooks"]],
    search: { label: "Search orders", placeholder: "ORD-1, an id, status:failed, review:open", submit: search, get: searched },
    other: config.gatewayConsoleUrl ? ["Gateway", `${config.gatewayConsoleUrl}/`] : null,
  });
  onKey("n", "place an order", () => openPlaceOrder());
}

/** Opens the order if the text is an id or the number of an order. Any other text filters the list. @param {string} text */
async function search(text) {
  const id = orderIdIn(text) ?? (await orderWithNumber(text).catch(() => null));
  go(id ? link(`/orders/${id}`) : link("/orders", { q: text }));
}

function searched() {
  const { path, query } = here();
  return path === "/orders" ? (query.get("q") ?? "") : "";
}

start().catch((error) => fill(document.body, problem(error)));
