// One photo, large, with everything that is known of it.

import { ask, mark } from "../frame/api.js";
import { bytes, el, number, thumb } from "../frame/dom.js";
import { address, put } from "../frame/state.js";

const dialog = document.getElementById("photo");
const RANKS = ["kingdom", "phylum", "class", "order", "family", "genus"];
let list = null;
let about = null;
let turn = 0;

export const isOpen = () => dialog.open;

export function close() {
  if (dialog.open) dialog.close();
}

/** Shows a photo; `walk` says which one, steps to the next, and is told of marks. */
export function open(told, walk) {
  about = told;
  list = walk;
  if (!dialog.open) dialog.showModal();
  draw();
}

/** Shows one photo that stands in no list. */
export function openOne(told, photo) {
  open(told, { photo: () => photo, step: async () => false, changed: () => {}, closed: () => {}, place: () => "" });
}

async function step(by) {
  if (await list.step(by)) await draw();
}

async function draw() {
  const mine = ++turn;
  const short = list.photo();
  if (!short) return;
  const photo = await ask(`photo/${short.photo_id}`);
  if (mine !== turn) return;
  const taxon = photo.taxon;
  const name = taxon ? taxon.common_name || taxon.scientific_name : "In no species class";
  dialog.replaceChildren(
    el(
      "div",
      { class: "stage" },
      photo.status === "ok"
        ? el("img", { src: `/image/${photo.row}`, alt: `${name}, photo ${photo.photo_id}`, class: "whole" })
        : el("p", { class: "empty" }, `No image here: ${photo.status}${photo.error ? `, ${photo.error}` : ""}`),
      el("button", { type: "button", class: "step before", "aria-label": "Photo before", onclick: () => step(-1) }, "‹"),
      el("button", { type: "button", class: "step after", "aria-label": "Next photo", onclick: () => step(1) }, "›"),
    ),
    el(
      "aside",
      {},
      el("button", { type: "button", class: "quiet shut", "aria-label": "Close", onclick: close }, "×"),
      el("p", { class: "place" }, list.place()),
      el("h2", {}, name),
      taxon && taxon.common_name && el("p", { class: "scientific" }, el("i", {}, taxon.scientific_name)),
      taxon && lineage(taxon),
      facts(photo),
      marking(photo),
      photo.same_observation.length > 0 && others(photo.same_observation),
    ),
  );
}

function lineage(taxon) {
  const names = [];
  const links = [];
  for (const rank of RANKS) {
    names.push(taxon[rank] || "");
    if (!taxon[rank]) continue;
    const target = put(new URLSearchParams(), "lineage", JSON.stringify(names));
    links.push(el("a", { href: address("photos", target), title: rank }, taxon[rank]));
  }
  return el("p", { class: "lineage" }, ...links.flatMap((link, position) => (position ? [" › ", link] : [link])));
}

function facts(photo) {
  const rows = [
    ["Credit", photo.credit || "licence not known"],
    ["Observer", photo.observer_name && el("a", { href: address("photos", new URLSearchParams({ observer: photo.observer_name })) }, photo.observer_name)],
    ["Observed", photo.observed_on],
    ["Place", photo.latitude === null ? null : `about ${photo.latitude}°, ${photo.longitude}°`],
    ["Life stage", photo.life_stage],
    ["Part", photo.part && !photo.splits.length ? photo.part : null],
    ["In splits", photo.splits.map(([name, part]) => `${part} of ${name}`).join(", ")],
    ["State", photo.status === "ok" ? `stored, shard ${photo.shard}` : photo.status],
    ["Image", photo.width ? `${photo.width} × ${photo.height} ${photo.format}, ${bytes(photo.size_bytes)}` : null],
    ["Class", photo.taxon ? `place ${number(photo.taxon.place + 1)} in the tail, ${number(photo.taxon.n)} ${about.parts.includes("train") ? "train " : ""}photos` : null],
  ];
  const outside = { target: "_blank", rel: "noopener noreferrer" };
  return el(
    "dl",
    {},
    ...rows.filter(([, value]) => value).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]),
    about.has_pages && el("dt", {}, "iNaturalist"),
    about.has_pages && el(
      "dd",
      {},
      el("a", { href: `https://www.inaturalist.org/photos/${photo.photo_id}`, ...outside }, `photo ${photo.photo_id}`),
      photo.observation_id !== null && " · ",
      photo.observation_id !== null && el("a", { href: `https://www.inaturalist.org/observations/${photo.observation_id}`, ...outside }, "observation"),
    ),
  );
}

function marking(photo) {
  const set = async (reason) => {
    try {
      const told = await mark([photo.photo_id], reason);
      document.getElementById("told").textContent = reason ? `Marked: ${reason}. Kept in ${told.file}.` : "The mark is gone.";
      list.changed(photo.photo_id, reason);
      await draw();
    } catch (error) {
      document.getElementById("told").textContent = error.message;
    }
  };
  return el(
    "fieldset",
    { class: "marking" },
    el("legend", {}, "Mark this photo"),
    ...about.reasons.map((reason, position) =>
      el(
        "button",
        { type: "button", class: "chip", "aria-pressed": String(photo.mark === reason), "data-key": position + 1, onclick: () => set(photo.mark === reason ? null : reason) },
        el("kbd", {}, String(position + 1)),
        ` ${reason}`,
      ),
    ),
  );
}

function others(photos) {
  return el(
    "section",
    { class: "others" },
    el("h3", {}, "From the same observation"),
    el("div", { class: "strip" }, ...photos.map((photo) => el("button", { type: "button", class: "bare", onclick: () => openOne(about, photo) }, thumb(photo, 96, `photo ${photo.photo_id}`)))),
  );
}

dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
  else if (/^[1-9]$/.test(event.key)) dialog.querySelector(`[data-key="${event.key}"]`)?.click();
  else return;
  event.preventDefault();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("a[href^='#']")) close();
});
dialog.addEventListener("close", () => {
  dialog.replaceChildren();
  if (list) list.closed();
});
