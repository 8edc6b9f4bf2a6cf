"""The leaderboard of the English MMTEB benchmark, as its authors printed it.

From embeddings-benchmark/mteb at 75fb290, scripts/task_selection/mteb_lite_results.csv: 12 models
on 40 tasks, the means of six task types rounded to 3 places, and the Borda points. The scores of
the single tasks are not in it; see the last test for what that leaves open.
"""

import numpy as np
import pytest

from annatto.evaluate.leaderboard import Scores, standings
from annatto.ops.borda import borda, places, spearman

COUNTS = {
    "Clustering": 8,
    "STS": 9,
    "Classification": 8,
    "Reranking": 2,
    "Retrieval": 10,
    "PairClassification": 3,
}
# model: means by type in the order of COUNTS; mean, mean by type, Borda points
TABLE = {
    "e5-mistral-7b": ([0.514, 0.836, 0.752, 0.498, 0.548, 0.884], 0.670, 0.672, 393),
    "GritLM-7B": ([0.508, 0.825, 0.770, 0.496, 0.532, 0.873], 0.664, 0.667, 384),
    "mE5-large-instruct": ([0.499, 0.843, 0.732, 0.487, 0.510, 0.862], 0.652, 0.656, 357),
    "mE5-large": ([0.428, 0.806, 0.728, 0.447, 0.490, 0.847], 0.621, 0.624, 270),
    "mpnet-base": ([0.466, 0.722, 0.566, 0.484, 0.419, 0.830], 0.560, 0.581, 211),
    "mE5-base": ([0.422, 0.791, 0.700, 0.443, 0.461, 0.836], 0.602, 0.609, 211),
    "paraphrase-mpnet": ([0.435, 0.798, 0.686, 0.452, 0.341, 0.817], 0.573, 0.588, 188),
    "MiniLM-L12": ([0.446, 0.707, 0.558, 0.475, 0.407, 0.825], 0.547, 0.570, 172),
    "MiniLM-L6": ([0.449, 0.704, 0.554, 0.471, 0.398, 0.824], 0.544, 0.567, 149),
    "mE5-small": ([0.408, 0.776, 0.677, 0.432, 0.437, 0.827], 0.584, 0.593, 147),
    "paraphrase-MiniLM": ([0.417, 0.775, 0.644, 0.454, 0.328, 0.800], 0.551, 0.570, 109),
    "LaBSE": ([0.361, 0.702, 0.668, 0.413, 0.168, 0.789], 0.486, 0.517, 49),
}
PUBLISHED = np.array([row[3] for row in TABLE.values()], float)


def tasks_like_their_type():
    """The scores of 40 tasks, each given its type's mean."""
    kinds = [kind for kind, count in COUNTS.items() for _ in range(count)]
    at = [list(COUNTS).index(kind) for kind in kinds]
    values = np.array([row[0] for row in TABLE.values()])[:, at]
    names = tuple(f"{kind}{i}" for i, kind in enumerate(kinds))
    return Scores(tuple(TABLE), names, values, dict(zip(names, kinds, strict=True)))


def test_the_published_points_are_the_number_of_models_less_the_rank():
    assert PUBLISHED.sum() == 40 * 12 * 11 / 2
    assert places(PUBLISHED).tolist() == [1, 2, 3, 4, 5, 5, 7, 8, 9, 10, 11, 12]


def test_the_published_means_are_reproduced():
    found = {one.model: one for one in standings(tasks_like_their_type(), samples=10)}
    for model, (_, mean, by_type, _) in TABLE.items():
        assert found[model].mean == pytest.approx(mean, abs=1e-3)
        assert found[model].mean_by_type == pytest.approx(by_type, abs=1e-3)


def test_means_and_points_disagree_on_the_small_model():
    means = np.array([row[1] for row in TABLE.values()])
    small = list(TABLE).index("mE5-small")
    assert places(means)[small] == 6
    assert places(PUBLISHED)[small] == 10


def test_the_published_order_comes_out_of_the_means_of_types_but_for_one_model():
    points = borda(tasks_like_their_type().values)
    assert spearman(points, PUBLISHED) > 0.97
    found = [list(TABLE)[i] for i in np.argsort(-points)]
    assert found[:4] == list(TABLE)[:4]
    assert set(found[4:6]) == {"mpnet-base", "mE5-base"}  # 211 points each
    assert found[6] == list(TABLE)[6]
    assert found[7:10] == ["mE5-small", "MiniLM-L12", "MiniLM-L6"]  # published: small one last
    assert found[10:] == list(TABLE)[10:]
