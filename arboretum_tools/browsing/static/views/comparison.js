// Two models over the same photos: where one is right and the other is not.

import { ask } from "../frame/api.js";
import { counted, el, empty, number, percent, thumb } from "../frame/dom.js";
import { go, put } from "../frame/state.js";
import { openOne } from "./photo.js";

const OUTCOMES = ["both right", "only A right", "only B right", "neither right"];

export async function show(main, { about, filter, alive }) {
  const asked = new URLSearchParams([...filter].filter(([name]) => name === "band" || name === "label"));
  const found = await ask("comparison", asked);
  if (!alive()) return;
  const name = (label) => {
    const [scientific, common] = found.names[label] || ["no prediction", null];
    return common || scientific;
  };
  for (const label of filter.getAll("label")) about.labels.set(label, name(label));
  main.replaceChildren(
    summary(found),
    bands(found, filter),
    classes(found, name, filter),
    ...found.photos.map((side, model) => photos(found, side, model, name, about)),
  );
}

function summary(found) {
  const [both, first, second, neither] = found.counts;
  const all = both + first + second + neither;
  const tile = (value, noun) => el("div", { class: "number" }, el("b", {}, value), el("span", {}, noun));
  return el(
    "section",
    { class: "numbers", "aria-label": `Two models over ${found.part}` },
    tile(percent((both + first) / all), `A: ${found.models[0]}`),
    tile(percent((both + second) / all), `B: ${found.models[1]}`),
    tile(number(first), "photos that A alone has right"),
    tile(number(second), "photos that B alone has right"),
    tile(number(neither), `of ${counted(all, `${found.part} photo`)} that neither has right`),
  );
}

/** The four outcomes as parts of a bar. */
function bar(counts) {
  const all = counts.reduce((a, b) => a + b, 0) || 1;
  return el(
    "span",
    { class: "outcomes", role: "img", "aria-label": counts.map((count, i) => `${OUTCOMES[i]}: ${count}`).join(", ") },
    ...counts.map((count, i) => count > 0 && el("span", { class: `outcome o${i}`, style: { width: `${(100 * count) / all}%` }, title: `${OUTCOMES[i]}: ${number(count)}` })),
  );
}

const legend = () => el("p", { class: "tip outcome-legend" }, ...OUTCOMES.map((text, i) => el("span", {}, el("span", { class: `dot o${i}` }), text)));

function bands(found, filter) {
  const rows = found.bands.map(([band, ...counts]) => row(band, counts, filter.getAll("band").includes(band), () => go("comparison", put(filter, "band", filter.get("band") === band ? null : band)), el("span", { class: `dot ${band}` })));
  return el("section", { class: "card wide" }, el("h2", {}, "By shot band"), legend(), rows.length ? el("ul", { class: "facet" }, ...rows) : empty("Shot bands are those of a train part, and this split has none."));
}

function classes(found, name, filter) {
  const rows = found.classes.map(({ label, band, counts }) => {
    const own = String(label);
    return row(name(label), counts, filter.getAll("label").includes(own), () => go("comparison", put(filter, "label", filter.get("label") === own ? null : own)), el("span", { class: `dot ${band}` }));
  });
  return el("section", { class: "card wide" }, el("h2", {}, "Classes that they differ in"), rows.length ? el("ul", { class: "facet tall" }, ...rows) : empty("Both are right about the same photos."));
}

function row(text, counts, pressed, onclick, before) {
  return el(
    "li",
    {},
    el(
      "button",
      { type: "button", class: "row", "aria-pressed": String(pressed), onclick },
      el("span", { class: "text" }, before, text),
      el("span", { class: "count" }, `A ${number(counts[1])} · B ${number(counts[2])}`),
      bar(counts),
    ),
  );
}

function photos(found, side, model, name, about) {
  const letters = ["A", "B"];
  const shown = side.some.map((one) => [one, found.shown[one.photo_id]]).filter(([, photo]) => photo);
  return el(
    "section",
    { class: "card" },
    el("h2", {}, `${letters[model]} right, ${letters[1 - model]} wrong: ${number(side.number)}`),
    el("p", { class: "tip" }, side.number > shown.length ? `${number(shown.length)} of them` : "", shown.length > 1 && shown[0][0].confidence !== null ? " The surest mistakes first." : ""),
    shown.length
      ? el(
          "div",
          { class: "errors" },
          ...shown.map(([one, photo]) =>
            el(
              "button",
              { type: "button", class: "bare", onclick: () => openOne(about, photo) },
              thumb(photo, 320, `${name(one.label)}, photo ${photo.photo_id}`),
              el("span", { class: "caption" }, el("b", {}, name(one.label)), el("small", {}, `${letters[1 - model]}: ${name(one.predicted)}${one.confidence === null ? "" : `, ${percent(one.confidence)}`}`)),
            ),
          ),
        )
      : empty("There is no such photo here."),
  );
}
