import numpy as np
import pyarrow as pa
import pytest

from annatto.checks import check_encoder, check_index, check_retriever, check_scorer
from annatto.index.bm25 import BM25
from annatto.index.flat import FlatIndex
from annatto.testing import TinyEncoder, tiny_collection, tiny_encoder


def test_the_tiny_encoder_keeps_the_contract():
    check_encoder(tiny_encoder())


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def centred(vectors):
    return unit(vectors - vectors.mean(axis=0) + 0.1) if len(vectors) else vectors


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda v: v.astype(np.float64), "must give .* float32; gave"),
        (lambda v: v[:, :-1], "must give"),
        (lambda v: v * np.float32(2), "lengths of vectors moved"),
        (lambda v: v * np.float32(np.nan), "NaN"),
        (lambda v: unit(v + np.random.default_rng().random(v.shape)), "other vectors when asked"),
        (centred, "encoded alone moved"),
        (lambda v: v if len(v) else v[0], "for no texts"),
    ],
)
def test_check_encoder_finds_a_broken_encoder(spoil, complaint):
    class Broken(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            vectors = super().encode(texts, prompt=prompt)
            return spoil(vectors) if len(vectors) else spoil(np.zeros((1, 64), np.float32))[:0]

    class BrokenWhenEmpty(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            vectors = super().encode(texts, prompt=prompt)
            return vectors if len(vectors) else np.zeros(64, np.float32)

    encoder = BrokenWhenEmpty() if complaint == "for no texts" else Broken()
    with pytest.raises(AssertionError, match=complaint):
        check_encoder(encoder)


def test_check_encoder_finds_one_that_takes_any_prompt():
    class Careless(TinyEncoder):
        def encode(self, texts, *, prompt="document"):
            return super().encode(texts, prompt="query" if prompt == "query" else "document")

    with pytest.raises(AssertionError, match="UsageError for an unknown prompt"):
        check_encoder(Careless())


def test_check_index_finds_an_index_that_is_not_exact_or_forgets_to_pad():
    class Sloppy(FlatIndex):
        def search(self, vectors, k, *, tie_order=None):
            found = super().search(vectors, k, tie_order=tie_order)
            return found._replace(rows=found.rows[:, ::-1])

    class Unpadded(FlatIndex):
        def search(self, vectors, k, *, tie_order=None):
            found = super().search(vectors, k, tie_order=tie_order)
            return found._replace(scores=np.maximum(found.scores, -99))

    with pytest.raises(AssertionError, match="must find what comparing with every vector finds"):
        check_index(Sloppy)
    with pytest.raises(AssertionError, match="must pad with row -1 and score -inf"):
        check_index(Unpadded)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda run: run.drop_columns(["score"]), "200 of 200 rows have no score"),
        (lambda run: run.drop_columns(["doc_id"]), "must return CANDIDATES"),
        (lambda run: run.slice(0, 0), "found nothing"),
        (lambda run: replaced(run, "source", lambda _: "other"), "must name itself"),
        (lambda run: replaced(run, "doc_id", lambda value: value + "x"), "does not exist"),
        (lambda run: replaced(run, "rank", lambda value: value - 1), "ranks must be"),
        (lambda run: replaced(run, "score", lambda value: -value), "must be ordered by score"),
        (lambda run: replaced(run, "score", lambda value: value * 0 + 1), None),
    ],
)
def test_check_retriever_finds_a_broken_retriever(spoil, complaint):
    class Broken(BM25):
        def search(self, queries, k):
            return spoil(super().search(queries, k))

    with pytest.raises(AssertionError, match=complaint or "ties by doc_id descending"):
        check_retriever(Broken(), tiny_collection())


def test_check_retriever_finds_one_that_returns_more_than_asked():
    class Greedy(BM25):
        def search(self, queries, k):
            return super().search(queries, k + 1)

    with pytest.raises(AssertionError, match="6 results, but only 5 were asked for"):
        check_retriever(Greedy(), tiny_collection())


class Overlap:
    """A Scorer that counts common letters."""

    name = "overlap"

    def score(self, queries, docs):
        pairs = zip(queries, docs, strict=True)
        return np.array([len(set(q) & set(d)) for q, d in pairs], np.float32)


def test_check_scorer_passes_a_good_one_and_finds_broken_ones():
    class Wide(Overlap):
        def score(self, queries, docs):
            return super().score(queries, docs)[:, None]

    class Relative(Overlap):
        def score(self, queries, docs):
            scores = super().score(queries, docs)
            return scores - scores.mean() if len(scores) else scores

    check_scorer(Overlap())
    with pytest.raises(AssertionError, match=r"must give \(6,\) float32"):
        check_scorer(Wide())
    with pytest.raises(AssertionError, match="a pair scored alone moved"):
        check_scorer(Relative())


def replaced(run, name, change):
    column = pa.array([change(value) for value in run[name].to_pylist()], run[name].type)
    return run.set_column(run.column_names.index(name), name, column)
