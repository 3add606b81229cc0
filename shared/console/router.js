/** The view follows from the fragment, `#/orders/ord_1?q=…`, so that every view is a link. */

/**
 * @typedef {object} Place
 * @property {string[]} params the parts at the places where the pattern has a `:name`
 * @property {URLSearchParams} query
 */

/**
 * @typedef {object} View
 * @property {string} title
 * @property {(query: URLSearchParams) => void} [update] the same view with another query; without it, it is made anew
 * @property {() => void} [close]
 * @property {() => void} [refresh] what `r` does
 * @property {() => string} [up] the fragment that Esc leads to
 */

/** @typedef {{ pattern: string, show: (outlet: HTMLElement, place: Place) => View }} Route */

/** A fragment for a view; parameters that are empty are left out.
 * @param {string} path
 * @param {Record<string, string | null | undefined>} [query]
 */
export function link(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const search = new URLSearchParams(/** @type {string[][]} */ (given)).toString().replaceAll("%3A", ":");
  return `#${path}${search ? `?${search}` : ""}`;
}

/** Path and query of the fragment. */
export function here() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  return { path: path || "/", query: new URLSearchParams(search) };
}

/** Goes to a view; with `replace`, without an entry in the history.
 * @param {string} fragment @param {{ replace?: boolean }} [options]
 */
export function go(fragment, { replace = false } = {}) {
  if (!replace) location.hash = fragment;
  else {
    history.replaceState(null, "", fragment);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}

/**
 * Shows the view of the fragment in `outlet`, now and at each change of the fragment. If no route fits, shows the first.
 * @param {HTMLElement} outlet
 * @param {Route[]} routes
 * @param {{ site: string, onShow: (path: string, view: View) => void }} options
 * @returns {{ current: () => View }}
 */
export function startRouter(outlet, routes, { site, onShow }) {
  /** @type {View | null} */
  let view = null;
  let shownPath = "";

  function show() {
    const { path, query } = here();
    if (view?.update && path === shownPath) {
      view.update(query);
      return titled(path);
    }
    const isFirst = view === null;
    view?.close?.();
    outlet.replaceChildren();
    const [route, params] = matching(routes, path);
    if (!route) return go(`#${routes[0].pattern}`, { replace: true });
    shownPath = path;
    view = route.show(outlet, { params, query });
    titled(path);
    if (!isFirst) {
      scrollTo(0, 0);
      outlet.querySelector("h1")?.focus({ preventScroll: true });
    }
  }

  function titled(path) {
    document.title = `${view.title} · ${site}`;
    onShow(path, view);
  }

  addEventListener("hashchange", show);
  show();
  return { current: () => view };
}

/** @returns {[Route | null, string[]]} */
function matching(routes, path) {
  const parts = path.split("/");
  for (const route of routes) {
    const wanted = route.pattern.split("/");
    if (wanted.length !== parts.length) continue;
    if (!wanted.every((part, index) => part.startsWith(":") ? parts[index] : part === parts[index])) continue;
    return [route, parts.filter((_, index) => wanted[index].startsWith(":")).map(decodeURIComponent)];
  }
  return [null, []];
}
