// Elements out of data. Text is set as text: what a catalogue holds is never markup.

/** An element; attributes by name, `on…` as listeners, children as elements or text. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  set(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  set(element, attributes);
  element.append(...children.flat().filter(Boolean));
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    else element.setAttribute(name, value === true ? "" : value);
  }
}

const NUMBER = new Intl.NumberFormat("en-US");

export const number = (value) => NUMBER.format(value);

/** A number with its noun: `1 photo`, `1,436 photos`. */
export function counted(value, noun) {
  const plural = noun.endsWith("s") ? `${noun}es` : `${noun}s`;
  return `${number(value)} ${value === 1 ? noun : plural}`;
}

export function percent(share) {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

export function bytes(value) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000) return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} TB`;
}

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A sentence where there is nothing to show. */
export function empty(text) {
  return el("p", { class: "empty" }, text);
}

/** A thumbnail, or a tile that says why there is none. */
export function thumb(photo, side, alt) {
  if (photo === null || photo === undefined || photo.row === null) return el("span", { class: "tile none" }, "no photo");
  if (photo.status && photo.status !== "ok") return el("span", { class: "tile none" }, photo.status);
  return el("img", {
    class: "tile",
    src: `/thumb/${side}/${photo.row}`,
    alt,
    loading: "lazy",
    decoding: "async",
    draggable: "false",
    onerror: (event) => event.target.replaceWith(el("span", { class: "tile none" }, "cannot be shown")),
  });
}
