import itertools

import numpy as np
import pytest

from annatto.core.errors import UsageError
from annatto.core.identity import identity
from annatto.core.types import Prompt
from annatto.index.flat import FlatIndex
from annatto.models.ensemble import Ensemble
from annatto.testing import TinyEncoder, check_encoder, tiny_collection, tiny_encoder

TEXTS = [text for texts in tiny_collection().document_texts() for text in texts]
ASKED = tiny_collection().queries["text"].to_pylist()


class Letters(TinyEncoder):
    """Another encoder: pairs of letters, cut to 40 dimensions."""

    name = "letters"
    dim = 40
    weights_id = "letters-1"

    def encode(self, texts, *, prompt="document"):
        pairs = [" ".join(a + b for a, b in itertools.pairwise(text)) for text in texts]
        vectors = super().encode(pairs, prompt=prompt)[:, :40]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.7, 0.3), (5.0, 0.01), (0.0, 1.0)])
def test_one_joined_vector_ranks_as_the_weighted_sum_of_cosines(weights):
    encoders = [tiny_encoder(), Letters()]
    both = Ensemble(encoders, weights)
    summed = sum(
        weight
        * encoder.encode(ASKED, prompt="query").astype(np.float64)
        @ encoder.encode(TEXTS).T.astype(np.float64)
        for encoder, weight in zip(encoders, weights, strict=True)
    )
    index = FlatIndex(both.dim)
    index.add(both.encode(TEXTS))
    found = index.search(both.encode(ASKED, prompt="query"), len(TEXTS))
    scale = np.sqrt(2) * np.linalg.norm(weights)
    wanted = np.take_along_axis(summed, found.rows, axis=1) / scale
    assert np.abs(found.scores - wanted).max() < 1e-6
    assert (np.diff(wanted, axis=1) <= 1e-6).all()  # the order of the sums, but for rounding
    assert (found.rows[:, 0] == summed.argmax(axis=1)).all()


def test_an_ensemble_keeps_the_contract_of_an_encoder():
    check_encoder(Ensemble([tiny_encoder(), Letters()], [2, 1]))


def test_weights_may_change_without_encoding_a_document_again():
    one = Ensemble([tiny_encoder(), Letters()], [2, 1])
    other = Ensemble([tiny_encoder(), Letters()], [1, 9])
    assert identity(one) == identity(other)
    assert np.array_equal(one.encode(TEXTS), other.encode(TEXTS))
    assert identity(one) != identity(Ensemble([Letters(), tiny_encoder()], [2, 1]))
    prompted = tiny_encoder()
    prompted.prompts = {"document": Prompt("{instruction}{text}", "Find: ")}
    assert identity(one) != identity(Ensemble([prompted, Letters()], [2, 1]))


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, np.inf], []])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(UsageError, match="a weight of at least 0 for each"):
        Ensemble([tiny_encoder(), Letters()], weights)
