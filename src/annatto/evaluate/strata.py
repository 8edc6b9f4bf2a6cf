"""Which kinds of queries a system is good at: results by what queries and their positives are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from annatto.core.tables import TEXT, rows_of
from annatto.core.types import BATCH_ROWS, Collection
from annatto.core.words import words
from annatto.evaluate.evaluation import Evaluation
from annatto.ops.significance import paired_bootstrap

FEATURES = pa.schema(
    [
        ("query_id", TEXT),
        ("query words", pa.float64()),
        ("positives", pa.float64()),
        ("lexical overlap", pa.float64()),
        ("document words", pa.float64()),
    ]
)
"""Of each query: its words; its positives; the largest share of its distinct words that one of its
positives holds, 0 to 1; the words of its positives, their mean."""
THIRDS = (1 / 3, 2 / 3)
FEWEST = 10


@dataclass(frozen=True)
class Stratum:
    """Queries that are alike in one feature.

    Attributes:
        feature: column of FEATURES.
        low: smallest value among them.
        high: largest value among them.
        rows: (n,) int64, which of the evaluation's queries they are; at least one.
    """

    feature: str
    low: float
    high: float
    rows: np.ndarray

    @property
    def label(self) -> str:
        """The range of values, such as `3–7`."""
        low, high = (f"{one:.3g}" for one in (self.low, self.high))
        return low if low == high else f"{low}–{high}"


@dataclass(frozen=True)
class Result:
    """What systems reach on the queries of one stratum.

    Attributes:
        feature: column of FEATURES.
        label: the range of values.
        queries: how many.
        means: system to mean of the measure; higher is better.
        differences: `AFTER − BEFORE` to the difference of means with the low and high end of its
            95 % interval, each for itself; the ends are None below 10 queries.
    """

    feature: str
    label: str
    queries: int
    means: dict[str, float]
    differences: dict[str, tuple[float, float | None, float | None]]


def features(collection: Collection, queries: pa.Table, positives: pa.Table) -> pa.Table:
    """FEATURES of the queries, in their order; each positive's text is read once.

    Args:
        collection: holds the positives' documents.
        queries: QUERIES with at least one positive each.
        positives: JUDGMENTS with grades above 0, of documents in the corpus.
    """
    asked = [words(text) for text in queries["text"].to_pylist()]
    wanted = [frozenset(of) for of in asked]
    lengths, overlaps = np.zeros(len(asked)), np.zeros(len(asked))
    counts = np.zeros(len(asked), np.int64)
    for query, document in _pairs(collection, queries, positives):
        counts[query] += 1
        lengths[query] += len(document)
        shared = len(wanted[query].intersection(document)) / max(1, len(wanted[query]))
        overlaps[query] = max(overlaps[query], shared)
    columns = [
        queries["query_id"],
        [float(len(of)) for of in asked],
        counts.astype(np.float64),
        overlaps,
        lengths / np.maximum(counts, 1),
    ]
    return pa.table(dict(zip(FEATURES.names, columns, strict=True))).cast(FEATURES)


def strata(evaluation: Evaluation) -> list[Stratum]:
    """The queries by thirds of each feature; equal values stay together, so there may be fewer."""
    found = []
    for feature in FEATURES.names[1:]:
        if not evaluation.features.num_rows:
            break
        values = evaluation.features[feature].to_numpy()
        edges = np.unique(np.quantile(values, THIRDS, method="lower"))
        places = np.searchsorted(edges, values)
        for place in np.unique(places):
            rows = np.flatnonzero(places == place)
            found.append(
                Stratum(feature, float(values[rows].min()), float(values[rows].max()), rows)
            )
    return found


def by_stratum(
    evaluation: Evaluation,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    measure: str = "nDCG@10",
    samples: int = 2000,
    seed: int = 0,
) -> list[Result]:
    """What every system reaches in every stratum, and how pairs differ there.

    Args:
        evaluation: with `features`; without, the result is empty.
        pairs: (after, before) names of systems.
        measure: which; higher is better.
        samples: of each bootstrap.
        seed: of the draws.

    Raises:
        UsageError: the evaluation has no such system or measure; the nearest one is named.
    """
    values = {name: evaluation.values(name, measure) for name in evaluation.systems}
    for name in [name for pair in pairs for name in pair]:
        evaluation.values(name, measure)
    found = []
    for one in strata(evaluation):
        differences = {
            f"{after} − {before}": _difference(
                values[after][one.rows], values[before][one.rows], samples, seed
            )
            for after, before in pairs
        }
        means = {name: float(of[one.rows].mean()) for name, of in values.items()}
        found.append(Result(one.feature, one.label, len(one.rows), means, differences))
    return found


def _difference(
    after: np.ndarray, before: np.ndarray, samples: int, seed: int
) -> tuple[float, float | None, float | None]:
    if len(after) < FEWEST:
        return float((after - before).mean()), None, None
    return paired_bootstrap(after, before, samples=samples, seed=seed)[:3]


def _pairs(
    collection: Collection, queries: pa.Table, positives: pa.Table
) -> Iterator[tuple[int, list[str]]]:
    """Row of a query and the words of one of its positives, for every positive."""
    asked: dict[int, list[int]] = defaultdict(list)
    owners = rows_of(positives["query_id"], queries["query_id"].combine_chunks())
    documents = rows_of(positives["doc_id"], collection.doc_ids)
    for owner, document in zip(owners.tolist(), documents.tolist(), strict=True):
        asked[document].append(owner)
    rows = np.array(sorted(asked), np.int64)
    for number, texts in enumerate(collection.document_texts(rows)):
        for place, text in enumerate(texts, number * BATCH_ROWS):
            found = words(text)
            for owner in asked[int(rows[place])]:
                yield owner, found
