"""Known false negatives: other wordings of positives, put into the corpus without a judgment.

A variant is made of the positive's own text: sentences are dropped and put in another order, and
words exchanged for near-synonyms. A text of one sentence is cut before options (`-x`) and behind
commas, semicolons and pipes instead; its first piece stays in front and none is dropped, as a
command without one of its options is another command. How much of it happens is the strength;
`exact` copies are a kind of their own. All of that is our choice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from annatto.core.sentences import sentence_spans
from annatto.core.tables import CORPUS
from annatto.core.types import Collection
from annatto.data.scratch import write_corpus

KINDS = {"exact": (0.0, 0.0), "light": (0.0, 0.3), "medium": (0.25, 0.6), "strong": (0.5, 1.0)}
"""Share of sentences that are dropped, and share of known words that are exchanged."""
PIECE = re.compile(r"(?<=[,;|])\s+|\s+(?=-)")
WORD = re.compile(r"[A-Za-z]+")
TWINS = """
affected-struck affects-strikes also-too alter-modify because-since before-until called-named
cause-produce caused-produced causes-produces change-alteration changes-alterations child-infant
children-youngsters common-frequent damage-harm decrease-lower develop-arise directory-folder
disease-illness diseases-illnesses disorder-condition disorders-conditions display-print
doctor-physician doctors-physicians drug-medicine drugs-medicines examine-inspect file-document
files-documents find-detect first-initially found-detected given-provided health-wellbeing
help-aid helps-aids host-machine image-picture important-essential include-comprise
includes-comprises increase-raise increased-raised infection-contagion input-source injury-wound
inherited-hereditary large-big late-delayed link-url likely-probable list-enumerate lower-reduce
many-numerous may-might mild-slight mutation-alteration mutations-alterations name-title
need-require needed-required number-count occur-happen occurs-happens often-frequently
output-result pain-ache package-bundle parents-mother patient-sufferer patients-sufferers
people-persons possible-conceivable prevent-avoid problem-trouble problems-troubles quickly-rapidly
rare-uncommon reduce-lessen remote-distant remove-eliminate research-study risk-danger
severe-serious show-reveal shows-reveals signs-indications small-little some-certain
sometimes-occasionally start-begin starts-begins stop-halt surgery-operation swelling-bulge
symptom-complaint symptoms-complaints test-examination tests-examinations tired-weary
treat-manage treated-managed treatment-therapy treatments-therapies type-kind types-kinds
user-account usually-mostly weak-feeble weakness-feebleness women-females
"""
SYNONYMS = {
    word: other
    for left, _, right in (pair.partition("-") for pair in TWINS.split())
    for word, other in ((left, right), (right, left))
}


@dataclass(frozen=True)
class Planted:
    """A collection with planted documents, and what only the judge of the filter may know.

    Attributes:
        collection: what is mined and trained on; nothing in it tells the planted ones.
        pairs: query_id, doc_id, kind: the planted documents of each training query.
    """

    collection: Collection
    pairs: pa.Table


def plant(collection: Collection, *, share: float, seed: int) -> Planted:
    """Add as many variants of training positives as `share` of the documents, all kinds alike.

    Args:
        collection: with queries in the split train.
        share: of the corpus before; fewer where there are not so many different variants.
        seed: of the positives, the kinds and the changes.
    """
    rng = np.random.default_rng([seed, 7])
    asked: dict[str, list[str]] = {}
    training = set(collection.queries_of("train")["query_id"].to_pylist())
    for row in collection.positives().select(["query_id", "doc_id"]).to_pylist():
        if row["query_id"] in training:
            asked.setdefault(row["doc_id"], []).append(row["query_id"])
    rows = _documents(collection, set(asked))
    wanted = [(doc, kind) for doc in sorted(asked) for kind in KINDS]
    added: dict[str, dict[str, str]] = {}
    pairs: list[tuple[str, str, str]] = []
    for place in rng.permutation(len(wanted)).tolist():
        if len(added) >= share * len(collection.doc_ids):
            break
        doc, kind = wanted[place]
        text = variant(rows[doc]["text"], *KINDS[kind], rng)
        if (kind == "exact") != (text == rows[doc]["text"]):
            continue  # nothing to change in it: no variant of this kind
        digest = hashlib.blake2b(f"{seed} {doc} {kind}".encode(), digest_size=5).hexdigest()
        added[digest] = {"doc_id": digest, "title": rows[doc]["title"], "text": text}
        pairs += [(query, digest, kind) for query in asked[doc]]
    corpus = write_corpus(_with(collection, list(added.values())), "planted")
    names = ("query_id", "doc_id", "kind")
    table = pa.table(dict(zip(names, map(list, zip(*pairs, strict=True)), strict=True)))
    return Planted(replace(collection, corpus=corpus), table)


def variant(text: str, drop: float, swap: float, rng: np.random.Generator) -> str:
    """The text with `drop` of its sentences gone, others in front, `swap` of known words changed.

    >>> variant("Rare disease. It may help.", 0.0, 1.0, np.random.default_rng(1))
    'It might aid. Uncommon illness.'
    >>> variant("tar -x -f file", 0.0, 0.0, np.random.default_rng(0))
    'tar -x -f file'
    """
    if not drop and not swap:
        return text
    spans = sentence_spans(text)
    pieces = [text[start:end] for start, end in spans]
    head: list[str] = []
    if len(pieces) < 2:
        first, *pieces = PIECE.split(text)
        head, drop = [first], 0.0
    order = rng.permutation(len(pieces))[: max(round(len(pieces) * (1 - drop)), 1)]
    if len(order) > 1 and (np.diff(order) > 0).all():
        order = order[::-1]
    joined = " ".join([*head, *(pieces[i] for i in order)])
    return WORD.sub(lambda found: _exchanged(found[0], swap, rng), joined)


def _exchanged(word: str, swap: float, rng: np.random.Generator) -> str:
    other = SYNONYMS.get(word.lower())
    if other is None or rng.random() >= swap:
        return word
    return other.capitalize() if word[0].isupper() else other


def _documents(collection: Collection, wanted: set[str]) -> dict[str, dict[str, str]]:
    columns = ["doc_id", "title", "text"]
    rows = (row for batch in collection.documents(columns) for row in batch.to_pylist())
    return {row["doc_id"]: row for row in rows if row["doc_id"] in wanted}


def _with(collection: Collection, added: list[dict[str, str]]) -> Iterator[pa.Table]:
    for batch in collection.documents():
        yield pa.table(batch)
    columns = {name: [row[name] for row in added] for name in ("doc_id", "title", "text")}
    yield CORPUS.table(columns)
