"""Our measures against trec_eval itself (pytrec-eval-terrier 0.5.11) on random runs.

Scores are drawn from few values, so that most documents tie; some judged documents are missing from
the run, some documents of the run are not judged or judged 0, some queries have no results at all.
Tolerance 1e-9: trec_eval adds the terms of nDCG in another order. MRR@10 is its recip_rank, 0
beyond rank 10. `benchmarks/check_statistics.py` asks the same of 1,000 runs.
"""

import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval

from annatto.core.tables import CANDIDATES, JUDGMENTS, TEXT
from annatto.evaluate.measures import MEASURES, per_query

NAMES = np.array([f"d{i}" for i in range(200)] + ["é", "10", "9", "D1"])


def random_run(rng, number):
    """Scores and grades of 3 queries: {query: {document: score}}, {query: {document: grade}}."""
    scores, grades = {}, {}
    for i in range(3):
        query = f"run{number}-q{i}"
        found = rng.choice(NAMES, rng.integers(1, 151), replace=False)
        levels = np.float32(rng.choice([0.1, 0.25, 0.3, -1, 7.5], len(found)))
        exact = np.float32(rng.random(len(found)))
        drawn = np.where(rng.random() < 0.7, levels, exact)
        scores[query] = dict(zip(found.tolist(), drawn.tolist(), strict=True))
        judged = rng.choice(NAMES, rng.integers(1, 30), replace=False)
        given = rng.integers(0, 4, len(judged))
        given[0] = max(1, given[0])
        grades[query] = dict(zip(judged.tolist(), given.tolist(), strict=True))
    if rng.random() < 0.3:
        del scores[f"run{number}-q0"]
    return scores, grades


def random_runs(count, seed):
    """As `random_run`, the queries of `count` runs together."""
    rng = np.random.default_rng(seed)
    scores, grades = {}, {}
    for number in range(count):
        some, judged = random_run(rng, number)
        scores |= some
        grades |= judged
    return scores, grades


def trec_eval(scores, grades):
    """(3, q) values of MEASURES as trec_eval has them; a query without results is 0."""
    asked = {"ndcg_cut.10", "recall.100", "recip_rank"}
    told = pytrec_eval.RelevanceEvaluator(grades, asked).evaluate(scores)
    nothing = {"ndcg_cut_10": 0.0, "recall_100": 0.0, "recip_rank": 0.0}
    rows = [told.get(query, nothing) for query in grades]
    reciprocal = [row["recip_rank"] if row["recip_rank"] >= 0.1 else 0.0 for row in rows]
    found = {
        "nDCG@10": [row["ndcg_cut_10"] for row in rows],
        "R@100": [row["recall_100"] for row in rows],
        "RR@10": reciprocal,
    }
    return np.array([found[name] for name in MEASURES])


def ours(scores, grades):
    """(3, q) values of MEASURES by `per_query`."""
    run = [(q, d, "s", score) for q, of in scores.items() for d, score in of.items()]
    judged = [(q, d, g, "gold") for q, of in grades.items() for d, g in of.items() if g > 0]
    columns = ("query_id", "doc_id", "source", "score")
    names = ("query_id", "doc_id", "grade", "origin")
    table = per_query(
        CANDIDATES.table(dict(zip(columns, zip(*run, strict=True), strict=True))),
        JUDGMENTS.table(dict(zip(names, zip(*judged, strict=True), strict=True))),
        pa.array(list(grades), TEXT),
        system="s",
    )
    return table["value"].to_numpy().reshape(len(MEASURES), -1)


def largest_difference(count, *, seed):
    """Of any measure of any query of `count` random runs."""
    scores, grades = random_runs(count, seed)
    theirs = trec_eval(scores, grades)
    assert theirs.any(axis=1).all()
    return float(np.abs(theirs - ours(scores, grades)).max())


@pytest.mark.parametrize("seed", range(3))
def test_random_runs_with_ties_and_missing_documents_are_measured_as_trec_eval_does(seed):
    assert largest_difference(30, seed=seed) < 1e-9


def test_the_random_runs_hold_ties_missing_documents_and_missing_queries():
    scores, grades = random_runs(30, 0)
    assert any(query not in scores for query in grades)
    assert any(len(set(of.values())) < len(of) for of in scores.values())
    assert any(document not in scores.get(q, {}) for q, of in grades.items() for document in of)
    assert any(grade == 0 for of in grades.values() for grade in of.values())
