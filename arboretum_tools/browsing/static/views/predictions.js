// What a model made of a part: bands, confusions, hardest classes, look-alikes, confident errors.

import { ask } from "../frame/api.js";
import { counted, el, empty, number, percent, thumb } from "../frame/dom.js";
import { openOne } from "./photo.js";
import { address } from "../frame/state.js";

export async function show(main, { about, alive }) {
  await draw(main, about, alive, Math.min(Number(sessionStorage.getItem("model")) || 0, about.predictions.length - 1));
}

async function draw(main, about, alive, model) {
  const found = await ask("predictions", null, { model });
  const confusion = el("section", { class: "card wide" });
  const pair = el("section", { class: "card wide", hidden: true, id: "pair" });
  if (!alive()) return;
  const name = (label) => {
    const [scientific, common] = found.names[label] || ["no prediction", null];
    return common || scientific;
  };
  const choose = (event) => {
    sessionStorage.setItem("model", event.target.value);
    draw(main, about, alive, event.target.value);
  };
  main.replaceChildren(
    ...(about.predictions.length > 1
      ? [el("label", { class: "wide choose" }, "Model ", el("select", { onchange: choose }, ...about.predictions.map((one, i) => el("option", { value: i, selected: i === Number(model) }, one))))]
      : []),
    summary(found),
    confusion,
    pairs(found, name, pair, about, model),
    hardest(found, name),
    pair,
    errors(found, name, about),
  );
  await drawConfusion(confusion, "species", model);
}

function summary(found) {
  const tile = (value, noun) => el("div", { class: "number" }, el("b", {}, value), el("span", {}, noun));
  return el(
    "section",
    { class: "numbers", "aria-label": `Predictions of ${found.part}` },
    tile(percent(found.right / found.photos), `of ${counted(found.photos, `${found.part} photo`)} right`),
    tile(percent(found.class_mean), "mean over classes"),
    ...found.bands.map(([band, classes, , share]) => tile(percent(share), `${band}-shot, ${counted(classes, "class")}`)),
  );
}

async function drawConfusion(card, rank, model) {
  const found = await ask("confusion", null, { rank, model });
  const choose = el("select", { "aria-label": "Rank", onchange: (event) => drawConfusion(card, event.target.value, model) }, ...found.ranks.map((one) => el("option", { value: one, selected: one === rank }, one)));
  const shown = found.names.length;
  const names = found.names.map(([scientific, common]) => common || scientific);
  const head = (scope, i, child) => el("th", { scope, title: found.names[i].filter(Boolean).join(", ") }, child);
  const rows = found.table.map((row, i) => {
    const sum = row.reduce((a, b) => a + b, 0) || 1;
    return el(
      "tr",
      {},
      head("row", i, names[i]),
      ...row.map((count, j) =>
        el("td", { class: i === j ? "right" : "wrong", style: { "--share": count ? 0.12 + 0.88 * (count / sum) : 0 }, title: `${names[i]} taken for ${names[j]}: ${count}` }, count || ""),
      ),
    );
  });
  card.replaceChildren(
    el("div", { class: "heading" }, el("h2", {}, "What is taken for what"), el("span", { class: "ends" }, shown < found.groups ? `the ${shown} of ${number(found.groups)} with most wrong photos` : ""), choose),
    el(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of confusions" },
      el(
        "table",
        { class: "confusion" },
        el("thead", {}, el("tr", {}, el("td", {}, "true class ↓, predicted →"), ...names.map((one, i) => head("col", i, el("span", {}, one))))),
        el("tbody", {}, ...rows),
      ),
    ),
  );
}

function pairs(found, name, target, about, model) {
  const rows = found.pairs.map((pair) =>
    el(
      "li",
      {},
      el(
        "button",
        { type: "button", class: "row", onclick: () => sideBySide(target, pair.labels, name, about, model) },
        el("span", { class: "text" }, `${name(pair.labels[0])} – ${name(pair.labels[1])}`),
        el("span", { class: "count" }, `${number(pair.wrong[0])} + ${number(pair.wrong[1])}`),
      ),
    ),
  );
  return el("section", { class: "card" }, el("h2", {}, "Look-alikes"), rows.length ? el("ul", { class: "facet tall" }, ...rows) : empty("No photo is taken for another class."));
}

async function sideBySide(card, labels, name, about, model) {
  const found = await ask("pair", null, { first: labels[0], second: labels[1], model });
  const wrong = [found.wrong.first_as_second, found.wrong.second_as_first];
  const picture = (photo) => el("button", { type: "button", class: "bare", onclick: () => openOne(about, photo) }, thumb(photo, 320, `photo ${photo.photo_id}`));
  card.hidden = false;
  card.replaceChildren(
    el("h2", {}, `${name(labels[0])} and ${name(labels[1])}`),
    el(
      "div",
      { class: "sides" },
      ...labels.map((label, side) =>
        el(
          "div",
          {},
          el("h3", {}, el("a", { href: address("photos", new URLSearchParams({ label })) }, name(label))),
          el("p", { class: "tip" }, `Taken for ${name(labels[1 - side])}: ${number(wrong[side].length)}`),
          el("div", { class: "mosaic" }, ...wrong[side].map((id) => found.photos[id]).filter(Boolean).map(picture)),
          el("p", { class: "tip" }, "To compare"),
          el("div", { class: "mosaic" }, ...found.examples[side].map(picture)),
        ),
      ),
    ),
  );
  card.scrollIntoView({ behavior: "smooth", block: "start" });
}

function hardest(found, name) {
  const rows = found.classes.slice(0, 60).map((row) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("a", { href: address("photos", new URLSearchParams({ label: row.label, part: found.part })) }, name(row.label))),
      el("td", {}, el("span", { class: `dot ${row.band}` }), ` ${row.band}`),
      el("td", { class: "sum" }, `${row.right} / ${row.photos}`),
      el("td", {}, row.taken_for ? `${name(row.taken_for[0])} (${row.taken_for[1]})` : ""),
    ),
  );
  return el(
    "section",
    { class: "card" },
    el("h2", {}, "Hardest classes"),
    el("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Hardest classes" }, el("table", { class: "plain" }, el("thead", {}, el("tr", {}, ...["Class", "Band", "Right", "Taken for"].map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, ...rows))),
  );
}

function errors(found, name, about) {
  const title = found.sure ? "Most confident errors" : "Errors";
  const shown = found.errors.map((error) => [error, found.shown[error.photo_id]]).filter(([, photo]) => photo);
  return el(
    "section",
    { class: "card wide" },
    el("h2", {}, title),
    shown.length
      ? el(
          "div",
          { class: "errors" },
          ...shown.slice(0, 60).map(([error, photo]) =>
            el(
              "button",
              { type: "button", class: "bare", onclick: () => openOne(about, photo) },
              thumb(photo, 320, `photo ${photo.photo_id}`),
              el("span", { class: "caption" }, el("b", {}, name(error.label)), el("small", {}, `taken for ${name(error.predicted)}${error.confidence === null ? "" : `, ${percent(error.confidence)}`}`)),
            ),
          ),
        )
      : empty("No photo is wrong."),
  );
}
