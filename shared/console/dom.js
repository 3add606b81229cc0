/** Builds elements. Everything that is not an element becomes a text node, so nothing from a user is ever markup. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */

/**
 * An HTML element: `h("a", { class: "row", href: "#/", onclick: open }, "text", child)`.
 *
 * An attribute that is null, undefined or false is left out, and true is written as empty. A function is a listener
 * (`onclick`), `style` an object of CSS properties, `dataset` an object, and `value` the value of a control.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  return /** @type {HTMLElement} */ (build(document.createElement(tag), attributes, children));
}

/**
 * An element of SVG, built like `h`.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, attributes = {}, ...children) {
  return /** @type {SVGElement} */ (build(document.createElementNS(SVG, tag), attributes, children));
}

/**
 * Replaces everything in `element` by `children`.
 * @template {Element} T
 * @param {T} element
 * @param {...Child} children
 * @returns {T}
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodesOf(children));
  return element;
}

/**
 * Makes the children of `list` show `items` in their order. An element whose version is unchanged is left alone, so that
 * focus, selection and unfolded parts survive a live update.
 * @template T
 * @param {Element} list
 * @param {readonly T[]} items
 * @param {{ key: (item: T) => string, version: (item: T) => unknown, render: (item: T) => HTMLElement }} how
 */
export function reconcile(list, items, { key, version, render }) {
  const before = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const focused = document.activeElement?.closest("[data-key]")?.dataset.key;
  const after = items.map((item) => {
    const old = before.get(key(item));
    if (old && old.dataset.version === String(version(item))) return old;
    const made = render(item);
    made.dataset.key = key(item);
    made.dataset.version = String(version(item));
    return made;
  });
  const kept = new Set(after);
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  after.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
  if (focused && !list.contains(document.activeElement)) focusFirst(after.find((child) => child.dataset.key === focused));
}

/** @param {Element | undefined} element */
function focusFirst(element) {
  element?.querySelector("a, button")?.focus({ preventScroll: true });
}

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "style") for (const [property, to] of Object.entries(value)) element.style.setProperty(property, to);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...nodesOf(children));
  return element;
}

function nodesOf(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
