// What was found: rank, title, place, passage, what is known of it, and how each leg found it.

import { made } from "./made.js";

const SNIPPET = 360; // characters of a closed passage
const BEFORE = 90; // of them before the best sentence
const UNSAID = ["start", "end"]; // where a passage stands in its parent, in characters

// One hit as an element; its title opens and closes it.
export function hitElement(hit, mode) {
  const title = made("button", {
    type: "button", class: "title", "aria-expanded": "false", text: hit.title || hit.doc_id,
  });
  const element = made("li", { class: "hit", "data-id": hit.doc_id },
    made("div", { class: "head" },
      made("span", { class: "rank", text: `${hit.rank}.` }),
      made("h3", {}, title)),
    placeOf(hit),
    made("p", { class: "passage" }),
    made("p", { class: "beside", hidden: "" }),
    metadataOf(hit.metadata),
    made("p", { class: "legs", text: legsOf(hit, mode) }));
  const letters = Array.from(hit.text ?? ""); // the server counts code points
  const one = { element, hit, letters, best: null };
  title.addEventListener("click", () => open(one, title.ariaExpanded !== "true"));
  showPassage(one);
  return one;
}

// Mark a sentence: {start, end} in code points, or null for none.
export function mark(one, best) {
  one.best = best;
  showPassage(one);
}

// Say where the other side has a document.
export function compareHits(hits, others) {
  const ranks = new Map(others.map((other) => [other.hit.doc_id, other.hit.rank]));
  for (const { element, hit } of hits) {
    const beside = element.querySelector(".beside");
    const rank = ranks.get(hit.doc_id);
    beside.hidden = false;
    beside.textContent = rank ? `rank ${rank} on the other side` : "only on this side";
  }
}

function open(one, isOpen) {
  one.element.classList.toggle("is-open", isOpen);
  one.element.querySelector(".title").ariaExpanded = String(isOpen);
  showPassage(one);
}

function showPassage({ element, letters, best }) {
  const isOpen = element.classList.contains("is-open");
  const start = isOpen || !best || letters.length <= SNIPPET ? 0 : wordBefore(letters, best.start);
  const end = isOpen ? letters.length : Math.min(letters.length, start + SNIPPET);
  const part = (from, to) => letters.slice(Math.max(from, start), Math.min(to, end)).join("");
  const passage = element.querySelector(".passage");
  passage.replaceChildren(start > 0 ? "… " : "");
  if (best) {
    passage.append(part(start, best.start), made("mark", { text: part(best.start, best.end) }));
  }
  passage.append(part(best ? best.end : start, end), end < letters.length ? " …" : "");
}

// Where a word begins, some letters before a place.
function wordBefore(letters, place) {
  const from = place - BEFORE;
  if (from <= 0) return 0;
  const gap = letters.slice(from, place).findIndex((letter) => /\s/.test(letter));
  return gap < 0 ? from : from + gap + 1;
}

function placeOf(hit) {
  const said = hit.source ?? hit.doc_id;
  const text = hit.source && hit.line ? `${said}:${hit.line}` : said;
  if (!/^https?:\/\//.test(said)) return made("p", { class: "place", text });
  const link = made("a", { href: said, target: "_blank", rel: "noopener noreferrer", text });
  return made("p", { class: "place" }, link);
}

function metadataOf(metadata) {
  const list = made("dl", { class: "meta" });
  for (const [name, value] of Object.entries(metadata)) {
    if (UNSAID.includes(name)) continue;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    list.append(made("div", {}, made("dt", { text: name }), made("dd", { text })));
  }
  return list;
}

function legsOf(hit, mode) {
  const leg = (name, rank, score) =>
    rank === null ? `${name}: not among its best` : `${name}: rank ${rank}, ${score.toFixed(3)}`;
  const said = [`score ${hit.score.toFixed(4)}`];
  if (mode !== "text") said.push(leg("meaning", hit.dense_rank, hit.dense_score));
  if (mode !== "dense") said.push(leg("words", hit.text_rank, hit.text_score));
  return said.join(" · ");
}
