// The long tail, to be brushed; and what the photos of the filter are, to be clicked.

import { ask } from "../frame/api.js";
import { bytes, counted, el, empty, MONTHS, number, svg } from "../frame/dom.js";
import { BANDS, go, put, TITLES, toggled } from "../frame/state.js";

const FACETS = ["part", "status", "license", "life_stage", "month", "observer", "error"];
const MEANING = { many: "more than 100", medium: "20 to 100", few: "fewer than 20" };

export async function show(main, { about, filter, alive }) {
  const found = await ask("overview", filter);
  if (!alive()) return null;
  const tail = el("section", { class: "card wide" });
  main.replaceChildren(
    numbers(found, filter),
    tail,
    ...FACETS.filter((name) => worth(name, found.facets[name])).map((name) => facet(name, found.facets[name], filter)),
  );
  const draw = () => drawTail(tail, about, found, filter);
  draw();
  const watch = new ResizeObserver(draw);
  watch.observe(main);
  return () => watch.disconnect();
}

/** Whether a facet tells anything: not that all is unknown, or stored as it should be. */
function worth(name, values) {
  return values.length > 1 || (values.length === 1 && values[0][0] !== null && name !== "status");
}

function numbers(found, filter) {
  const tile = (value, noun) => el("div", { class: "number" }, el("b", {}, value), el("span", {}, noun));
  return el(
    "section",
    { class: "numbers", "aria-label": "In this filter" },
    tile(number(found.photos), found.photos === 1 ? "photo" : "photos"),
    tile(number(found.classes), found.classes === 1 ? "class" : "classes"),
    tile(number(found.stored), "with an image here"),
    found.size_bytes > 0 && tile(bytes(found.size_bytes), "of images"),
    el("button", { type: "button", class: "main", onclick: () => go("photos", filter) }, "Look at the photos"),
  );
}

function drawTail(card, about, found, filter) {
  const tail = about.tail;
  if (!tail.length) {
    card.replaceChildren(el("h2", {}, "The long tail"), empty("No class is known: no catalogue names these photos."));
    return;
  }
  const width = Math.max(240, card.clientWidth - 40);
  const height = 220;
  const bars = Math.min(tail.length, Math.floor(width));
  const step = width / bars;
  const most = Math.max(1, tail[0]);
  const log = localStorage.getItem("scale") === "log";
  const scaled = (value) => (log ? Math.log1p(value) / Math.log1p(most) : value / most);
  const by = new Map(found.by_place);
  const within = new Float64Array(bars);
  for (const [place, photos] of by) {
    const bar = Math.min(bars - 1, Math.floor((place * bars) / tail.length));
    within[bar] = Math.max(within[bar], photos);
  }
  // Places and bands go by train photos where there are any; those of a part that is asked for are its own.
  const trained = found.facets.part.some(([part]) => part === "train");
  const noun = trained ? "train photo" : "photo";
  const filtered = [...filter.keys()].some((name) => name !== "places");
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height + 4}`,
    width,
    height: height + 4,
    class: "tail",
    role: "img",
    "aria-label": `${trained ? "Train photos" : "Photos"} of ${counted(tail.length, "class")} from head to tail: ${number(tail[0])} to ${number(tail.at(-1))}`,
  });
  const gap = bars <= 80 ? 3 : bars <= 300 ? 1 : 0;
  for (let bar = 0; bar < bars; bar += 1) {
    const n = tail[Math.floor((bar * tail.length) / bars)];
    const high = n ? Math.max(2, scaled(n) * height) : 0;
    const x = bar * step;
    const wide = Math.max(1, step - gap);
    const one = { x, width: wide, rx: gap ? 2 : 0 };
    picture.append(svg("rect", { ...one, y: height - high, height: high, class: `bar ${band(n)}${filtered ? " faint" : ""}` }));
    if (filtered && within[bar]) {
      const part = Math.min(height, Math.max(2, scaled(within[bar]) * height));
      picture.append(svg("rect", { ...one, y: height - part, height: part, class: `bar ${band(n)}` }));
    }
  }
  picture.append(svg("line", { x1: 0, x2: width, y1: height + 1, y2: height + 1, class: "rule" }));
  const brush = svg("rect", { y: 0, height, class: "brush", width: 0, x: 0 });
  const chosen = filter.get("places");
  const place = (x) => Math.max(0, Math.min(tail.length - 1, Math.floor((x / width) * tail.length)));
  const paint = (first, last) => {
    brush.setAttribute("x", (first / tail.length) * width);
    brush.setAttribute("width", Math.max(2, ((last - first + 1) / tail.length) * width));
  };
  if (chosen) paint(...chosen.split(",").map(Number));
  picture.append(brush);
  const tip = el("p", { class: "tip" }, "Drag over the curve to choose classes; one click takes one class.");
  let start = null;
  const at = (event) => place(((event.clientX - picture.getBoundingClientRect().left) / picture.getBoundingClientRect().width) * width);
  picture.addEventListener("pointerdown", (event) => {
    start = at(event);
    picture.setPointerCapture(event.pointerId);
    paint(start, start);
  });
  picture.addEventListener("pointermove", (event) => {
    const here = at(event);
    const n = tail[here];
    if (start === null) tip.textContent = `Place ${number(here + 1)} of ${number(tail.length)}: ${counted(n, noun)}, ${band(n)}`;
    else {
      paint(Math.min(start, here), Math.max(start, here));
      tip.textContent = `Places ${number(Math.min(start, here) + 1)} to ${number(Math.max(start, here) + 1)}`;
    }
  });
  picture.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const end = at(event);
    const range = [Math.min(start, end), Math.max(start, end)];
    start = null;
    go("overview", put(filter, "places", range.join(",")));
  });
  const counts = new Map(found.bands.map(([name, ...three]) => [name, three]));
  const asked = filter.getAll("band");
  const choose = (name) => () => {
    localStorage.setItem("scale", name);
    drawTail(card, about, found, filter);
    card.querySelector(".scale [aria-pressed=true]").focus();
  };
  const scale = el(
    "div",
    { class: "scale", role: "group", "aria-label": "Scale" },
    el("button", { type: "button", class: "chip", "aria-pressed": String(!log), onclick: choose("linear") }, "Linear"),
    el("button", { type: "button", class: "chip", "aria-pressed": String(log), onclick: choose("log") }, "Log"),
  );
  card.replaceChildren(
    el("div", { class: "heading" }, el("h2", {}, "The long tail"), el("span", { class: "ends" }, `${number(tail[0])} : ${number(tail.at(-1))}${tail.at(-1) ? `, ratio ${number(Math.round((10 * tail[0]) / tail.at(-1)) / 10)}` : ""}`), scale),
    picture,
    el(
      "div",
      { class: "legend" },
      ...BANDS.map((name) => {
        const [photos, train, classes] = counts.get(name) || [0, 0, 0];
        const told = trained && !filter.has("part") ? counted(train, noun) : counted(photos, "photo");
        return el(
          "button",
          { type: "button", class: "band", "aria-pressed": String(asked.includes(name)), onclick: () => go("overview", toggled(filter, "band", name)) },
          el("span", { class: `dot ${name}` }),
          el("b", {}, name),
          ` ${MEANING[name]} · ${counted(classes, "class")}, ${told}`,
        );
      }),
    ),
    tip,
  );
}

const band = (n) => (n > 100 ? "many" : n < 20 ? "few" : "medium");

function facet(name, values, filter) {
  const asked = filter.getAll(name);
  const most = Math.max(...values.map(([, count]) => count));
  const sorted = name === "month" ? [...values].sort((a, b) => (a[0] ?? 99) - (b[0] ?? 99)) : values;
  const rows = sorted.map(([value, count]) => {
    const text = value === null ? "unknown" : name === "month" ? MONTHS[value - 1] : value;
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", class: "row", "aria-pressed": String(asked.includes(value ?? "")), onclick: () => go("overview", toggled(filter, name, value ?? "")) },
        el("span", { class: `text${value === null ? " unknown" : ""}` }, text),
        el("span", { class: "count" }, number(count)),
        el("span", { class: "meter", style: { "--share": count / most } }),
      ),
    );
  });
  const few = 8;
  const list = el("ul", { class: "facet" }, ...(name === "month" ? rows : rows.slice(0, few)));
  const more =
    name !== "month" && rows.length > few
      ? el("button", { type: "button", class: "quiet", onclick: (event) => { list.append(...rows.slice(few)); event.target.remove(); } }, `${number(rows.length - few)} more`)
      : null;
  return el("section", { class: "card" }, el("h2", {}, TITLES[name]), list, more);
}
