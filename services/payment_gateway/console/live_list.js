/**
 * A list that follows the stream: a changed row is updated in its place. New rows appear at the top, unless the page is
 * paused or scrolled down; then "3 new" waits there.
 */

import { h, fill, reconcile } from "/console/kit/dom.js";
import { button, problem } from "/console/kit/ui.js";

const SCROLLED_PX = 240;
const LIMIT = 50;

/** @typedef {{ id: string }} Item */

/**
 * @template {Item} T
 * @param {object} options
 * @param {import("/console/kit/stream.js").Live} options.live
 * @param {(id: string) => boolean} options.concerns whether a hint is about something of this list
 * @param {(page: { limit: number, cursor: string | null }) => Promise<{ data: T[], nextCursor: string | null }>} options.read
 * @param {(item: T) => HTMLElement} options.row a link with `data-row`
 * @param {(item: T) => unknown} options.version
 * @param {() => Node} options.empty
 * @param {Node} [options.head] names of the columns
 * @param {string} options.label of the list
 * @returns {{ element: HTMLElement, reload: () => Promise<void>, refresh: () => Promise<void>, select: (id: string | null) => void,
 *   reveal: () => void, find: (id: string) => T | undefined, close: () => void, onChange: (act: () => void) => void }}
 */
export function liveList({ live, concerns, read, row, version, empty, head, label }) {
  const news = h("div", { class: "new-rows", hidden: true });
  const list = h("ol", { class: "rows", "aria-label": label });
  const foot = h("div");
  const element = h("div", { class: "card live-list" }, head, news, list, foot);
  /** @type {T[]} */
  let items = [];
  /** @type {T[]} */
  let waiting = [];
  /** @type {string | null} */
  let cursor = null;
  let selected = /** @type {string | null} */ (null);
  let asked = 0;
  let isRead = false;
  let changed = () => {};

  function show(fresh = new Set()) {
    reconcile(list, items, {
      key: (item) => item.id,
      version,
      render: (item) => h("li", { class: fresh.has(item.id) ? "is-new" : null }, row(item)),
    });
    if (head) head.hidden = !items.length;
    list.hidden = !items.length;
    fill(foot, items.length ? cursor && h("div", { class: "pager" }, button("Show older ones", more)) : empty());
    fill(news, button(`${waiting.length} new`, () => takeIn(), { small: true, kind: "primary" }));
    news.hidden = !waiting.length;
    mark();
    changed();
  }

  function mark() {
    for (const one of list.children) {
      const link = one.querySelector("[data-row]");
      if (one.dataset.key === selected) link?.setAttribute("aria-current", "true");
      else link?.removeAttribute("aria-current");
    }
  }

  /** Scrolls the list, where it scrolls by itself, to the row that is chosen. */
  function reveal() {
    const row = list.querySelector("[aria-current]")?.getBoundingClientRect();
    const box = element.getBoundingClientRect();
    if (row && (row.top < box.top || row.bottom > box.bottom)) element.scrollTop += row.top - box.top - box.height / 3;
  }

  /** From the start, as after another filter. */
  async function reload() {
    const number = ++asked;
    if (!isRead) fill(foot, h("p", { class: "loading" }, "Reading…"));
    const page = await attempt(read({ limit: LIMIT, cursor: null }), number);
    if (!page) return;
    isRead = true;
    [items, cursor, waiting] = [page.data, page.nextCursor, []];
    show();
  }

  /** The first page again; what was paged to stays below it. */
  async function refresh() {
    if (!isRead) return reload();
    const number = ++asked;
    const page = await attempt(read({ limit: LIMIT, cursor: null }), number);
    if (!page) return;
    const known = new Set(items.map((item) => item.id));
    const fresh = page.data.filter((item) => !known.has(item.id));
    const holds = items.length > 0 && (live.paused || scrollY > SCROLLED_PX || element.scrollTop > SCROLLED_PX);
    if (holds && fresh.length) {
      waiting = fresh;
      if (!live.paused) update(page.data);
      return show();
    }
    if (live.paused) return;
    const last = page.data.at(-1);
    const at = last ? items.findIndex((item) => item.id === last.id) : -1;
    const older = at === -1 ? [] : items.slice(at + 1);
    if (at === -1 || !older.length) cursor = page.nextCursor;
    items = [...page.data, ...older];
    waiting = [];
    show(new Set(fresh.map((item) => item.id)));
  }

  /** What is shown, as it is now. */
  function update(data) {
    const now = new Map(data.map((item) => [item.id, item]));
    items = items.map((item) => now.get(item.id) ?? item);
  }

  async function takeIn() {
    scrollTo(0, 0);
    element.scrollTop = 0;
    waiting = [];
    isRead = false;
    await reload();
  }

  async function more() {
    const number = ++asked;
    const page = await attempt(read({ limit: LIMIT, cursor }), number);
    if (!page) return;
    const known = new Set(items.map((item) => item.id));
    items = [...items, ...page.data.filter((item) => !known.has(item.id))];
    cursor = page.nextCursor;
    show();
  }

  /** The page, unless another was asked for meanwhile. */
  async function attempt(reading, number) {
    try {
      const page = await reading;
      return number === asked ? page : null;
    } catch (error) {
      if (number === asked && !items.length) fill(foot, problem(error));
      return null;
    }
  }

  const end = live.subscribe(({ ids, again }) => {
    if (again || [...ids.keys()].some(concerns)) refresh();
  });
  return {
    element,
    reload: () => ((isRead = false), reload()),
    refresh,
    select: (id) => ((selected = id), mark()),
    reveal,
    find: (id) => items.find((item) => item.id === id),
    onChange: (act) => (changed = act),
    close: end,
  };
}
