// Which view and which filter: they stand in the address behind the #, so that it can be kept and sent on.

export const BANDS = ["many", "medium", "few"];

export const TITLES = {
  part: "Part",
  status: "State in the store",
  license: "Licence",
  life_stage: "Life stage",
  month: "Month",
  year: "Year",
  observer: "Observer",
  error: "Why photos are missing",
  mark: "Mark",
  band: "Shot band",
  label: "Class",
  places: "Places in the tail",
  lineage: "Taxon",
  cell: "Cell of the map",
};

export function current() {
  const [view, query] = location.hash.slice(1).split("?", 2);
  return { view: view || "overview", filter: new URLSearchParams(query || "") };
}

export function address(view, filter) {
  const text = filter.toString();
  return `#${view}${text ? `?${text}` : ""}`;
}

export function go(view, filter, { replace = false } = {}) {
  const next = address(view, filter);
  if (replace) {
    history.replaceState(null, "", next);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = next;
}

/** The filter with one more value, or without it if it has it. */
export function toggled(filter, name, value) {
  const next = new URLSearchParams(filter);
  const values = next.getAll(name);
  next.delete(name);
  const kept = values.filter((one) => one !== value);
  if (kept.length === values.length) kept.push(value);
  for (const one of kept) next.append(name, one);
  return next;
}

/** The filter with one value in place of all of its kind; null = with none. */
export function put(filter, name, value) {
  const next = new URLSearchParams(filter);
  next.delete(name);
  if (value !== null) next.set(name, value);
  return next;
}
