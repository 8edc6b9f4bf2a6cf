import numpy as np
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.evaluate.clustering import bootstrap, cluster
from annatto.testing import tiny_encoder

pytest.importorskip("sklearn")


def blobs(n=300, spread=0.3):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    vectors = np.eye(8, dtype=np.float32)[labels] + spread * rng.normal(size=(n, 8))
    return vectors.astype(np.float32), [f"l{label}" for label in labels]


def test_vectors_that_lie_apart_are_found_again():
    vectors, labels = blobs()
    found = bootstrap(vectors, labels, draws=3, size=500)
    assert found.v_measure > 0.9
    assert found.mutual > 0.9
    assert len(found.draws) == 3
    assert (found.documents, found.labels) == (300, 3)


def test_shuffled_labels_give_chance():
    vectors, labels = blobs()
    wrong = np.random.default_rng(1).permutation(labels).tolist()
    found = bootstrap(vectors, wrong, draws=3, size=500)
    assert found.v_measure < 0.06
    assert abs(found.mutual) < 0.06


def test_the_same_seed_gives_the_same_draws():
    vectors, labels = blobs(spread=1.0)
    one, two, other = (bootstrap(vectors, labels, size=200, seed=s).draws for s in (0, 0, 1))
    assert one == two != other


def test_only_a_share_of_the_texts_is_encoded_and_those_without_label_are_left_out():
    class Counted:
        name, dim, seen = "counted", 64, 0

        def encode(self, texts, **_):
            self.seen += len(texts)
            return tiny_encoder().encode(texts)

    encoder = Counted()
    texts = ["river water", "piano music"] * 100
    labels = [text.split()[0] for text in texts]
    found = cluster(encoder, texts, labels, share=0.2, draws=2)
    assert encoder.seen == found.documents == 40
    assert found.v_measure == pytest.approx(1)
    cluster(encoder, texts, [None] * 100 + labels[100:], share=1.0, draws=1)
    assert encoder.seen == 140


def test_one_label_or_no_share_is_refused():
    with pytest.raises(InputError, match="found 1 among 2 texts"):
        bootstrap(np.ones((2, 2), np.float32), ["a", "a"])
    with pytest.raises(UsageError, match="found share = 0, 1 texts and 1 labels"):
        cluster(tiny_encoder(), ["a"], ["a"], share=0)
