// The photos of the filter. Only what can be seen is in the page, however many there are.

import { ask } from "../frame/api.js";
import { counted, el, empty, number, thumb } from "../frame/dom.js";
import { isOpen, open } from "./photo.js";
import { go } from "../frame/state.js";

const PAGE = 200;
const CAPTION = 40;
// Browsers end an element at some 16 to 33 million pixels; above this the bar of the list stands for more.
const TALLEST = 8_000_000;

export async function show(main, { about, filter, alive }) {
  let order = sessionStorage.getItem("order") || "class";
  let size = Number(localStorage.getItem("size")) || 168;
  const pages = new Map();
  const classes = {};
  const first = await load(0);
  if (!alive()) return null;
  let total = first.total;
  let cursor = 0;

  const count = el("b", {}, counted(total, "photo"));
  const sort = el(
    "select",
    { "aria-label": "Order", onchange: (event) => { sessionStorage.setItem("order", event.target.value); go("photos", filter, { replace: true }); } },
    el("option", { value: "class", selected: order === "class" }, "head to tail"),
    el("option", { value: "mixed", selected: order === "mixed" }, "mixed"),
  );
  const larger = el("input", { type: "range", min: "96", max: "320", step: "8", value: size, "aria-label": "Size of the photos", oninput: (event) => { size = Number(event.target.value); localStorage.setItem("size", size); layout(); } });
  const space = el("div", { class: "space" });
  const list = el("div", { class: "grid", tabindex: "0", role: "grid", "aria-label": "Photos", "aria-rowcount": total }, space);
  main.replaceChildren(
    el("div", { class: "bar-above" }, count, sort, larger, el("span", { class: "keys" }, "arrows and Enter")),
    total ? list : empty("No photo passes this filter."),
  );
  if (!total) return null;

  let columns = 1;
  let row = 1;
  let height = 0;
  let ratio = 1;
  let frame = 0;
  const cells = new Map();

  async function load(page) {
    if (!pages.has(page)) {
      const asked = ask("photos", filter, { start: page * PAGE, count: PAGE, order }).then((found) => {
        Object.assign(classes, found.classes);
        pages.set(page, found);
        return found;
      });
      pages.set(page, asked);
      asked.catch(() => pages.delete(page));
    }
    return pages.get(page);
  }

  function at(position) {
    const page = pages.get(Math.floor(position / PAGE));
    return page && page.photos ? page.photos[position % PAGE] : null;
  }

  function layout() {
    const width = space.clientWidth;
    columns = Math.max(1, Math.floor((width + 10) / (size + 10)));
    const cell = (width - (columns - 1) * 10) / columns;
    row = cell + CAPTION + 10;
    list.style.setProperty("--cell", `${cell}px`);
    height = Math.ceil(total / columns) * row;
    ratio = Math.max(1, height / TALLEST);
    space.style.height = `${height / ratio}px`;
    for (const one of cells.values()) one.remove();
    cells.clear();
    draw();
  }

  /** How far down the top of the window is, in pixels of the whole list. */
  function scrolled() {
    if (ratio === 1) return list.scrollTop;
    const most = height / ratio - list.clientHeight;
    return most > 0 ? (list.scrollTop / most) * (height - list.clientHeight) : 0;
  }

  function draw() {
    frame = 0;
    const top = scrolled();
    // All that is measured is measured before anything is moved: else the browser lays the list out for each cell.
    const offset = list.scrollTop - top;
    const across = (space.clientWidth + 10) / columns;
    const from = Math.max(0, Math.floor(top / row) - 2) * columns;
    const to = Math.min(total, (Math.ceil((top + list.clientHeight) / row) + 2) * columns);
    const side = size > 110 ? 320 : 96;
    for (const [position, one] of cells) {
      if (position < from || position >= to) {
        one.remove();
        cells.delete(position);
      }
    }
    const missing = new Set();
    const added = [];
    for (let position = from; position < to; position += 1) {
      const photo = at(position);
      if (!photo) missing.add(Math.floor(position / PAGE));
      let one = cells.get(position);
      if (one && photo && one.dataset.empty) {
        one.remove();
        one = null;
      }
      if (!one) {
        one = cell(position, photo, side);
        cells.set(position, one);
        added.push(one);
      }
      const y = Math.floor(position / columns) * row + offset;
      one.style.transform = `translate(${(position % columns) * across}px, ${y}px)`;
      one.classList.toggle("here", position === cursor);
    }
    space.append(...added);
    for (const page of missing) {
      if (!pages.has(page)) load(page).then(soon, () => {});
    }
  }

  function soon() {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  function cell(position, photo, side) {
    if (!photo) return el("div", { class: "cell", "data-empty": "yes" }, el("span", { class: "tile" }));
    const [scientific, common] = classes[photo.label] || ["in no species class", null];
    return el(
      "div",
      {
        class: "cell",
        role: "gridcell",
        "data-photo": photo.photo_id,
        onclick: () => {
          cursor = position;
          draw();
          look();
        },
      },
      thumb(photo, side, `${common || scientific}, photo ${photo.photo_id}`),
      photo.mark && el("span", { class: "flag" }, photo.mark),
      el("span", { class: "caption" }, el("b", {}, common || scientific), el("small", {}, [photo.part, photo.life_stage, photo.license].filter(Boolean).join(" · "))),
    );
  }

  function look() {
    open(about, {
      photo: () => at(cursor),
      step: async (by) => {
        const next = cursor + by;
        if (next < 0 || next >= total) return false;
        cursor = next;
        await load(Math.floor(next / PAGE));
        reveal();
        return true;
      },
      changed: (photoId, reason) => {
        const photo = at(cursor);
        if (photo && photo.photo_id === photoId) photo.mark = reason;
        const one = cells.get(cursor);
        if (one) {
          one.remove();
          cells.delete(cursor);
        }
        draw();
      },
      closed: () => list.focus(),
      place: () => `${number(cursor + 1)} of ${number(total)}`,
    });
  }

  function reveal() {
    const y = Math.floor(cursor / columns) * row;
    const top = scrolled();
    let wanted = null;
    if (y < top) wanted = y;
    else if (y + row > top + list.clientHeight) wanted = y + row - list.clientHeight;
    if (wanted !== null) {
      list.scrollTop = ratio === 1 ? wanted : (wanted / (height - list.clientHeight)) * (height / ratio - list.clientHeight);
    }
    draw();
  }

  function key(event) {
    if (isOpen()) return;
    const page = Math.max(1, Math.floor(list.clientHeight / row)) * columns;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: page, PageUp: -page, Home: -cursor, End: total - 1 - cursor };
    if (event.key in steps) {
      event.preventDefault();
      cursor = Math.max(0, Math.min(total - 1, cursor + steps[event.key]));
      reveal();
    } else if (event.key === "Enter" && at(cursor)) {
      event.preventDefault();
      look();
    }
  }

  list.addEventListener("scroll", soon, { passive: true });
  list.addEventListener("keydown", key);
  const watch = new ResizeObserver(layout);
  watch.observe(list);
  layout();
  list.focus({ preventScroll: true });
  return () => watch.disconnect();
}

