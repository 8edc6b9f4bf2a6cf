// What the form asks for, as one value; the same as an address, and back.
//
// asked: { q, k, group, where, scores, sides: [{ model, mode }, …] }; two sides are compared.

import { made } from "./made.js";

export const FEW = 10; // hits of a new question

const MODES = ["hybrid", "dense", "text"];
const part = (id) => document.getElementById(id);

// Offer these indexes.
export function offer(shelves) {
  for (const id of ["index", "other-index"]) {
    const options = shelves.map(({ model }) => made("option", { value: model, text: model }));
    part(id).replaceChildren(...options);
    part(`${id === "index" ? "index" : "other"}-choice`).hidden = shelves.length < 2;
  }
  part("about").textContent = shelves
    .map(({ model, documents }) => `${documents.toLocaleString("en")} documents by ${model}`)
    .join(" · ");
}

export function readForm(where, k) {
  const mode = document.querySelector("input[name=mode]:checked").value;
  const sides = [{ model: part("index").value, mode }];
  if (part("compare").checked) {
    sides.push({ model: part("other-index").value, mode: part("other-mode").value });
  }
  const [group, scores] = [part("group").checked, part("scores").checked];
  return { q: part("question").value, k, group, where, scores, sides };
}

// All but the conditions, whose fields depend on the index.
export function showForm({ q, group, scores, sides }) {
  const [own, other] = sides;
  part("question").value = q;
  part("index").value = own.model;
  document.querySelector(`input[name=mode][value=${own.mode}]`).checked = true;
  part("group").checked = group;
  part("scores").checked = scores;
  part("compare").checked = other !== undefined;
  part("other").hidden = other === undefined;
  if (other) {
    part("other-index").value = other.model;
    part("other-mode").value = other.mode;
  }
}

// Another index where there is one; else the same by meaning, or by words if that is asked already.
export function proposeOther(shelves) {
  const [{ model, mode }] = readForm({}, FEW).sides;
  const another = shelves.find((shelf) => shelf.model !== model);
  part("other-index").value = another?.model ?? model;
  part("other-mode").value = another ? mode : mode === "dense" ? "text" : "dense";
}

export function addressOf({ q, k, group, where, scores, sides: [own, other] }, shelves) {
  const said = new URLSearchParams();
  if (q.trim()) said.set("q", q);
  if (own.model !== shelves[0].model) said.set("model", own.model);
  if (own.mode !== MODES[0]) said.set("mode", own.mode);
  if (other) {
    said.set("with", other.model);
    said.set("withmode", other.mode);
  }
  if (Object.keys(where).length) said.set("where", JSON.stringify(where));
  if (group) said.set("group", "parent");
  if (scores) said.set("scores", "1");
  if (k !== FEW) said.set("k", k);
  return said.size ? `?${said}` : location.pathname;
}

// What an address asks for; what it says wrongly is taken as not said.
export function askedBy(address, shelves) {
  const said = new URLSearchParams(address);
  const one = (name, known) => (known.includes(said.get(name)) ? said.get(name) : known[0]);
  const names = shelves.map(({ model }) => model);
  const sides = [{ model: one("model", names), mode: one("mode", MODES) }];
  if (said.has("with")) sides.push({ model: one("with", names), mode: one("withmode", MODES) });
  return {
    q: said.get("q") ?? "",
    k: Math.min(Math.max(Number.parseInt(said.get("k"), 10) || FEW, 1), 100),
    group: said.get("group") === "parent",
    where: conditions(said.get("where")),
    scores: said.get("scores") === "1",
    sides,
  };
}

function conditions(text) {
  try {
    const found = JSON.parse(text ?? "{}");
    return found && typeof found === "object" && !Array.isArray(found) ? found : {};
  } catch {
    return {};
  }
}
