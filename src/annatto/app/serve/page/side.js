// One side of the answer: an index searched in one way.

import { made } from "./made.js";
import { hitElement, mark } from "./results.js";
import { ask, curl, Refused } from "./server.js";

const MOST = 100; // hits that the page shows
const CALLED = { hybrid: "meaning and words", dense: "meaning", text: "words" };

// Search, and make the side: { element, hits, body, isRefused }. `change` is told what a button would ask instead,
// `say` what there is to say.
export async function searched(asked, { model, mode }, shelf, { signal, change, say }) {
  const body = { q: asked.q, k: asked.k, mode, model };
  if (Object.keys(asked.where).length) body.where = asked.where;
  if (asked.group) body.group = "parent";
  const element = made("section", { class: "side", "aria-label": `${model}, by ${CALLED[mode]}` });
  const side = { element, hits: [], body, isRefused: false };
  try {
    const { hits, reason: left } = await ask("/search", body, signal);
    side.hits = hits.map((hit) => hitElement(hit, mode));
    if (left) element.append(said(`${left}.`));
    else if (!hits.length) element.append(await reason(body, shelf, signal, change));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    element.append(said(`Not searched: ${error.message}`));
    side.isRefused = true;
  }
  element.prepend(headOf(side, say));
  element.append(made("ol", {}, ...side.hits.map((one) => one.element)));
  if (side.hits.length === asked.k && asked.k < MOST) element.append(moreOf(asked.k, change));
  return side;
}

// Mark the best sentence of every passage; without an answer, passages stay as they are.
export async function highlight({ hits, body: { q, mode, model } }, signal) {
  if (!hits.length) return;
  const texts = hits.map(({ hit }) => hit.text ?? "");
  try {
    const { best } = await ask("/highlight", { q, texts, mode, model }, signal);
    hits.forEach((one, i) => mark(one, best[i]));
  } catch (error) {
    if (!(error instanceof Refused) && error.name !== "AbortError") throw error;
  }
}

function headOf(side, say) {
  const { model, mode } = side.body;
  const copy = made("button", { type: "button", class: "copy", text: "Copy as curl" });
  copy.addEventListener("click", () => copied(side, say));
  return made("header", {}, made("h2", { text: `${model}, by ${CALLED[mode]}` }), copy);
}

async function copied({ element, body }, say) {
  const command = curl("/search", body);
  try {
    await navigator.clipboard.writeText(command);
    say("The command is on the clipboard.");
  } catch { // no secure address, or not allowed: it can be copied by hand
    element.querySelector("pre")?.remove();
    element.querySelector("header").after(made("pre", { class: "curl", tabindex: 0, text: command }));
    say("The command is shown above the results.");
  }
}

function moreOf(k, change) {
  const more = made("button", { type: "button", class: "more", text: "Show more" });
  more.addEventListener("click", () => change({ k: Math.min(k * 2, MOST) }, k));
  return more;
}

// Why nothing was found, and what could be asked instead.
async function reason(body, shelf, signal, change) {
  if (!shelf.documents) return said("Nothing found, because this index is empty.");
  if (body.where) {
    const { hits } = await ask("/search", { ...body, k: 1, where: undefined }, signal);
    if (hits.length) {
      return said("Nothing found, because what fits does not pass the filters.",
        fix("Remove the filters", () => change({ where: {} })));
    }
  }
  if (body.mode === "text") {
    return said("Nothing found, because no document holds any of these words.",
      fix("Search by meaning", () => change({ mode: "dense" })));
  }
  return said("Nothing found, because no document is near enough.");
}

function said(text, ...buttons) {
  return made("div", { class: "said", role: "alert" }, made("p", { text }), ...buttons);
}

function fix(text, act) {
  const button = made("button", { type: "button", text });
  button.addEventListener("click", act);
  return button;
}
