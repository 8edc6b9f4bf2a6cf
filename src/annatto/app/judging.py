"""Let a person judge what systems find, in the terminal, and keep every grade."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from annatto.app import artefacts
from annatto.app.console import show
from annatto.app.terminal import CLEAR, keys, need, shown
from annatto.core.atomic import explained, new_folder, read_card, write_json
from annatto.core.errors import UsageError
from annatto.core.store import collection_hash, open_collection, save
from annatto.core.tables import rows_of
from annatto.core.types import Collection

if TYPE_CHECKING:
    from annatto.evaluate.judging import Grades, Pair, Standing

WORDS = "BM25"
GRADES = {"0": "no", "1": "in part", "2": "yes"}
HELP = "0 no   1 in part   2 yes   b back   m whole text   q stop (nothing is lost)"
SPARE = 8


@dataclass(frozen=True)
class Way:
    """How judging is done.

    Attributes:
        depth: documents of each system and query.
        seed: of the order in which documents are shown.
        name: of the person; judgments are of origin `human:NAME`.
        difference: of nDCG@10 that one would like to be sure of.
    """

    depth: int = 10
    seed: int = 0
    name: str = "me"
    difference: float = 0.05


@dataclass(frozen=True)
class Outcome:
    """What a sitting led to: pairs judged, pairs in all, finished queries, and standings."""

    judged: int
    pairs: int
    queries: int
    standings: Sequence[Standing]


def judge_to(
    collection: Path,
    systems: Mapping[str, str],
    texts: Sequence[str],
    output: Path,
    *,
    way: Way,
) -> Outcome:
    """Show what every system finds, take a key for each, and save a Collection with the judgments.

    What was found and every grade lie in `output.work`, which stays: the same call goes on.

    Args:
        collection: a saved Collection.
        systems: name to model folder or weights name; BM25 is always there, too.
        texts: the queries.
        output: replaced if it holds an older collection; written when a query is finished.
        way: depth, seed, who, and what to be sure of.

    Raises:
        InputError: no collection or query, or `output` holds something else.
        UsageError: standard input is no terminal, or a system is called BM25.
    """
    from annatto.evaluate.judging import (
        Grades,
        as_queries,
        finished,
        judgments_of,
        standings,
        to_judge,
        with_grades,
    )

    _check(systems, way)
    need()
    artefacts.replaceable(output, "collection")
    opened, queries = open_collection(collection), as_queries(texts)
    work = output.with_name(f"{output.name}.work")
    with explained(work):
        work.mkdir(parents=True, exist_ok=True)
        grades = Grades.open(work / "grades.jsonl", f"human:{way.name}")
    run = _found(opened, systems, queries, work / "pool", depth=way.depth)
    pairs = to_judge(queries, run, seed=way.seed)
    with keys() as key:
        sit(opened, queries, pairs, grades, key)
    done = finished(queries, pairs, grades.said)
    ids = done["query_id"].combine_chunks()
    if len(ids):
        save(with_grades(opened, done, grades.said, grades.origin), output)
    found = judgments_of(grades.said, ids, grades.origin)
    told = standings(run, found, ids, difference=way.difference) if len(ids) else []
    judged = sum(pair in grades.said for pair in pairs)
    return Outcome(judged, len(pairs), len(ids), told)


def sit(
    collection: Collection,
    queries: pa.Table,
    pairs: Sequence[Pair],
    grades: Grades,
    key: Callable[[], str],
) -> None:
    """Ask for every pair that has no grade until there is none left, or until `q`.

    Args:
        collection: holds the documents.
        queries: hold the texts.
        pairs: what is to be judged, in this order.
        grades: takes them.
        key: waits for one and gives it; empty when nobody is there any more.
    """
    asked = dict(zip(queries["query_id"].to_pylist(), queries["text"].to_pylist(), strict=True))
    texts = _texts(collection, pairs)
    given: list[int] = []
    while True:
        left = [place for place, pair in enumerate(pairs) if pair not in grades.said]
        if not left:
            return
        pair = pairs[left[0]]
        count = f"{len(pairs) - len(left) + 1} of {len(pairs)}"
        _page(asked[pair.query_id], texts[pair.doc_id], count)
        word = _answer(key, texts[pair.doc_id])
        if word in GRADES:
            grades.say(pair, float(word))
            given.append(left[0])
        elif word == "b" and given:
            grades.say(pairs[given.pop()], None)
        elif word in ("q", ""):
            return


def _answer(key: Callable[[], str], text: str) -> str:
    """The next key that means something; `m` is answered here."""
    while (word := key()) not in (*GRADES, "b", "q", ""):
        if word == "m":
            show(shown(text, spare=0, whole=True))
            show(HELP)
    return word


def _page(query: str, text: str, count: str) -> None:
    show(f"{CLEAR}{count}   Does the text answer this?\n")
    show(f"> {shown(query, spare=0, whole=True)}\n")
    show(shown(text, spare=SPARE))
    show(f"\n{HELP}")


def _texts(collection: Collection, pairs: Sequence[Pair]) -> dict[str, str]:
    doc_ids = list(dict.fromkeys(pair.doc_id for pair in pairs))
    rows = rows_of(pa.array(doc_ids, pa.large_string()), collection.doc_ids)
    texts = [text for batch in collection.document_texts(rows) for text in batch]
    return dict(zip(doc_ids, texts, strict=True))


def _check(systems: Mapping[str, str], way: Way) -> None:
    if WORDS in systems:
        raise UsageError(f"judging adds a system called {WORDS} of its own; rename yours.")
    if not way.name or way.depth < 1 or not way.difference > 0:
        raise UsageError(
            f"judging needs a name, a depth of at least 1 and a difference above 0; found "
            f"'{way.name}', {way.depth} and {way.difference}."
        )


def _found(
    collection: Collection,
    systems: Mapping[str, str],
    queries: pa.Table,
    place: Path,
    *,
    depth: int,
) -> pa.Table:
    """What the systems find; searched for once, and read while nothing it rests on changed."""
    said: dict[str, Any] = {
        "collection": collection_hash(collection),
        "queries": queries["query_id"].to_pylist(),
        "systems": {n: artefacts.model_content(n, {"weights": w}) for n, w in systems.items()},
        "depth": depth,
    }
    key = artefacts.digest_of(said)
    if (place / "card.json").exists() and read_card(place / "card.json").get("key") == key:
        return pq.read_table(place / "run.parquet")
    from annatto.evaluate.judging import pool

    run = pool(collection, _retrievers(systems), queries, depth=depth)
    with new_folder(place) as temporary:
        pq.write_table(run, temporary / "run.parquet")
        write_json(temporary / "card.json", {"kind": "pool", "key": key})
    return run


def _retrievers(systems: Mapping[str, str]) -> Iterator[Any]:
    """One at a time, so that only one model is in memory."""
    from annatto.index.bm25 import BM25
    from annatto.index.retriever import Dense

    for name, weights in systems.items():
        yield Dense(artefacts.load_model({"weights": weights, "name": name}), name=name)
    yield BM25(name=WORDS)
