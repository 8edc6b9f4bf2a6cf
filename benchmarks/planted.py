"""Negatives planted where the truth is known, for the experiments about repairing labels.

A FALSE negative is its positive told again: cut, its pieces in another order, under another id and
another title. An AMBIGUOUS one holds the answer, or a part of it, about something else. What was
planted is told to whoever counts, never to whoever judges.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from annatto.core.sentences import sentence_spans
from annatto.core.tables import CORPUS, JUDGMENTS, concat
from annatto.core.types import Collection
from annatto.mine.rules import DROP, KEEP, RELABEL

FALSE, AMBIGUOUS, CLEAN = "false", "ambiguous", "clean"
VERDICTS = {RELABEL: "relabel", DROP: "drop", KEEP: "keep"}
ORIGIN = "mined:planted"
HEADINGS = ("Overview", "Notes", "From a report", "Background", "In short", "Summary", "Extract")
ENTITY = {
    "number": re.compile(r"\d[\d.,]*\d|\d"),
    "name": re.compile(r"(?<=[a-z,] )[A-Z][\w'’-]+(?: (?:of |the )?[A-Z][\w'’-]+)*"),
}
Pair = tuple[str, str]


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [text[start:end] for start, end in sentence_spans(text)]


def turned(sentence: str) -> str:
    """A short clause at the beginning of a sentence, up to its first comma, moved to its end.

    >>> turned("In 1984, she wrote it.")
    'She wrote it, in 1984.'
    """
    head, comma, rest = sentence.partition(", ")
    if not comma or len(head.split()) > 6 or len(rest.split()) < 3 or rest[-1:] not in ".!?":
        return sentence
    return f"{rest[0].upper()}{rest[1:-1]}, {head[0].lower()}{head[1:]}{rest[-1]}"


def retold(text: str, place: tuple[int, int], rng: np.random.Generator) -> str:
    """A text told again around the answer at `place`: half of its sentences, in another order."""
    spans = sentence_spans(text)
    own = [text[a:b] for a, b in spans if a < place[1] and b > place[0]]
    others = [turned(text[a:b]) for a, b in spans if not (a < place[1] and b > place[0])]
    keep = [others[i] for i in rng.permutation(len(others))[: len(others) // 2]]
    answer = text[place[0] : place[1]]
    said = " ".join(own)
    parts = [*keep, turned(said) if answer in turned(said) else said]
    return " ".join(parts[i] for i in rng.permutation(len(parts)))


def misplaced(text: str, answer: str, rng: np.random.Generator) -> str:
    """A text of something else in which `answer` stands for an entity of its kind."""
    kind = "number" if answer[:1].isdigit() else "name"
    found = [one for one in ENTITY[kind].finditer(text) if one[0] != answer]
    if found and (kind == "number" or answer[:1].isupper()):
        one = found[int(rng.integers(len(found)))]
        return text[: one.start()] + answer + text[one.end() :]
    parts = sentences(text)
    at = int(rng.integers(len(parts)))
    parts[at] = f"{parts[at].rstrip('.!?')}, as with {answer}."
    return " ".join(parts)


def pieces(text: str) -> list[str]:
    """The sentences of a text, or its words where it has less than four sentences."""
    parts = sentences(text)
    return parts if len(parts) > 3 else text.split()


def shuffled(text: str, rng: np.random.Generator) -> str:
    """A text told again: two thirds of its pieces in another order."""
    parts = pieces(text)
    kept = rng.permutation(len(parts))[: max(-(-2 * len(parts) // 3), 1)]
    return " ".join(parts[i] for i in kept)


def partial(text: str, other: str, rng: np.random.Generator) -> str:
    """A quarter of the pieces of a text among as many as it has of another."""
    parts, rest = pieces(text), pieces(other)
    kept = [parts[i] for i in rng.permutation(len(parts))[: max(len(parts) // 4, 1)]]
    mixed = [*kept, *rest[: len(parts)]]
    return " ".join(mixed[i] for i in rng.permutation(len(mixed)))


def new_ids(known: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Ids that stand anywhere among the known ones, as ties are broken by them."""
    taken, made = set(known), list[str]()
    while len(made) < count:
        base = known[int(rng.integers(len(known)))]
        name = f"{base}-{int(rng.integers(10**6)):06}"
        if name not in taken:
            taken.add(name)
            made.append(name)
    return made


def with_documents(
    collection: Collection, ids: Sequence[str], titles: Sequence[str], texts: Sequence[str]
) -> Collection:
    """The collection with these documents behind its own."""
    own = collection.corpus.to_table(columns=["doc_id", "title", "text"])
    more = CORPUS.table({"doc_id": list(ids), "title": list(titles), "text": list(texts)})
    return dataclasses.replace(collection, corpus=ds.dataset(concat([own, more]).combine_chunks()))


def with_negatives(
    collection: Collection, pairs: Sequence[Pair], origin: str = ORIGIN
) -> Collection:
    """The collection with these pairs judged as mined negatives."""
    rows = JUDGMENTS.table(
        {
            "query_id": [query for query, _ in pairs],
            "doc_id": [doc for _, doc in pairs],
            "grade": [0.0] * len(pairs),
            "origin": [origin] * len(pairs),
        }
    )
    return collection.with_judgments(concat([collection.judgments, rows]), "planting")


def verdicts_of(repaired: Collection, truth: Mapping[Pair, str]) -> dict[Pair, str]:
    """What became of every pair of the truth: relabel, drop or keep."""
    rows = repaired.decisions.to_pylist()
    told = {(row["query_id"], row["doc_id"]): row["after"] for row in rows}
    return {pair: VERDICTS[told[pair]] for pair in truth if pair in told}


def confusion(truth: Mapping[Pair, str], said: Mapping[Pair, str]) -> dict[str, dict[str, int]]:
    """How many of each kind met which verdict."""
    counts = Counter((truth[pair], verdict) for pair, verdict in said.items())
    kinds = (FALSE, AMBIGUOUS, CLEAN)
    return {kind: {v: counts[kind, v] for v in VERDICTS.values()} for kind in kinds}


def figures(table: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Recall of false ones in {relabel, drop}, clean ones touched, precision of relabel; [0, 1]."""

    def share(part: int, whole: int) -> float:
        return round(part / whole, 4) if whole else 0.0

    touched = {kind: row["relabel"] + row["drop"] for kind, row in table.items()}
    sizes = {kind: sum(row.values()) for kind, row in table.items()}
    relabelled = sum(row["relabel"] for row in table.values())
    return {
        "false_found": share(touched[FALSE], sizes[FALSE]),
        "clean_touched": share(touched[CLEAN], sizes[CLEAN]),
        "relabel_precision": share(table[FALSE]["relabel"], relabelled),
    }


def show(table: Mapping[str, Mapping[str, int]]) -> None:
    """Print a confusion matrix."""
    print(f"{'':10} " + "".join(f"{verdict:>9}" for verdict in VERDICTS.values()))
    for kind, row in table.items():
        print(f"{kind:10} " + "".join(f"{row[verdict]:9}" for verdict in VERDICTS.values()))


def column(table: pa.Table, name: str) -> dict[str, Any]:
    """query_id or doc_id, whichever the table has first, to a column."""
    return dict(zip(table[0].to_pylist(), table[name].to_pylist(), strict=True))
