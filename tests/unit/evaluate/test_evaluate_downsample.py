import re

import numpy as np
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.evaluate.downsample import downsample, predictions
from annatto.evaluate.leaderboard import Scores
from annatto.ops.borda import borda, spearman


def made(values, types=None):
    models = tuple(f"m{i}" for i in range(len(values)))
    tasks = tuple(f"t{i:02}" for i in range(values.shape[1]))
    return Scores(models, tasks, values, dict(zip(tasks, types, strict=True)) if types else {})


def skilled(seed=0, copies=3):
    """12 models, 8 tasks of 2 skills and noise, and copies of the first tasks at the end."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 8)) + 0.5 * rng.normal(size=(12, 8))
    return np.concatenate([values, values[:, :copies] + 1e-3 * rng.normal(size=(12, copies))], 1)


def test_a_task_that_is_a_sum_of_others_is_predicted_exactly():
    values = np.random.default_rng(0).normal(size=(12, 4))
    found = predictions(made(np.c_[values, values @ [1, 2, 0, -1] + 5]))
    assert found[-1].spearman == pytest.approx(1)
    assert found[-1].z_mse == pytest.approx(0, abs=1e-12)
    assert predictions(made(values))[0].z_mse > 0.3


def test_a_prediction_is_scikit_learns_without_the_model_itself():
    models = pytest.importorskip("sklearn.linear_model")
    values = skilled()  # 12 models, 10 features: once more features than models, too
    for wide in (values, np.c_[values, skilled(seed=4)]):
        guessed = [
            models.LinearRegression()
            .fit(np.delete(wide[:, 1:], i, 0), np.delete(wide[:, 0], i))
            .predict(wide[i : i + 1, 1:])[0]
            for i in range(12)
        ]
        error = np.mean((np.array(guessed) - wide[:, 0]) ** 2) / wide[:, 0].var()
        assert predictions(made(wide))[0].z_mse == pytest.approx(error, rel=1e-6)


def test_copies_go_first_and_the_ranking_stays():
    found = downsample(made(skilled()))
    pairs = [{"t00", "t08"}, {"t01", "t09"}, {"t02", "t10"}]
    gone = [one.task for one in found.removed]
    assert all(len(pair & set(gone[:3])) == 1 for pair in pairs)
    assert set(found.kept) | set(gone) == set(made(skilled()).tasks)
    kept = made(skilled()).only(found.kept).values
    assert found.same_mean == spearman(skilled().mean(axis=1), kept.mean(axis=1)) > 0.5
    assert found.same_borda == spearman(borda(skilled()), borda(kept)) > 0.5


def test_the_last_of_a_type_or_language_and_what_is_named_stays():
    values = skilled()
    copy = ["t00", "t08"]
    assert set(copy) & {one.task for one in downsample(made(values)).removed}
    types = ["x"] + ["y"] * 7 + ["z"] + ["y"] * 2
    assert set(copy) <= set(downsample(made(values, types)).kept)
    assert set(copy) <= set(downsample(made(values), keep=copy).kept)
    languages = {"t00": {"en", "de"}, "t08": {"fr", "en"}, "t03": {"en"}}
    assert set(copy) <= set(downsample(made(values), languages=languages).kept)


def test_nothing_goes_when_nothing_is_predicted():
    values = np.random.default_rng(3).normal(size=(12, 5))
    assert downsample(made(values)).removed == ()


def test_the_limits_are_limits():
    loose = downsample(made(skilled()), z_mse=0.9, rank=0.5)
    assert len(loose.removed) > len(downsample(made(skilled())).removed)
    assert all(one.z_mse <= 0.9 and one.spearman >= 0.5 for one in loose.removed)


def test_gaps_and_unknown_names_are_refused():
    values = skilled()
    with pytest.raises(UsageError, match="no task is called 't0'"):
        downsample(made(values), keep=["t0"])
    values[2, 4] = np.nan
    with pytest.raises(InputError, match=re.escape("1 are missing (first: m2 on t04)")):
        downsample(made(values))
    with pytest.raises(InputError, match="found 2 and 8"):
        downsample(made(np.ones((2, 8))))


@pytest.mark.parametrize("limits", [{"z_mse": float("nan")}, {"z_mse": -1}, {"rank": 2}])
def test_a_limit_that_no_task_could_meet_is_refused(limits):
    with pytest.raises(UsageError, match="z_mse of at least 0 and a rank from -1 to 1"):
        downsample(made(skilled()), **limits)
