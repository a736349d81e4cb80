// The photos that were marked, and what their file is good for.

import { ask, mark } from "../frame/api.js";
import { counted, el, thumb } from "../frame/dom.js";
import { openOne } from "./photo.js";

export async function show(main, { about, alive }) {
  const found = await ask("marks");
  if (!alive()) return;
  draw(main, about, found, found.photos);
}

function draw(main, about, told, photos) {
  const byReason = new Map();
  for (const [id, reason] of told.marks) byReason.set(reason, [...(byReason.get(reason) || []), id]);
  const unmark = async (id) => draw(main, about, await mark([id], null), photos);
  main.replaceChildren(
    el(
      "section",
      { class: "card wide" },
      el("h2", {}, counted(told.marks.length, "marked photo")),
      told.marks.length
        ? el("p", {}, "Kept in ", el("code", {}, told.file), ". Make a split or an export without them, or look at them alone:")
        : el("p", {}, "Open a photo and press 1 to 5 to mark it. The list will be kept in ", el("code", {}, told.file), "."),
      told.marks.length > 0 && el("pre", {}, `arboretum make-split --exclude ${told.file} ...\narboretum export SPLIT --exclude ${told.file} ...\narboretum browse --photo-ids ${told.file}`),
    ),
    ...[...byReason].map(([reason, ids]) =>
      el(
        "section",
        { class: "card wide" },
        el("h2", {}, `${reason}: ${ids.length}`),
        el(
          "div",
          { class: "errors" },
          ...ids.map((id) =>
            el(
              "div",
              { class: "marked" },
              photos[id]
                ? el("button", { type: "button", class: "bare", onclick: () => openOne(about, photos[id]) }, thumb(photos[id], 320, `photo ${id}`))
                : el("span", { class: "tile none" }, "not shown here"),
              el("span", { class: "caption" }, el("small", {}, `photo ${id}`), el("button", { type: "button", class: "quiet", onclick: () => unmark(id) }, "Unmark")),
            ),
          ),
        ),
      ),
    ),
  );
}
