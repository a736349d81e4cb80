// The frame: views, search, filters, theme. Each view is a module with `show(main, context)`.

import { ask } from "./api.js";
import { counted, el, empty, MONTHS, number } from "./dom.js";
import { show as marks } from "../views/marks.js";
import { show as comparison } from "../views/comparison.js";
import { show as overview } from "../views/overview.js";
import { close as closePhoto, isOpen } from "../views/photo.js";
import { show as photos } from "../views/photos.js";
import { show as places } from "../views/places.js";
import { show as predictions } from "../views/predictions.js";
import { address, current, go, put, TITLES, toggled } from "./state.js";
import { show as taxa } from "../views/taxa.js";

const VIEWS = {
  overview: ["Overview", overview],
  taxa: ["Taxa", taxa],
  photos: ["Photos", photos],
  places: ["Map and calendar", places],
  predictions: ["Predictions", predictions],
  comparison: ["Two models", comparison],
  marks: ["Marks", marks],
};

const $ = (id) => document.getElementById(id);
const main = $("main");
let about = null;
let leave = () => {};
let turn = 0;

async function render() {
  closePhoto();
  leave();
  leave = () => {};
  const mine = ++turn;
  const { view, filter } = current();
  const [title, show] = VIEWS[view] || VIEWS.overview;
  document.title = `${title} · ${about.name}`;
  drawViews(view, filter);
  drawChips(view, filter);
  main.replaceChildren(el("p", { class: "waiting" }, "Looking…"));
  main.className = `view ${view}`;
  try {
    const left = await show(main, { about, filter, alive: () => mine === turn });
    if (mine === turn) leave = left || leave;
    else if (left) left();
  } catch (error) {
    if (mine === turn) main.replaceChildren(empty(error.message));
  }
}

function drawViews(view, filter) {
  const needed = { predictions: 1, comparison: 2 };
  const shown = Object.entries(VIEWS).filter(([name]) => about.predictions.length >= (needed[name] || 0));
  document.querySelector("nav.views").replaceChildren(
    ...shown.map(([name, [title]]) =>
      el("a", { href: address(name, filter), "aria-current": name === view ? "page" : null }, title),
    ),
  );
}

function drawChips(view, filter) {
  const chips = [...filter.entries()].map(([name, value]) =>
    el(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-label": `Remove the filter ${TITLES[name] || name}: ${said(name, value)}`,
        onclick: () => go(view, name === "places" || name === "lineage" ? put(filter, name, null) : toggled(filter, name, value)),
      },
      el("span", { class: "kind" }, TITLES[name] || name),
      said(name, value),
      el("span", { "aria-hidden": "true" }, " ×"),
    ),
  );
  if (chips.length > 1) {
    chips.push(el("button", { type: "button", class: "quiet", onclick: () => go(view, new URLSearchParams()) }, "Clear all"));
  }
  $("chips").replaceChildren(...chips);
  $("chips").hidden = !chips.length;
}

function said(name, value) {
  if (value === "") return "unknown";
  if (name === "month") return MONTHS[value - 1] || value;
  if (name === "places") return value.split(",").map((place) => number(+place + 1)).join(" to ");
  if (name === "cell") {
    const [south, west, size] = value.split(",").map(Number);
    return `${south}° to ${south + size}°, ${west}° to ${west + size}°`;
  }
  if (name === "lineage") {
    try {
      return JSON.parse(value).filter(Boolean).at(-1) || "all";
    } catch {
      return value;
    }
  }
  if (name === "label") return about.labels.get(value) || `class ${value}`;
  return value;
}

// -- search

let asked = 0;
let chosen = -1;

async function search() {
  const text = $("search").value;
  const mine = ++asked;
  const found = text.trim() ? await ask("search", null, { q: text }) : [];
  if (mine !== asked) return;
  chosen = -1;
  $("found").replaceChildren(
    ...found.map((taxon, position) =>
      el(
        "li",
        { role: "option", id: `found-${position}`, "aria-selected": "false", onmousedown: (event) => { event.preventDefault(); take(taxon); } },
        el("span", { class: "names" }, taxon.common_name && el("b", {}, taxon.common_name), taxon.common_name && " ", el(taxon.rank === "observer" ? "span" : "i", {}, taxon.name)),
        el("span", { class: "count" }, taxon.rank === "class" && taxon.label !== null ? number(taxon.n) : taxon.rank === "observer" ? `observer · ${counted(taxon.n, "photo")}` : `${taxon.rank} · ${counted(taxon.classes, "class")}`),
      ),
    ),
    ...(text.trim() && !found.length ? [el("li", { class: "nothing" }, "No taxon or observer here has such a name.")] : []),
  );
  $("found").taxa = found;
  open(Boolean(text.trim()));
}

function open(shown) {
  $("found").hidden = !shown;
  $("search").setAttribute("aria-expanded", String(shown));
  if (!shown) $("search").removeAttribute("aria-activedescendant");
}

function take(taxon) {
  open(false);
  $("search").value = "";
  if (taxon.rank === "observer") return go("photos", put(current().filter, "observer", taxon.name));
  let filter = put(put(current().filter, "lineage", null), "label", null);
  if (taxon.label !== null) {
    about.labels.set(String(taxon.label), taxon.name);
    filter = put(filter, "label", String(taxon.label));
  } else filter = put(filter, "lineage", JSON.stringify(taxon.lineage));
  go("photos", filter);
}

function searchKey(event) {
  const options = [...$("found").querySelectorAll("[role=option]")];
  if (event.key === "Escape") return open(false);
  if (event.key === "Enter" && options.length) {
    event.preventDefault();
    return take($("found").taxa[Math.max(0, chosen)]);
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  chosen = (chosen + (event.key === "ArrowDown" ? 1 : options.length - 1) + options.length) % Math.max(1, options.length);
  options.forEach((option, position) => option.setAttribute("aria-selected", String(position === chosen)));
  if (options[chosen]) {
    $("search").setAttribute("aria-activedescendant", options[chosen].id);
    options[chosen].scrollIntoView({ block: "nearest" });
  }
}

// -- theme

function theme(choice) {
  if (choice) document.documentElement.dataset.theme = choice;
  const dark = choice ? choice === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  $("theme").textContent = dark ? "☀" : "☾";
  $("theme").onclick = () => {
    const next = dark ? "light" : "dark";
    localStorage.setItem("theme", next);
    theme(next);
    window.dispatchEvent(new Event("themechange"));
  };
}

theme(localStorage.getItem("theme"));
$("search").addEventListener("input", search);
$("search").addEventListener("keydown", searchKey);
$("search").addEventListener("blur", () => open(false));
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !isOpen() && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    $("search").focus();
  }
});

try {
  about = await ask("about");
  about.labels = new Map();
  $("name").textContent = about.name;
  $("said").textContent = `${about.kind} · ${about.english}`;
  window.addEventListener("hashchange", render);
  await render();
} catch (error) {
  main.replaceChildren(empty(error.message));
}
