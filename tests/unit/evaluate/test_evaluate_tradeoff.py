import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import UsageError
from annatto.core.tables import CORPUS, QUERIES, TEXT
from annatto.core.types import Collection
from annatto.evaluate.tradeoff import Point, choose, curve
from annatto.testing import tiny_collection, tiny_encoder


class Mixed:
    """A fake mixture: knows the words of the domain from alpha, and those of the suite without."""

    dim = 64
    name = "mixed"

    def __init__(self, alpha):
        self.alpha = alpha

    def encode(self, texts, *, prompt="document"):
        return tiny_encoder().encode([self.read(text) for text in texts], prompt=prompt)

    def read(self, text):
        number = next((int(w[4:]) for w in text.split() if w[:4] in ("rare", "kept")), 0)
        known = (number % 10) / 10 + 0.05
        knows = known < 0.1 + self.alpha if "rare" in text else known < 1.05 - self.alpha
        return text if knows else "nothing"


def suite():
    """The tiny collection with other words, as a keep-suite of one task."""
    made = tiny_collection()
    table = made.corpus.to_table()
    texts = pc.replace_substring(table["text"], "rare", "kept")
    ids = pc.binary_join_element_wise(pa.scalar("t", TEXT), table["doc_id"], pa.scalar("/", TEXT))
    corpus = CORPUS.table({"doc_id": ids, "title": [""] * len(ids), "text": texts})
    asked = QUERIES.table(
        {
            "query_id": made.queries["query_id"],
            "text": pc.replace_substring(made.queries["text"], "rare", "kept"),
            "task": ["t"] * made.queries.num_rows,
            "split": made.queries["split"],
        }
    )
    kind = pa.array(["retrieval"] * asked.num_rows, pa.large_string())
    at = made.judgments.column_names.index("doc_id")
    ids = pc.binary_join_element_wise(
        pa.scalar("t", TEXT), made.judgments["doc_id"], pa.scalar("/", TEXT)
    )
    judgments = made.judgments.set_column(at, "doc_id", ids)
    return Collection(ds.dataset(corpus), asked.append_column("kind", kind), judgments)


@pytest.fixture(scope="module")
def points():
    return curve(tiny_collection(), suite(), Mixed, alphas=(0.3, 0.6))


def test_the_curve_runs_from_before_to_after_whatever_alphas_were_asked_for(points):
    assert [one.alpha for one in points] == [0.0, 0.3, 0.6, 1.0]
    assert (points[0].gain_kept, points[-1].gain_kept) == (0.0, 1.0)
    assert (points[0].loss_back, points[-1].loss_back) == (1.0, 0.0)


def test_gain_kept_and_loss_back_are_shares_of_the_two_ends(points):
    low, middle, high = points[0], points[2], points[-1]
    share = (middle.gained - low.gained) / (high.gained - low.gained)
    assert low.gained > 0
    assert 0 < share < 1
    assert middle.gain_kept == pytest.approx(share)
    task = "t: nDCG@10"
    back = (middle.tasks[task] - high.tasks[task]) / (low.tasks[task] - high.tasks[task])
    assert 0 < back < 1
    assert middle.loss_back == pytest.approx(back)


def test_an_alpha_outside_of_0_to_1_is_refused():
    with pytest.raises(UsageError, match="from 0 to 1"):
        curve(tiny_collection(), suite(), Mixed, alphas=(1.5,))


def point(alpha, kept, back):
    return Point(alpha, 0.5, {}, kept, back)


def test_the_most_is_won_back_among_those_that_keep_enough():
    way = [point(0.0, 0, 1), point(0.4, 0.7, 0.9), point(0.6, 0.85, 0.6), point(1.0, 1, 0)]
    assert choose(way).alpha == 0.6
    assert choose(way, keep_gain=0.5).alpha == 0.4
    assert choose(way, keep_gain=0.9).alpha == 1.0


def test_where_nothing_fell_the_trained_model_is_chosen():
    way = [point(0.0, 0, np.nan), point(0.9, 0.99, np.nan), point(1.0, 1, np.nan)]
    assert choose(way).alpha == 1.0


def test_without_a_gain_there_is_nothing_to_choose():
    way = [point(0.0, np.nan, 1), point(1.0, np.nan, 0)]
    with pytest.raises(UsageError, match="nothing was gained"):
        choose(way)
