import numpy as np
import pytest
from scipy import stats

from annatto.core.errors import InputError
from annatto.evaluate import health as module
from annatto.evaluate.health import alignment, anisotropy, health, hubness, uniformity
from annatto.index.retriever import Dense
from annatto.testing import tiny_collection, tiny_encoder

RNG = np.random.default_rng(5)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


VECTORS = unit(RNG.standard_normal((300, 16)) + 0.3)


def looked_at(vectors, **settings):
    return health([vectors], len(vectors), positives=np.array([0.5]), **settings)


def pairs(vectors):
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    return cosines[~np.eye(len(vectors), dtype=bool)]


def test_anisotropy_is_the_mean_cosine_of_all_pairs():
    total = VECTORS.sum(axis=0, dtype=np.float64)
    assert anisotropy(total, 300) == pytest.approx(pairs(VECTORS).mean(), abs=1e-6)


def test_uniformity_is_the_log_of_the_mean_of_a_gaussian_potential():
    expected = np.log(np.exp(-2 * (2 - 2 * pairs(VECTORS))).mean())
    assert uniformity(VECTORS) == pytest.approx(expected, abs=1e-5)
    assert uniformity(np.tile(VECTORS[:1], (5, 1))) == pytest.approx(0, abs=1e-5)


def test_vectors_in_a_narrow_cone_look_worse_than_spread_ones():
    spread, narrow = (looked_at(unit(RNG.standard_normal((200, 16)) + far)) for far in (0, 3))
    assert spread.anisotropy < 0.05 < 0.8 < narrow.anisotropy
    assert spread.uniformity < narrow.uniformity


def test_alignment_is_the_mean_squared_distance_of_pairs():
    one, two = VECTORS[:50], VECTORS[50:100]
    expected = ((one - two) ** 2).sum(axis=1).mean()
    assert alignment((one * two).sum(axis=1)) == pytest.approx(expected, abs=1e-5)


def test_hubness_is_the_skewness_of_how_often_a_vector_is_near_others():
    cosines = VECTORS @ VECTORS.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1)[:, :10]
    occurs = np.bincount(nearest.ravel(), minlength=300)
    assert hubness(VECTORS) == pytest.approx(stats.skew(occurs), abs=1e-9)


def test_a_vector_that_is_near_to_all_makes_a_hub():
    around = unit(RNG.standard_normal((400, 64)) + 1)
    centre = unit(around.mean(axis=0, keepdims=True) * np.ones((3, 1)))
    assert hubness(np.concatenate([around, centre])) > hubness(around) + 3


def test_all_vectors_occurring_equally_often_have_no_hubness():
    assert hubness(unit(np.eye(2))) == 0
    assert hubness(VECTORS[:5]) == 0


def test_documents_that_share_a_vector_are_counted_up_to_rounding():
    twice = np.concatenate([VECTORS, VECTORS[:3] + np.float32(1e-8), VECTORS[:1]])
    assert looked_at(VECTORS).duplicates == 0
    assert looked_at(twice).duplicates == 7


def test_lengths_that_are_not_1_are_shown_and_change_no_cosine():
    long = VECTORS.copy()
    long[7] *= 2
    found, plain = looked_at(long), looked_at(VECTORS)
    assert (found.norm_low, found.norm_high) == pytest.approx((1, 2), abs=1e-5)
    assert found.anisotropy == pytest.approx(plain.anisotropy, abs=1e-6)


def test_how_the_vectors_are_cut_changes_nothing(monkeypatch):
    whole = looked_at(VECTORS)
    monkeypatch.setattr(module, "BLOCK_ROWS", 70)
    parts = health([VECTORS[:111], VECTORS[111:]], 300, positives=np.array([0.5]))
    assert parts.duplicates == whole.duplicates
    for name in ("anisotropy", "uniformity", "hubness", "norm_low"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-6)


def test_a_large_corpus_is_sampled_by_seed(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 100)
    one, two, same = (looked_at(VECTORS, seed=seed) for seed in (0, 1, 0))
    assert (one.sample, one.documents) == (100, 300)
    assert one == same
    assert one.uniformity != two.uniformity
    assert one.anisotropy == two.anisotropy


@pytest.mark.parametrize("documents", [0, 1])
def test_vectors_without_a_pair_are_refused(documents):
    with pytest.raises(
        InputError, match=f"needs two documents and one positive; found {documents}"
    ):
        health([VECTORS[:documents]], documents, positives=np.array([1.0]))


def test_a_retriever_gives_the_vectors_it_searches():
    collection = tiny_collection()
    dense = Dense(tiny_encoder())
    dense.index(collection)
    expected = tiny_encoder().encode(
        [text for batch in collection.document_texts() for text in batch]
    )
    np.testing.assert_array_equal(np.concatenate(list(dense.vectors())), expected)
