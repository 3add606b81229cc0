/** A list with the chosen thing beside it or, if there is no room for both, in its place. */

import { h, fill } from "/console/kit/dom.js";
import { icon } from "/console/kit/icons.js";

/**
 * @param {HTMLElement} list
 * @param {string} name of what is shown beside it
 * @returns {{ element: HTMLElement, open: (content: Node, back: string) => void, shut: () => void }}
 */
export function split(list, name) {
  const pane = h("section", { class: "pane", "aria-label": name });
  const element = h("div", { class: "split" }, list, pane);
  return {
    element,
    open: (content, back) => {
      if (!element.classList.contains("is-open")) scrollTo(0, 0); // otherwise the opened thing would be far above
      element.classList.add("is-open");
      const focused = pane.contains(document.activeElement) ? document.activeElement.textContent : null;
      fill(pane, h("a", { class: "quiet-link back", href: back }, icon("back"), "All"), content);
      if (focused) [...pane.querySelectorAll("a, button, summary")].find((one) => one.textContent === focused)?.focus({ preventScroll: true });
    },
    shut: () => {
      element.classList.remove("is-open");
      fill(pane);
    },
  };
}
