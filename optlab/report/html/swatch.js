"use strict";
// What stands beside the name of a series in a legend.
const swatch = (() => {
  const MARKS = {
    circle: "<circle r='4'/>",
    square: "<path d='M-3.7-3.7h7.4v7.4h-7.4z'/>",
    "triangle-up": "<path d='M0-4.5 4.5 3.6h-9z'/>",
    "triangle-down": "<path d='M0 4.5 4.5-3.6h-9z'/>",
    "triangle-left": "<path d='M-4.5 0 3.6-4.5v9z'/>",
    "triangle-right": "<path d='M4.5 0-3.6-4.5v9z'/>",
    diamond: "<path d='M0-5 5 0 0 5-5 0z'/>",
    "diamond-tall": "<path d='M0-5.5 3.5 0 0 5.5-3.5 0z'/>",
    cross: "<path d='M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z'/>",
    x: "<path transform='rotate(45)' d='M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z'/>",
    pentagon: "<path d='M0-4.6 4.4-1.4 2.7 3.7h-5.4L-4.4-1.4z'/>",
    hexagon2: "<path d='M-4.5 0-2.2-4h4.4L4.5 0 2.2 4h-4.4z'/>",
    octagon: "<path d='M-1.8-4.4h3.6l2.6 2.6v3.6L1.8 4.4h-3.6l-2.6-2.6v-3.6z'/>",
    star: "<path d='M0-5.2 1.3-1.7 5-1.6 2.1.7 3.1 4.2 0 2.1-3.1 4.2-2.1.7-5-1.6-1.3-1.7z'/>",
  };

  return entry => {
    const look = entry.color === "#000000" ? "var(--ink)" : entry.color;
    const isSolid = entry.dash === "solid";
    const dash = isSolid ? "" : ` stroke-dasharray='${entry.dash.replaceAll("px", "").replace(",", " ")}'`;
    const line = entry.dash ? `<path d='M-13 0h26' stroke='${look}' stroke-width='2'${dash}/>` : "";
    const box = document.createElement("span");
    box.innerHTML = `<svg aria-hidden='true' width='28' height='14' viewBox='-14 -7 28 14' fill='${look}'>`
      + `${line}${MARKS[entry.symbol] ?? ""}</svg>`;
    return box.firstElementChild;
  };
})();
