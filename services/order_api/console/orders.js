/** `#/orders`: the list, live. */

import { get } from "/console/kit/api.js";
import { curl } from "/console/kit/curl.js";
import { fill, h, reconcile } from "/console/kit/dom.js";
import { ago, count, money, words } from "/console/kit/format.js";
import { icon } from "/console/kit/icons.js";
import { link } from "/console/kit/router.js";
import { badge, banner, button, emptyState, problem } from "/console/kit/ui.js";
import { cardName } from "./cards.js";
import { openPlaceOrder } from "./place.js";
import { parseSearch, STATUSES, withFilter } from "./search.js";
import { reviewText, stateBadge } from "./words.js";

const PAGE = 50;
const READ_ALONE_MAX = 10; // hinted orders that are not on the first page
const SCROLLED_PX = 160; // scrolled further than this, the list must not move under its reader

let latest = link("/orders");

/** The list as it was last seen, with its filters. */
export function lastList() {
  return latest;
}

/** @param {HTMLElement} outlet @param {import("/console/kit/router.js").Place} place @param {import("./app.js").Context} context */
export function showOrders(outlet, place, { live }) {
  let q = place.query.get("q") ?? "";
  let orders = [];
  let cursor = null;
  let fresh = []; // new ones that are not shown yet
  let isRead = false;
  let reading = new AbortController();
  const arrived = new Set();

  const list = h("ol", { class: "rows" });
  const news = h("div", { class: "new-rows", hidden: true });
  const pager = h("div", { class: "pager", hidden: true });
  const state = h("div", {});
  const chips = h("nav", { class: "chips", "aria-label": "Filters" });
  const placeButton = button("Place an order", () => openPlaceOrder(), { kind: "primary", title: "n" });
  const head = h("div", { class: "rows-head", "aria-hidden": "true" }, ["Status", "Order", "Amount", "Notes", "Card", "Placed"].map((text) => h("span", { class: text === "Amount" || text === "Placed" ? "end" : null }, text)));
  const card = h("section", { class: "card orders-card", "aria-label": "Orders" }, news, head, list, state, pager);
  outlet.append(h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, "Orders"), placeButton), chips, card);

  async function read() {
    reading.abort();
    reading = new AbortController();
    const { query, hints } = parseSearch(q);
    latest = link("/orders", { q });
    showChips();
    if (hints.length) return showHints(hints);
    try {
      const page = await get("/api/orders", { ...query, limit: PAGE }, reading.signal);
      [orders, cursor, fresh, isRead] = [page.data, page.nextCursor, [], true];
      arrived.clear();
      show();
    } catch (error) {
      if (error.name !== "AbortError" && !isRead) fill(state, h("div", { class: "card-body" }, problem(error)));
    }
  }

  /** Reads the first page again, and the other orders in the list that have changed. */
  async function readChanges(ids) {
    const { query, hints } = parseSearch(q);
    if (hints.length) return;
    const { signal } = reading; // another search, or another full reading, ends this one
    const page = await get("/api/orders", { ...query, limit: PAGE }, signal);
    const known = new Map(orders.map((order) => [order.id, order]));
    const first = new Map(page.data.map((order) => [order.id, order]));
    const elsewhere = [...ids].filter((id) => known.has(id) && !first.has(id)).slice(0, READ_ALONE_MAX);
    const changed = new Map((await Promise.all(elsewhere.map((id) => get(`/api/orders/${id}`, {}, signal)))).map((order) => [order.id, order]));
    if (signal.aborted) return;
    const unseen = page.data.filter(({ id }) => !known.has(id));
    if (live.paused) fresh = unseen;
    else if (scrollY > SCROLLED_PX && orders.length) [fresh, orders] = [unseen, orders.map((order) => first.get(order.id) ?? changed.get(order.id) ?? order)];
    else take(page, first, changed, unseen);
    show();
  }

  function take(page, first, changed, unseen) {
    fresh = [];
    if (isRead) for (const { id } of unseen) arrived.add(id);
    isRead = true;
    const last = page.data.at(-1);
    const older = last ? orders.filter(({ id }) => id < last.id) : [];
    const isGap = unseen.length === page.data.length && page.nextCursor !== null;
    if (isGap || !older.length) cursor = page.nextCursor;
    orders = isGap ? page.data : [...page.data, ...older.map((order) => changed.get(order.id) ?? order)];
  }

  async function readMore() {
    const { query } = parseSearch(q);
    const { signal } = reading;
    const page = await get("/api/orders", { ...query, limit: PAGE, cursor }, signal);
    if (signal.aborted) return;
    orders = [...orders, ...page.data];
    cursor = page.nextCursor;
    show();
  }

  function show() {
    reconcile(list, orders, { key: ({ id }) => id, version: (order) => `${order.updatedAt} ${order.status} ${openReviews(order).length}`, render: (order) => row(order, arrived.has(order.id)) });
    news.hidden = !fresh.length;
    if (fresh.length) fill(news, button(`${fresh.length}${fresh.length === PAGE ? " or more" : ""} new`, showNew, { kind: "primary", small: true }));
    head.hidden = !orders.length;
    pager.hidden = !cursor;
    fill(pager, button("Show older orders", () => readMore().catch(() => {})));
    fill(state, orders.length ? null : nothing(q));
  }

  function showNew() {
    if (live.paused) live.pause(false);
    scrollTo(0, 0);
    read();
  }

  function showHints(hints) {
    orders = [];
    list.replaceChildren();
    head.hidden = pager.hidden = news.hidden = true;
    fill(state, h("div", { class: "card-body" }, banner("warn", h("p", {}, h("strong", {}, "The search was not understood, so nothing is shown.")), hints.map((hint) => h("p", {}, hint)))));
  }

  function showChips() {
    const { query } = parseSearch(q);
    const chip = (text, to, isOn) => h("a", { class: "chip", href: link("/orders", { q: to }), "aria-current": isOn ? "true" : null }, text);
    fill(chips, chip("All", "", q === ""), STATUSES.map((one) => chip(words(one), withFilter(q, "status", query.status === one ? "" : one.toLowerCase()), query.status === one)),
      chip("Needs a person", withFilter(q, "review", query.review ? "" : "open"), Boolean(query.review)));
  }

  fill(state, h("p", { class: "loading" }, "Reading…"));
  read();
  const end = live.subscribe(({ ids, again }) => {
    if (again || [...ids.keys()].some((id) => id.startsWith("ord_"))) readChanges(ids.keys()).catch(() => {});
  });
  const onScroll = () => fresh.length && scrollY === 0 && !live.paused && showNew();
  addEventListener("scrollend", onScroll);
  return {
    title: "Orders",
    refresh: read,
    update: (query) => ((q = query.get("q") ?? ""), read()),
    close: () => (end(), reading.abort(), removeEventListener("scrollend", onScroll)),
  };
}

function row(order, isNew) {
  const href = link(`/orders/${order.id}`);
  if (order.unreadable) return h("li", {}, h("a", { class: "row", href, "data-row": true }, badge("bad", "Unreadable"), h("span", { class: "mono" }, order.id)));
  const card = order.payments.at(-1)?.paymentMethod ?? order.paymentMethod;
  return h("li", { class: isNew ? "is-new" : null }, h("a", { class: "row", href, "data-row": true },
    h("span", {}, stateBadge(order.status)),
    h("span", { class: "order-name" }, h("bdi", { class: "strong clip", title: order.orderNumber }, order.orderNumber)),
    h("span", { class: "end strong amount" }, money(order.amount, order.currency)),
    h("span", { class: "notes" }, notesOf(order)),
    h("span", { class: "soft clip mono", title: cardName(card) }, card),
    h("span", { class: "end soft when" }, ago(order.createdAt))));
}

/** The notes beside an order's status. */
function notesOf(order) {
  const reviews = openReviews(order);
  const payment = order.payments.at(-1);
  const pays = order.payments.length;
  return [
    reviews.length > 0 && h("span", { class: "needs tone-warn", title: reviews.map(({ code }) => reviewText(code)).join(" ") }, icon("warn"), reviews.length === 1 ? words(reviews[0].code) : `${count(reviews.length)} reviews`),
    pays > 1 && h("span", { class: "soft" }, `${pays} payments`),
    order.status === "Failed" && payment?.failureCode && h("span", { class: "soft" }, words(payment.failureCode)),
    order.refundedAmount > 0 && h("span", { class: "soft" }, `${money(order.refundedAmount, order.currency)} refunded`),
    order.disputedAmount > 0 && h("span", { class: "soft" }, `${money(order.disputedAmount, order.currency)} disputed`),
  ];
}

function openReviews(order) {
  return (order.reviews ?? []).filter(({ resolvedAt }) => resolvedAt === null);
}

function nothing(q) {
  if (q) return emptyState({ title: "No order is like that", text: "An order number must be written out in full; capitals matter.", action: h("a", { class: "button", href: link("/orders") }, "Show all orders") });
  const body = '{"orderNumber": "ORD-1", "amount": 99.99, "currency": "USD"}';
  return emptyState({
    title: "No orders yet",
    text: "Place one here, or as a shop would:",
    action: button("Place an order", () => openPlaceOrder(), { kind: "primary" }),
    command: curl({ method: "POST", path: "/api/orders", headers: { "Content-Type": "application/json", "Idempotency-Key": '"first"' }, body }),
  });
}
