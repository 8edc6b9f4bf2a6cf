"""Retrieval measures per query, computed by ir-measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annatto.core.errors import InputError
from annatto.core.tables import TEXT

MEASURES = ("nDCG@10", "R@100", "RR@10")
"""nDCG@10, Recall@100 and MRR@10 under ir-measures' names; higher is better, all in [0, 1]."""
DEPTH = 100
SCORES = pa.schema(
    [("system", TEXT), ("query_id", TEXT), ("measure", TEXT), ("value", pa.float64())]
)
QUERIES_AT_ONCE = 1024


def per_query(run: pa.Table, positives: pa.Table, query_ids: pa.Array, *, system: str) -> pa.Table:
    """Measure one run, one value per query and measure.

    A query of which the run holds nothing scores 0; it is not left out. nDCG uses the grade as
    gain and log2 discounts (trec_eval's `ndcg_cut`), the others count every grade above 0.

    ir-measures hands nDCG and recall to trec_eval's code, which puts equal scores in descending
    order of doc_id, and RR@10 to MS MARCO's, which puts them in ascending order. So ranks are made
    here, once, in trec_eval's order, and given instead of scores: all three see the same ranking.

    Args:
        run: CANDIDATES of one source, with scores, float32.
        positives: JUDGMENTS with whole grades above 0.
        query_ids: the q queries to measure, in the order of the result.
        system: what the rows are called.

    Returns:
        SCORES, q rows for each measure in turn.

    Raises:
        InputError: a grade is not a whole number, so that nDCG's gains cannot be trec_eval's.
    """
    check_whole(positives)
    values = np.zeros((len(MEASURES), len(query_ids)))
    for start in range(0, len(query_ids), QUERIES_AT_ONCE):
        some = query_ids.slice(start, QUERIES_AT_ONCE)
        places = {query_id: start + i for i, query_id in enumerate(some.to_pylist())}
        for metric in _metrics(_of(positives, some), _of(run, some)):
            if metric.query_id in places:
                values[MEASURES.index(str(metric.measure)), places[metric.query_id]] = metric.value
    return pa.table(
        {
            "system": pa.repeat(pa.scalar(system, TEXT), values.size),
            "query_id": pa.concat_arrays([query_ids.cast(TEXT)] * len(MEASURES)),
            "measure": pa.array(np.repeat(np.array(MEASURES), len(query_ids)).tolist(), TEXT),
            "value": values.ravel(),
        },
        schema=SCORES,
    )


def ranking(run: pa.Table) -> pa.Table:
    """The rows of `run` by query_id, then best first: score descending, ties by doc_id descending.

    doc_ids are compared by their UTF-8 bytes, scores as float32, as trec_eval does.
    """
    order = [("query_id", "ascending"), ("score", "descending"), ("doc_id", "descending")]
    return run.take(pc.sort_indices(run, sort_keys=order))


def _metrics(positives: pa.Table, run: pa.Table) -> Iterator[Any]:
    import ir_measures

    grades: dict[str, dict[str, int]] = {}
    for row in positives.select(["query_id", "doc_id", "grade"]).to_pylist():
        grades.setdefault(row["query_id"], {})[row["doc_id"]] = int(row["grade"])
    places: dict[str, dict[str, float]] = {}
    for row in ranking(run).select(["query_id", "doc_id"]).to_pylist():
        ranked = places.setdefault(row["query_id"], {})
        ranked[row["doc_id"]] = -float(len(ranked))
    measures = [ir_measures.parse_measure(name) for name in MEASURES]
    yield from ir_measures.iter_calc(measures, grades, places)


def _of(table: pa.Table, query_ids: pa.Array) -> pa.Table:
    return table.filter(pc.is_in(table["query_id"], value_set=query_ids))


def check_whole(positives: pa.Table) -> None:
    """Refuse JUDGMENTS with a grade that is not a whole number, as trec_eval does.

    Raises:
        InputError: it names the first.
    """
    broken = positives.filter(pc.not_equal(positives["grade"], pc.floor(positives["grade"])))
    if broken.num_rows:
        first = broken.slice(0, 1).to_pylist()[0]
        raise InputError(
            f"nDCG needs whole grades; {broken.num_rows} of {positives.num_rows} judgments have "
            f"others (first: {first['grade']:.3g} for query '{first['query_id']}', document "
            f"'{first['doc_id']}'); round them, or leave them out."
        )
