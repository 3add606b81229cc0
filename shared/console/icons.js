/** Small pictures. Each state has its own shape, so that no state is told by colour alone. They are all decoration. */

import { s } from "./dom.js";

const PATHS = {
  good: ["M3.5 8.5 6.5 11.5 12.5 4.5"],
  wait: ["M8 4.5V8l2.5 1.5", "M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 0 0 0-12.5Z"],
  bad: ["M4.25 4.25 11.75 11.75", "M11.75 4.25 4.25 11.75"],
  info: ["M5.5 3 2.5 6l3 3", "M2.5 6h6.25a4 4 0 0 1 0 8H6"],
  warn: ["M8 2 14.5 13.5H1.5Z", "M8 6.5V9.5", "M8 11.5v.1"],
  off: ["M3.5 8h9"],
  copy: ["M6 5.5h7.5V14H6Z", "M10.5 5.5V2.5H2.5V11H6"],
  close: ["M4 4 12 12", "M12 4 4 12"],
  empty: ["M2 9.5 4.5 3h7L14 9.5V13H2Z", "M2 9.5h3.5L6.5 11h3l1-1.5H14"],
  search: ["M7 2.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9Z", "M10.25 10.25 14 14"],
  theme: ["M8 2.25a5.75 5.75 0 1 0 0 11.5Z", "M8 2.25a5.75 5.75 0 0 1 0 11.5"],
  next: ["M6 3.5 10.5 8 6 12.5"],
  back: ["M10 3.5 5.5 8 10 12.5"],
  out: ["M6 3H3v10h10v-3", "M9 2.5h4.5V7", "M13.5 2.5 7.5 8.5"],
  help: ["M5.75 6a2.25 2.25 0 1 1 3.2 2c-.7.4-.95.8-.95 1.75", "M8 12.4v.1"],
  plus: ["M8 3v10", "M3 8h10"],
  pause: ["M5.5 3.5v9", "M10.5 3.5v9"],
  play: ["M5 3 12.5 8 5 13Z"],
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const paths = PATHS[name].map((d) => s("path", { d }));
  return s("svg", { class: `icon icon-${name}`, viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", focusable: "false" }, paths);
}
