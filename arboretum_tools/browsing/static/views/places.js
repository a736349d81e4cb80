// Where and when: cells of some degrees on an outline of the land, months and years. Nothing finer is asked for.

import { ask } from "../frame/api.js";
import { counted, el, empty, MONTHS, number, svg } from "../frame/dom.js";
import { go, toggled } from "../frame/state.js";

const SIZES = [10, 5, 2, 1];

export async function show(main, { filter, alive }) {
  const degrees = Number(sessionStorage.getItem("degrees")) || 5;
  const [found, land] = await Promise.all([ask("places", filter, { degrees }), fetch("/static/land.json").then((r) => r.json())]);
  if (!alive()) return;
  main.replaceChildren(map(found, land, filter), calendar(found, filter));
}

function map(found, land, filter) {
  const size = found.degrees;
  const choose = el(
    "select",
    { "aria-label": "Size of a cell", onchange: (event) => { sessionStorage.setItem("degrees", event.target.value); go("places", filter, { replace: true }); } },
    ...SIZES.map((one) => el("option", { value: one, selected: one === size }, `${one}° cells`)),
  );
  const placed = found.cells.reduce((sum, [, , count]) => sum + count, 0);
  const most = Math.max(1, ...found.cells.map(([, , count]) => count));
  const path = land.rings
    .map((ring) => {
      let text = "";
      for (let i = 0; i < ring.length; i += 2) text += `${i ? "L" : "M"}${ring[i]} ${-ring[i + 1]}`;
      return `${text}Z`;
    })
    .join("");
  const tip = el("p", { class: "tip" }, placed ? "Click a cell to filter by it." : "");
  const picture = svg(
    "svg",
    { viewBox: "-180 -84 360 142", class: "map", role: "img", "aria-label": `Map of ${counted(placed, "photo")} in cells of ${size} degrees` },
    svg("path", { d: path, class: "land" }),
    ...found.cells.map(([south, west, count]) => {
      const cell = svg("rect", { x: west, y: -(south + size), width: size, height: size, class: "square", style: { "--share": Math.log1p(count) / Math.log1p(most) } });
      cell.addEventListener("pointerenter", () => { tip.textContent = `${south}° to ${south + size}° N, ${west}° to ${west + size}° E: ${counted(count, "photo")}`; });
      cell.addEventListener("click", () => go("places", toggled(filter, "cell", `${south},${west},${size}`)));
      return cell;
    }),
  );
  return el(
    "section",
    { class: "card wide" },
    el("div", { class: "heading" }, el("h2", {}, "Where"), el("span", { class: "ends" }, `${counted(placed, "photo")} with a place`), choose),
    picture,
    tip,
    el("p", { class: "source" }, "Land: Natural Earth, public domain. South and west are negative degrees."),
  );
}

function calendar(found, filter) {
  if (!found.months.length) return el("section", { class: "card wide" }, el("h2", {}, "When"), empty("No photo of this filter has a date."));
  const years = [...new Set(found.months.map(([year]) => year))];
  const counts = new Map(found.months.map(([year, month, count]) => [`${year}-${month}`, count]));
  const most = Math.max(...counts.values());
  const link = (name, value, text) => el("button", { type: "button", class: "bare", "aria-pressed": String(filter.getAll(name).includes(String(value))), onclick: () => go("places", toggled(filter, name, String(value))) }, text);
  const sum = (test) => found.months.filter(test).reduce((total, [, , count]) => total + count, 0);
  return el(
    "section",
    { class: "card wide" },
    el("h2", {}, "When"),
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Photos by year and month" },
      el(
        "table",
        { class: "calendar" },
        el("thead", {}, el("tr", {}, el("td"), ...MONTHS.map((name, m) => el("th", { scope: "col" }, link("month", m + 1, name))), el("th", { scope: "col" }, "all"))),
        el(
          "tbody",
          {},
          ...years.map((year) =>
            el(
              "tr",
              {},
              el("th", { scope: "row" }, link("year", year, year)),
              ...MONTHS.map((name, m) => {
                const count = counts.get(`${year}-${m + 1}`) || 0;
                const share = count ? 0.15 + 0.85 * (count / most) : 0;
                return el("td", { class: "heat", style: { "--share": share } }, count ? number(count) : "");
              }),
              el("td", { class: "sum" }, number(sum(([y]) => y === year))),
            ),
          ),
          el("tr", { class: "sums" }, el("th", { scope: "row" }, "all"), ...MONTHS.map((name, m) => el("td", { class: "sum" }, number(sum(([, month]) => month === m + 1)))), el("td", { class: "sum" }, number(sum(() => true)))),
        ),
      ),
    ),
  );
}
