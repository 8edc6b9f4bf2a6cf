// The page: starts, searches, keeps its state in the address, and listens to the keyboard.

import { addressOf, askedBy, FEW, offer, proposeOther, readForm, showForm } from "./controls.js";
import { fieldsOf, readAll, showAll } from "./filters.js";
import { compareHits } from "./results.js";
import { ask, hasKey, Refused, useKey } from "./server.js";
import { highlight, searched } from "./side.js";

const part = (id) => document.getElementById(id);
const say = (text) => { part("status").textContent = text; };

let shelves = [];
let fields = new Map();
let running = new AbortController();

async function start() {
  try {
    shelves = (await ask("/indexes")).indexes;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    part("key").hidden = error.status !== 401;
    say(error.status === 401 && !hasKey() ? "" : `Not ready: ${error.message}`);
    return;
  }
  part("key").hidden = true;
  offer(shelves);
  follow();
}

// Do as the address says.
async function follow() {
  const asked = askedBy(location.search, shelves);
  showForm(asked);
  const unknown = makeFields(asked.where);
  await search(asked);
  if (unknown.length) say(`The address asks for conditions that cannot be shown: ${unknown}.`);
}

// Ask what the form says, with these changes; `focused` is the hit that gets the focus, if any.
async function change({ mode, k = FEW, where } = {}, focused) {
  if (mode) document.querySelector(`input[name=mode][value=${mode}]`).checked = true;
  if (where) showAll(fields, where);
  if (mode || where) part("question").focus();
  const asked = readForm(readAll(fields), k);
  history.pushState(null, "", addressOf(asked, shelves));
  await search(asked);
  titles()[focused]?.focus();
}

async function search(asked) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  countFilters();
  document.title = asked.q ? `${asked.q} – Search` : "Search";
  showScores();
  if (!asked.q.trim()) {
    show([]);
    say("");
    return;
  }
  part("sides").ariaBusy = "true";
  const begun = performance.now();
  const shelf = ({ model }) => shelves.find((one) => one.model === model);
  try {
    const sides = await Promise.all(
      asked.sides.map((side) => searched(asked, side, shelf(side), { signal, change, say })));
    if (signal.aborted) return;
    const milliseconds = Math.round(performance.now() - begun);
    if (sides.length === 2) compare(sides);
    show(sides.map(({ element }) => element));
    say(`${sides.map(counted).join(" and ")} in ${milliseconds} ms`);
    await Promise.all(sides.map((side) => highlight(side, signal)));
  } catch (error) {
    if (error.name === "AbortError") return;
    say(`Not searched: ${error.message}`);
    throw error;
  }
}

function compare([one, other]) {
  compareHits(one.hits, other.hits);
  compareHits(other.hits, one.hits);
}

function showScores() {
  part("sides").classList.toggle("with-scores", part("scores").checked);
}

function counted({ hits, isRefused }) {
  if (isRefused) return "nothing searched";
  return `${hits.length} ${hits.length === 1 ? "document" : "documents"}`;
}

function show(elements) {
  part("sides").replaceChildren(...elements);
  part("sides").classList.toggle("two", elements.length === 2);
  document.body.classList.toggle("two", elements.length === 2);
  part("sides").ariaBusy = "false";
}

// Fields of the index that is chosen; the names of conditions that they cannot show.
function makeFields(where) {
  const { columns } = shelves.find(({ model }) => model === part("index").value);
  fields = fieldsOf(columns);
  part("fields").replaceChildren(...[...fields.values()].map(({ element }) => element));
  part("filters").hidden = !fields.size;
  const unknown = showAll(fields, where);
  part("filters").open ||= Object.keys(where).length > unknown.length;
  return unknown;
}

function countFilters() {
  const count = Object.keys(readAll(fields)).length;
  part("filter-count").textContent = count ? ` (${count})` : "";
}

function titles(side = 0) {
  const sides = document.querySelectorAll(".side");
  return [...(sides[side]?.querySelectorAll(".title") ?? [])];
}

function clear() {
  part("question").value = "";
  part("question").focus();
  change();
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const { key, target } = event;
  const isTyping = target.matches("input:not([type=radio], [type=checkbox]), select");
  if (key === "Escape" && target.id !== "secret") clear();
  else if (key === "/" && !isTyping) part("question").select();
  else if (!moved(key, target)) return;
  event.preventDefault();
}

// Whether an arrow moved the focus: from the question into the hits, among them, across sides.
function moved(key, target) {
  const lists = [titles(0), titles(1)];
  const side = Math.max(lists.findIndex((list) => list.includes(target)), 0);
  const place = lists[side].indexOf(target);
  const isQuestion = target.id === "question";
  if (place < 0 && !isQuestion && target !== document.body) return false;
  const goals = {
    ArrowDown: lists[side][place + 1],
    ArrowUp: place === 0 ? part("question") : lists[side][place - 1],
    ArrowLeft: side === 1 ? lists[0][Math.min(place, lists[0].length - 1)] : null,
    ArrowRight: place >= 0 && side === 0 ? lists[1][Math.min(place, lists[1].length - 1)] : null,
  };
  goals[key]?.focus();
  return Boolean(goals[key]);
}

part("search").addEventListener("submit", (event) => {
  event.preventDefault();
  change();
});
part("key").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(part("secret").value);
  start();
});
part("search").addEventListener("change", ({ target }) => {
  if (target.id === "question") return; // it is asked when it is sent
  if (target.id === "scores") {
    const { k } = askedBy(location.search, shelves);
    history.replaceState(null, "", addressOf(readForm(readAll(fields), k), shelves));
    showScores();
    return;
  }
  if (target.id === "compare") {
    part("other").hidden = !target.checked;
    if (target.checked) proposeOther(shelves);
  }
  if (target.id === "index") makeFields(readAll(fields));
  change();
});
part("unfilter").addEventListener("click", () => change({ where: {} }));
addEventListener("popstate", follow);
addEventListener("keydown", onKey);
start();
