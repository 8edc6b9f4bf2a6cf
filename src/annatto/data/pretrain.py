"""Training pairs from plain text, for those who have documents but no queries."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.card import with_notes
from annatto.core.errors import SchemaError, UsageError, nearest
from annatto.core.progress import track
from annatto.core.sentences import one_line, sentence_spans
from annatto.core.tables import JUDGMENTS, QUERIES, TEXT
from annatto.core.types import BATCH_ROWS, Collection
from annatto.core.words import words
from annatto.data.records import to_table
from annatto.data.scratch import write_corpus
from annatto.data.split import split

logger = logging.getLogger(__name__)

STAGE = "data.pretrain"
TASKS = ("ict", "bfs", "title")
MIN_WORDS, MAX_WORDS = 5, 64
MIN_TITLE_WORDS = 2
OPENING = 16
TOO_FEW = (
    "too few files for held-out pairs: all {} pairs are for training, nothing is left to measure on"
)

Span = tuple[int, int]


class Offer(NamedTuple):
    """What one document can be asked by: sentences of its own, of its parent's start, its title."""

    ict: list[Span]
    bfs: list[str]
    title: str


def pretrain(
    collection: Collection,
    *,
    tasks: Sequence[str] = TASKS,
    per_document: int = 1,
    keep_prob: float = 0.0,
    seed: int = 0,
    dev: float = 0.1,
    test: float = 0.1,
) -> Collection:
    """Make a query or more for each document out of the documents themselves.

    Each document plays one part, drawn among those it can play:

    - `ict`, inverse cloze: a sentence of it asks for the rest of it;
    - `bfs`, body first selection: a sentence of its parent's first document asks for it;
    - `title`: its title asks for its text, if no other document has that title.

    The corpus of the result is made for training: held-out sentences and titles are cut out of the
    documents that they ask for (`start` and `end` still speak of the uncut text). Search the corpus
    you had, not this one. Queries and judgments that the collection had are not in the result.
    Sentences have 5 to 64 words; of queries with the same words the first stays, and gets the
    others' positives if their parent is the same. Origins are `synthetic:TASK`; the queries' task
    is the part's name. Splits are by parent and near-twin (`data.split`); when there are too few
    parents to fill them, all pairs are for training, which is logged and noted on the card.

    Paper: Chang, Yu, Chang, Yang, Kumar, Pre-training tasks for embedding-based large-scale
        retrieval, 2020, arXiv:2002.03932, section 3.
    Differs: no link prediction (our documents store no links), but titles; one part per document,
        so that no document holds a query that asks for it; the first section is the parent's first
        document, and never the positive of its own sentences.

    Args:
        collection: documents; `parent_id` is needed for `bfs`.
        tasks: which parts there are.
        per_document: queries of each document at most, for `ict` and `bfs`.
        keep_prob: how often what asks for a document stays in it; [0, 1]. Lee et al. use 0.1.
        seed: of all draws; a document's draw depends on its id, not on its place.
        dev: share of the queries.
        test: likewise.

    Raises:
        UsageError: an unknown task, or a number out of range.
        SchemaError: no document has anything to offer.
    """
    for task in tasks:
        if task not in TASKS:
            raise UsageError(f"{STAGE} has no task '{task}'; {nearest(task, TASKS)}.")
    if not tasks or per_document < 1 or not 0 <= keep_prob <= 1:
        raise UsageError(
            f"{STAGE} needs a task, per_document of at least 1 and keep_prob in [0, 1]; found "
            f"{len(tasks)} tasks, {per_document} and {keep_prob}."
        )
    maker = _Maker(tuple(dict.fromkeys(tasks)), per_document, keep_prob, seed)
    corpus = write_corpus(maker.documents(collection), STAGE)
    if not maker.queries:
        raise SchemaError(
            f"{STAGE} found no pair in {maker.counts['documents_with_nothing_to_offer']} documents "
            f"(tasks: {', '.join(tasks)}; sentences of {MIN_WORDS} to {MAX_WORDS} words); "
            "add longer documents, titles, or parent_id."
        )
    settings: dict[str, Any] = {"tasks": list(tasks), "per_document": per_document}
    settings |= {"keep_prob": keep_prob, "seed": seed, "dev": dev, "test": test}
    made = Collection(
        corpus=corpus,
        queries=to_table(list(maker.queries.values()), QUERIES, STAGE),
        judgments=to_table(maker.judgments, JUDGMENTS, STAGE),
        card=with_notes(collection.card, STAGE, settings, dict(maker.counts)),
    )
    return _parted(made, settings)


def _parted(made: Collection, settings: dict[str, Any]) -> Collection:
    """Split by parent; with too few parents all is for training, and the log and card say so."""
    dev, test, seed = settings["dev"], settings["test"], settings["seed"]
    parted = split(made, group="parent_id", dev=dev, test=test, seed=seed, if_too_few="train")
    card = {**parted.card, "stage": STAGE, "settings": settings}
    if max(dev, test) > 0 and set(parted.queries["split"].to_pylist()) == {"train"}:
        said = TOO_FEW.format(parted.queries.num_rows)
        logger.info(said)
        noted = {**card["notes"][STAGE], "no_held_out_pairs": said}
        card["notes"] = {**card["notes"], STAGE: noted}
    return replace(parted, card=card)


@dataclass
class _Maker:
    """Goes through the documents once, cutting them and gathering queries."""

    tasks: tuple[str, ...]
    per_document: int
    keep_prob: float
    seed: int
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    judgments: list[dict[str, Any]] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    openings: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def documents(self, collection: Collection) -> Iterator[pa.Table]:
        """Yield the documents as they are to be trained on."""
        self.counts["documents_with_nothing_to_offer"] = 0
        has_parents = "parent_id" in collection.corpus.schema.names
        shared_titles = _several(collection, "title") if "title" in self.tasks else set()
        self.shared = _several(collection, "parent_id") if "bfs" in self.tasks else set()
        total = -(-collection.corpus.count_rows() // BATCH_ROWS)
        for batch in track(collection.documents(), "making queries", total):
            rows = batch.select(["doc_id", "title", "text"]).to_pylist()
            parents = batch["parent_id"].to_pylist() if has_parents else [None] * len(rows)
            for row, parent in zip(rows, parents, strict=True):
                is_own = "title" in self.tasks and row["title"] not in shared_titles
                self._document(row, parent, is_own)
            yield _replaced(batch, rows)

    def _document(self, row: dict[str, str], parent: str | None, has_own_title: bool) -> None:
        """Draw the document's part, gather its queries, cut them out of `row`."""
        rng = random.Random(f"{self.seed} {row['doc_id']}")
        offer = self._offer(row, parent, has_own_title)
        able = [task for task in self.tasks if getattr(offer, task)]
        if not able:
            self.counts["documents_with_nothing_to_offer"] += 1
            return
        task = rng.choice(able)
        stays = rng.random() < self.keep_prob
        if task == "title":
            asked = [offer.title]
            row["title"] = row["title"] if stays else ""
        elif task == "bfs":
            asked = rng.sample(offer.bfs, min(self.per_document, len(offer.bfs)))
        else:
            spans = _held_out(row["text"], offer.ict, self.per_document, rng)
            asked = [row["text"][start:end] for start, end in spans]
            row["text"] = row["text"] if stays else _cut(row["text"], spans)
        for number, text in enumerate(asked, 1):
            query_id = f"{task}:{row['doc_id']}:{number}"
            query = {"query_id": query_id, "text": one_line(text), "task": task, "split": ""}
            self._ask(query, row["doc_id"], parent or row["doc_id"])

    def _offer(self, row: dict[str, str], parent: str | None, has_own_title: bool) -> Offer:
        text, title = row["text"], row["title"]
        offer = Offer([], [], "")
        whole = _folded(f"{title} {text}")
        spans = _sentences(text) if {"ict", "bfs"} & set(self.tasks) else []
        if "ict" in self.tasks:
            size = len(words(text))
            once = [span for span in spans if whole.count(_folded(text[slice(*span)])) == 1]
            fits = [one for one in once if size - len(words(text[slice(*one)])) >= MIN_WORDS]
            offer = offer._replace(ict=fits)
        if "bfs" in self.tasks and parent in self.shared:
            opening = self.openings.get(parent)
            if opening is None:
                self.openings[parent] = [text[slice(*span)] for span in spans[:OPENING]]
            else:
                offer = offer._replace(bfs=[one for one in opening if _folded(one) not in whole])
        if has_own_title and len(words(title)) >= MIN_TITLE_WORDS:
            is_told = _folded(title) in _folded(text) or len(words(text)) < MIN_WORDS
            offer = offer._replace(title="" if is_told else title)
        return offer

    def _ask(self, query: dict[str, Any], doc_id: str, parent: str) -> None:
        """Note a query and its positive, unless its words are another task's or parent's."""
        key = " ".join(words(query["text"]))
        known = self.queries.setdefault(key, query)
        task = query["task"]
        if self.parents.setdefault(key, parent) != parent or task != known["task"]:
            self.counts["queries_with_known_words"] += 1
            return
        self.counts[f"pairs_{task}"] += 1
        said = {"query_id": known["query_id"], "doc_id": doc_id}
        self.judgments.append({**said, "grade": 1.0, "origin": f"synthetic:{task}"})


def _sentences(text: str) -> list[Span]:
    """The sentences that have a fitting number of words."""
    spans = sentence_spans(text)
    return [one for one in spans if MIN_WORDS <= len(words(text[slice(*one)])) <= MAX_WORDS]


def _held_out(text: str, spans: list[Span], most: int, rng: random.Random) -> list[Span]:
    """Up to `most` of the sentences, in order, such that at least 5 words stay behind."""
    left = len(words(text))
    chosen: list[Span] = []
    for span in rng.sample(spans, len(spans)):
        size = len(words(text[slice(*span)]))
        if len(chosen) < most and left - size >= MIN_WORDS:
            chosen.append(span)
            left -= size
    return sorted(chosen)


def _cut(text: str, spans: list[Span]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start].rstrip(' ')} {text[end:].lstrip(' ')}"
    return text.strip()


def _folded(text: str) -> str:
    return one_line(text).casefold()


def _several(collection: Collection, column: str) -> set[str]:
    """The values of a corpus column that more than one document has."""
    if column not in collection.corpus.schema.names:
        return set()
    values = collection.corpus.to_table(columns=[column])[column].drop_null()
    counts = pc.value_counts(values)
    return set(counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist())


def _replaced(batch: pa.RecordBatch, rows: list[dict[str, str]]) -> pa.Table:
    """The batch with the titles and texts of `rows`."""
    table = pa.table(batch)
    for name in ("title", "text"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array([row[name] for row in rows], TEXT))
    return table
