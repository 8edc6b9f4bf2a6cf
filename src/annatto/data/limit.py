"""LIMIT: documents so easy that only the number of their combinations can be hard.

"Who likes Quinces?" is answered by the two documents that name quinces; a search for the word is
all it takes. Hard is that many pairs of documents must be the two nearest of some query.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pyarrow as pa

from annatto.core.card import with_notes
from annatto.core.errors import UsageError, nearest
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import BATCH_ROWS, Collection
from annatto.data.limit_words import FIRST, ITEMS, LAST, Pattern
from annatto.data.scratch import write_corpus

STAGE = "data.limit"
RELEVANT = 2
SMALL = 46


class Liked(NamedTuple):
    """What is asked for, and who likes it.

    Attributes:
        rows: (q, 2) int64 corpus rows relevant to each query, all different pairs.
        items: (q,) int64 places in ITEMS of what each query asks for, each once.
        rest: int64 places in ITEMS of what no query asks for.
    """

    rows: np.ndarray
    items: np.ndarray
    rest: np.ndarray


def limit(
    *,
    pattern: Pattern = "dense",
    queries: int = 1000,
    documents: int = SMALL,
    items: int = 45,
    seed: int = 0,
    scratch: Path | None = None,
) -> Collection:
    """A LIMIT collection: each query has exactly two relevant documents, all in the split `test`.

    The relevant documents stand first, so the head of a larger collection is the smaller one of
    the same seed, except for `random`, which draws from all documents.

    Paper: Weller, Boratko, Naim and Lee, On the Theoretical Limitations of Embedding-Based
        Retrieval, 2025, arXiv:2508.21038, section 5 (LIMIT).
    Differs: items and names are ours, an item is one word, and there are 1,981 (about 1,850 there);
        `random` draws from all documents, and `cycle` closes into a ring.

    Args:
        pattern: which pairs of documents answer a query. `dense`: the first pairs, in lexicographic
            order, of as few documents as there can be; `random`: any; `cycle`: each document and
            the next; `disjoint`: two documents of its own.
        queries: how many; at least 3.
        documents: how many; 46 is the small set (all relevant), 50,000 the full one.
        items: how many each document names.
        seed: of everything that is drawn.
        scratch: folder for the corpus file (see `data.scratch`).

    Raises:
        UsageError: an unknown pattern, or more asked for than there can be.
    """
    needed = _needed(pattern, queries)
    _require(pattern, queries, documents, items, needed)
    liked = _draw(pattern, queries, documents, seed)
    most = int(np.bincount(liked.rows.ravel()).max())
    if most > items:
        raise UsageError(
            f"{STAGE}: a document answers {most} queries, but names only {items} items; raise "
            "items or documents, or ask fewer queries."
        )
    names = _names(documents, seed)
    corpus = write_corpus(_documents(liked, names, items, seed), STAGE, scratch=scratch)
    ids = [f"q{i:04}" for i in range(queries)]
    settings = {"pattern": pattern, "queries": queries, "documents": documents, "items": items}
    notes = {"relevant documents": len(np.unique(liked.rows)), "items known": len(ITEMS)}
    return Collection(
        corpus=corpus,
        queries=QUERIES.table(
            {
                "query_id": ids,
                "text": [f"Who likes {ITEMS[item]}?" for item in liked.items],
                "task": ["limit"] * queries,
                "split": ["test"] * queries,
            }
        ),
        judgments=JUDGMENTS.table(
            {
                "query_id": np.repeat(ids, RELEVANT).tolist(),
                "doc_id": [names[row] for row in liked.rows.ravel()],
                "grade": [1.0] * (RELEVANT * queries),
                "origin": ["gold"] * (RELEVANT * queries),
            }
        ),
        card=with_notes({}, STAGE, {**settings, "seed": seed}, notes),
    )


def _needed(pattern: str, queries: int) -> int:
    """The fewest documents that so many queries can have."""
    if pattern not in get_args(Pattern):
        known = nearest(str(pattern), get_args(Pattern))
        raise UsageError(f"{STAGE}: no pattern is called '{pattern}'; {known}.")
    if pattern == "cycle":
        return queries
    if pattern == "disjoint":
        return RELEVANT * queries
    most = max(queries, 1) + RELEVANT
    return next(n for n in range(RELEVANT, most) if comb(n, RELEVANT) >= queries)


def _require(pattern: str, queries: int, documents: int, items: int, needed: int) -> None:
    most = len(FIRST[0]) * len(FIRST[1]) * len(LAST[0]) * len(LAST[1])
    if documents < needed or documents > most:
        raise UsageError(
            f"{STAGE}: {queries} {pattern} queries need {needed:,} documents, and there are names "
            f"for {most:,}; found documents = {documents:,}."
        )
    if queries < 3 or items < 1 or queries + items > len(ITEMS):
        raise UsageError(
            f"{STAGE} needs at least 3 queries and 1 item, together at most {len(ITEMS):,}, since "
            f"no filler may be asked for; found queries = {queries:,} and items = {items:,}."
        )


def _draw(pattern: str, queries: int, documents: int, seed: int) -> Liked:
    rng = np.random.default_rng([seed, 1])
    numbers = np.arange(queries)
    if pattern == "cycle":
        rows = np.stack([numbers, (numbers + 1) % queries], axis=1)
    elif pattern == "disjoint":
        rows = np.stack([RELEVANT * numbers, RELEVANT * numbers + 1], axis=1)
    elif pattern == "random":
        rows = _pairs(rng.choice(comb(documents, RELEVANT), queries, replace=False))
    else:
        rows = np.stack(np.triu_indices(_needed(pattern, queries), k=1), axis=1)[:queries]
    order = rng.permutation(len(ITEMS))
    return Liked(rows, order[:queries], order[queries:])


def _pairs(codes: np.ndarray) -> np.ndarray:
    """The numbered pairs (low, high): 0 is (0, 1), 1 is (0, 2), 2 is (1, 2), 3 is (0, 3)."""
    high = ((1 + np.sqrt(1 + 8 * codes)) // 2).astype(np.int64)
    return np.stack([codes - high * (high - 1) // 2, high], axis=1)


def _names(documents: int, seed: int) -> list[str]:
    """Different names in any order, so that no order of ids favours the relevant."""
    first = [start + end for start in FIRST[0] for end in FIRST[1]]
    last = [start + end for start in LAST[0] for end in LAST[1]]
    order = np.random.default_rng([seed, 2]).permutation(len(first) * len(last))[:documents]
    return [f"{first[i // len(last)]} {last[i % len(last)]}" for i in order]


def _documents(liked: Liked, names: list[str], items: int, seed: int) -> Iterator[pa.Table]:
    rng = np.random.default_rng([seed, 3])
    own: list[list[int]] = [[] for _ in names]
    for item, rows in zip(liked.items.tolist(), liked.rows.tolist(), strict=True):
        for row in rows:
            own[row].append(item)
    for start in range(0, len(names), BATCH_ROWS):
        some = names[start : start + BATCH_ROWS]
        texts = []
        for name, mine in zip(some, own[start : start + BATCH_ROWS], strict=True):
            more = rng.choice(liked.rest, items - len(mine), replace=False)
            named = [ITEMS[i] for i in rng.permutation([*mine, *more.tolist()])]
            texts.append(f"{name} likes {_listed(named)}.")
        yield CORPUS.table({"doc_id": some, "title": [""] * len(some), "text": texts})


def _listed(words: list[str]) -> str:
    """Words as people list them.

    >>> _listed(["Ants", "Bats", "Cats"])
    'Ants, Bats and Cats'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
