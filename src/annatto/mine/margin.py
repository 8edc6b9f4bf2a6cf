"""Hard negatives that score clearly below the positive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import SchemaError, UsageError
from annatto.core.tables import DECISIONS, JUDGMENTS, concat
from annatto.core.types import Collection
from annatto.mine.draw import random_documents
from annatto.mine.split import (
    Split,
    is_among,
    numbers_of,
    open_split,
    place_in_query,
    positive_pairs,
    require_positives,
    source_rows,
    with_card,
)

STAGE = "mine.margin.relative"
SPARE = 8
"""Random documents drawn beyond those needed, in case some are twins of a positive."""

KEPT, CLOSE, TWIN, BEYOND, JUDGED, FILL = range(6)
REASONS = [
    "kept: among the k hardest below the ceiling",
    "too close to the positive",
    "twin of a positive",
    "beyond the k hardest",
    "already judged",
    "random fill",
]
AFTER = ["negative", "rejected", "rejected", "unused", "unused", "negative"]


@dataclass(frozen=True)
class _Candidates:
    """What the source said of one split, ordered by query, then score and doc_id descending.

    Attributes:
        pairs: (n,) int64.
        scores: (n,) float64.
        positives: (p,) int64 ascending.
        judged: (j,) int64 ascending; the positives are among them.
    """

    pairs: np.ndarray
    scores: np.ndarray
    positives: np.ndarray
    judged: np.ndarray


def require(*, rho: float, k: int) -> None:
    """Refuse settings that make no sense, before anything is computed."""
    if not 0 < rho <= 1:
        raise UsageError(f"{STAGE} needs rho above 0 and at most 1; found {rho}; try 0.95.")
    if k < 1:
        raise UsageError(f"{STAGE} needs k of at least 1; found {k}; raise it (--negatives).")


def relative(
    collection: Collection,
    *,
    source: str,
    k: int = 7,
    rho: float = 0.95,
    split: str = "train",
    seed: int = 0,
    fill: bool = True,
) -> Collection:
    """Keep, for each query, the k best candidates that score clearly below its positives.

    A candidate n of query q stays if s(q, n) <= s+ - (1 - rho) * |s+|, where s+ is the score of
    the weakest positive; anything above that may well be a positive nobody judged. What stays
    becomes a JUDGMENT of grade 0 and origin `mined:relative(rho=RHO)`; every candidate gets a
    DECISION. Judgments that are there already are never changed.

    Paper: LG-ANNA, LG-ANNA-Embedding technical report, 2025, arXiv:2506.07438; its rule, 95 % of
        the positive's score, after NV-Retriever's TopK-PercPos, as read second-hand in reviews of
        its extended version (which print the inequality the wrong way round).
    Differs: our choices, which the paper does not state: the form above, equal to
        s(q, n) <= rho * s+ for positive scores and right for negative ones; k = 7; the weakest of
        several positives; texts equal to a positive (ignoring case and white space) are skipped;
        short lists are filled with random documents (origin `mined:random`), never with rejected
        ones; ties are broken by doc_id.

    Args:
        collection: with candidates of `source` for every positive of the split.
        source: whose scores to read, such as `teacher:NAME`; higher = more relevant.
        k: negatives per query.
        rho: share of the weakest positive's score that a negative may reach; (0, 1].
        split: whose queries.
        seed: of the random documents; a query draws the same whatever the others are.
        fill: fill short lists with random documents.

    Raises:
        SchemaError: the source or the split is absent, or a positive has no score of `source`.
        UsageError: rho or k out of range.
    """
    require(rho=rho, k=k)
    asked = open_split(collection, split, STAGE)
    found = _candidates(collection, asked, source)
    ceilings = _ceilings(asked, found, source, rho)
    verdicts = _verdicts(collection, asked, found, ceilings, k)
    kept = found.pairs[verdicts == KEPT]
    missing = k - np.bincount(asked.rows(kept)[0], minlength=asked.queries.num_rows)
    filled = _fill(collection, asked, found, missing, seed) if fill else kept[:0]
    mined = concat(
        [
            collection.judgments,
            _judgments(asked, kept, f"mined:relative(rho={rho:g})"),
            _judgments(asked, filled, "mined:random"),
        ]
    )
    decisions = _decisions(asked, found, ceilings, verdicts, filled)
    notes = {"split": split, "source": source, **_counts(verdicts, filled, missing)}
    judged = collection.with_judgments(mined, STAGE)
    settings = {"source": source, "k": k, "rho": rho, "split": split, "seed": seed, "fill": fill}
    decided = _decided(judged, asked, decisions)
    return with_card(decided, STAGE, settings=settings, sources={}, notes=notes)


def _candidates(collection: Collection, asked: Split, source: str) -> _Candidates:
    positives = positive_pairs(collection, asked, STAGE)
    require_positives(asked, positives, STAGE)
    rows = source_rows(collection, asked, source, STAGE)
    pairs, scores = asked.pairs(rows, STAGE), numbers_of(rows, "score", STAGE)
    order = asked.order(pairs, scores)
    judged = np.unique(asked.pairs(asked.own(collection.judgments), STAGE))
    return _Candidates(pairs[order], scores[order], positives, judged)


def _ceilings(asked: Split, found: _Candidates, source: str, rho: float) -> np.ndarray:
    """(q,) float64: the highest score a negative of each query may have."""
    lost = found.positives[~is_among(found.positives, np.sort(found.pairs))]
    if lost.size:
        query_id, doc_id = asked.ids(lost[0])
        raise SchemaError(
            f"{STAGE} needs a score of '{source}' for every positive; {lost.size} of "
            f"{len(found.positives)} lack one (first: query '{query_id}', document '{doc_id}'); "
            "let mine.teach (annatto mine) score them all first."
        )
    known = is_among(found.pairs, found.positives)
    weakest = np.full(asked.queries.num_rows, np.inf)
    np.minimum.at(weakest, asked.rows(found.pairs[known])[0], found.scores[known])
    return np.asarray(weakest - (1 - rho) * np.abs(weakest))


def _verdicts(
    collection: Collection, asked: Split, found: _Candidates, ceilings: np.ndarray, k: int
) -> np.ndarray:
    """(n,) one of KEPT, CLOSE, TWIN, BEYOND, JUDGED per candidate."""
    queries = asked.rows(found.pairs)[0]
    verdicts = np.full(len(found.pairs), KEPT)
    verdicts[found.scores > ceilings[queries]] = CLOSE
    verdicts[_is_twin(collection, asked, found.pairs, found.positives)] = TWIN
    verdicts[is_among(found.pairs, found.judged)] = JUDGED
    kept = np.flatnonzero(verdicts == KEPT)
    verdicts[kept[place_in_query(queries[kept]) >= k]] = BEYOND
    return verdicts


def _is_twin(
    collection: Collection, asked: Split, pairs: np.ndarray, positives: np.ndarray
) -> np.ndarray:
    """(n,) bool: which documents read like a positive of the same query."""
    docs = np.union1d(asked.rows(pairs)[1], asked.rows(positives)[1])
    hashes = np.fromiter(_text_hashes(collection, docs), np.int64, len(docs))
    kinds, kind = np.unique(hashes, return_inverse=True)

    def same_text(of: np.ndarray) -> np.ndarray:
        query_rows, doc_rows = asked.rows(of)
        return np.asarray(query_rows * len(kinds) + kind[np.searchsorted(docs, doc_rows)])

    return is_among(same_text(pairs), np.unique(same_text(positives)))


def _text_hashes(collection: Collection, rows: np.ndarray) -> Iterator[int]:
    """63 bits of each document's text, without case and with single spaces."""
    for texts in collection.document_texts(rows):
        for text in texts:
            plain = " ".join(text.casefold().split())
            digest = hashlib.blake2b(plain.encode(), digest_size=8).digest()
            yield int.from_bytes(digest, "little") >> 1


def _fill(
    collection: Collection, asked: Split, found: _Candidates, missing: np.ndarray, seed: int
) -> np.ndarray:
    """(f,) int64 random pairs, query by query, that are neither candidates nor judged."""
    if not (missing > 0).any():
        return np.empty(0, np.int64)
    documents = len(asked.doc_ids)
    known = np.union1d(found.pairs, found.judged)
    bounds = np.searchsorted(known, np.arange(len(missing) + 1) * documents)
    drawn = [np.empty(0, np.int64)]
    for query in np.flatnonzero(missing > 0).tolist():
        avoid = known[bounds[query] : bounds[query + 1]] % documents
        query_id = asked.query_ids[query].as_py()
        docs = random_documents(query_id, documents, avoid, int(missing[query]) + SPARE, seed)
        drawn.append(query * documents + docs)
    pairs = np.concatenate(drawn)
    pairs = pairs[~_is_twin(collection, asked, pairs, found.positives)]
    queries = asked.rows(pairs)[0]
    return np.asarray(pairs[place_in_query(queries) < missing[queries]])


def _judgments(asked: Split, pairs: np.ndarray, origin: str) -> pa.Table:
    queries, docs = asked.rows(pairs)
    return JUDGMENTS.table(
        {
            "query_id": asked.query_ids.take(pa.array(queries)),
            "doc_id": asked.doc_ids.take(pa.array(docs)),
            "grade": np.zeros(len(pairs), np.float32),
            "origin": pa.repeat(pa.scalar(origin, pa.large_string()), len(pairs)),
        }
    )


def _decisions(
    asked: Split,
    found: _Candidates,
    ceilings: np.ndarray,
    verdicts: np.ndarray,
    filled: np.ndarray,
) -> pa.Table:
    """DECISIONS: one per candidate, then one per random document."""
    pairs = np.concatenate([found.pairs, filled])
    verdicts = np.concatenate([verdicts, np.full(len(filled), FILL)])
    queries, docs = asked.rows(pairs)
    tops = [f", ceiling {ceiling:.4g}" for ceiling in ceilings.tolist()]
    scored = zip(found.scores.tolist(), queries[: len(found.pairs)].tolist(), strict=True)
    evidence = [f"score {score:.4g}{tops[query]}" for score, query in scored]
    before = ["candidate"] * len(found.pairs) + [None] * len(filled)
    return DECISIONS.table(
        {
            "query_id": asked.query_ids.take(pa.array(queries)),
            "doc_id": asked.doc_ids.take(pa.array(docs)),
            "stage": pa.repeat(pa.scalar(STAGE, pa.large_string()), len(pairs)),
            "reason": np.array(REASONS, object)[verdicts],
            "before": before,
            "after": np.array(AFTER, object)[verdicts],
            "evidence": evidence + [None] * len(filled),
        }
    )


def _decided(collection: Collection, asked: Split, rows: pa.Table) -> Collection:
    """Add decisions; the newer word on a pair holds, but never hides why a label was made."""
    ours = pc.equal(collection.decisions["stage"], STAGE)
    known = pc.is_in(collection.decisions["query_id"], value_set=asked.query_ids)
    earlier = collection.decisions.filter(pc.and_(ours, known))
    if not earlier.num_rows:
        return collection.with_decisions(rows, STAGE)
    others = collection.decisions.filter(pc.invert(pc.and_(ours, known)))
    before, now = asked.pairs(earlier, STAGE), asked.pairs(rows, STAGE)
    judged = pc.equal(rows["reason"], REASONS[JUDGED]).to_numpy()
    now_holds = ~(judged & is_among(now, np.unique(before)))
    before_holds = ~is_among(before, np.unique(now[now_holds]))
    kept = concat([others, earlier.filter(pa.array(before_holds))])
    return replace(collection, decisions=kept).with_decisions(
        rows.filter(pa.array(now_holds)), STAGE
    )


def _counts(verdicts: np.ndarray, filled: np.ndarray, missing: np.ndarray) -> dict[str, int]:
    counts = np.bincount(verdicts, minlength=FILL + 1).tolist()
    return {
        "kept": counts[KEPT],
        "too close": counts[CLOSE],
        "twins": counts[TWIN],
        "beyond k": counts[BEYOND],
        "already judged": counts[JUDGED],
        "random fill": len(filled),
        "still missing": int(np.maximum(missing, 0).sum()) - len(filled),
    }
