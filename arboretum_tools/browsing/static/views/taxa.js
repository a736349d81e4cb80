// The tree of ranks: counts and a photo at each taxon; children are asked for when it is opened.

import { ask } from "../frame/api.js";
import { counted, el, empty, number, thumb } from "../frame/dom.js";
import { address, put } from "../frame/state.js";

const RANKS = ["kingdom", "phylum", "class", "order", "family", "genus", "species"];

export async function show(main, { about, filter, alive }) {
  let open = [];
  try {
    open = JSON.parse(filter.get("lineage") || "[]");
  } catch {
    open = [];
  }
  const tree = el("ul", { class: "tree", role: "tree", "aria-label": "Taxa" });
  const found = await branch([], filter, about, open);
  if (!alive()) return;
  tree.append(...found);
  main.replaceChildren(
    el("p", { class: "tip" }, "Open a taxon to see what is in it; its name leads to its photos."),
    found.length ? tree : empty("No photo of this filter is in a class."),
  );
}

async function branch(parent, filter, about, open) {
  const children = await ask("taxa", filter, { parent: JSON.stringify(parent) });
  const most = Math.max(1, ...children.map((child) => child.photos));
  return Promise.all(children.map((child) => node(child, parent, filter, about, most, children.length === 1, open)));
}

async function node(taxon, parent, filter, about, most, only, open) {
  const isClass = taxon.label !== undefined;
  const lineage = [...parent, taxon.name];
  if (isClass) about.labels.set(String(taxon.label), taxon.name);
  const target = isClass
    ? put(put(filter, "lineage", null), "label", String(taxon.label))
    : put(put(filter, "label", null), "lineage", JSON.stringify(lineage));
  const rank = RANKS[parent.length] || "species";
  const name = taxon.name || `no ${rank} is named`;
  const inside = el("ul", { role: "group", hidden: true });
  const button = isClass
    ? el("span", { class: "twist" })
    : el("button", { type: "button", class: "twist", "aria-label": `Open ${name}` }, "▸");
  const item = el(
    "li",
    { role: "treeitem", "aria-expanded": isClass ? null : "false", "aria-label": `${name}, ${counted(taxon.photos, "photo")}` },
    el(
      "div",
      { class: "taxon" },
      button,
      el("a", { href: address("photos", target), class: "picture", tabindex: "-1", "aria-hidden": "true" }, thumb(taxon, 96, "")),
      el(
        "a",
        { href: address("photos", target), class: "names" },
        taxon.common_name && el("b", {}, taxon.common_name),
        taxon.common_name && " ",
        el(isClass || rank === "genus" ? "i" : "b", {}, name),
        el("small", {}, isClass ? "" : `${rank} · ${counted(taxon.classes, "class")}`),
      ),
      el("span", { class: "meter", style: { "--share": taxon.photos / most } }),
      el("span", { class: "count" }, number(taxon.photos)),
    ),
    inside,
  );
  if (isClass) return item;
  const toggle = async () => {
    const isOpen = item.getAttribute("aria-expanded") === "true";
    if (!isOpen && !inside.childElementCount) inside.append(...(await branch(lineage, filter, about, open)));
    item.setAttribute("aria-expanded", String(!isOpen));
    button.textContent = isOpen ? "▸" : "▾";
    inside.hidden = isOpen;
  };
  button.addEventListener("click", toggle);
  // One way down is no choice; and what the filter names is shown.
  if (only || open[parent.length] === taxon.name) await toggle();
  return item;
}

