// What the page asks of its server.

async function answer(response) {
  const body = await response.json();
  if (!response.ok) throw new Error(body.error || response.statusText);
  return body;
}

/** GET; `query` is a URLSearchParams of the filter, `more` what the question takes besides. */
export async function ask(path, query = null, more = {}) {
  const all = new URLSearchParams(query || undefined);
  for (const [name, value] of Object.entries(more)) all.set(name, value);
  const text = all.toString();
  return answer(await fetch(`/api/${path}${text ? `?${text}` : ""}`));
}

/** Marks photos with a reason; null takes the marks away. */
export async function mark(photoIds, reason) {
  return answer(
    await fetch("/api/marks", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ photo_ids: photoIds, reason }),
    }),
  );
}
