import json
from dataclasses import replace

import numpy as np
import pytest

from annatto.core.errors import IdentityError, InputError, UsageError
from annatto.core.types import Prompt
from annatto.search.calibrate import Aim, calibrate, figures
from annatto.search.effect import effect
from annatto.search.filter import Cutoff
from annatto.search.fit import Settings
from annatto.search.picture import picture

SETTINGS = Settings(hidden=32, lr=3e-3, epochs=30)


class Fake:
    """An encoder as far as its identity goes."""

    name, dim, weights_id, pooling, max_tokens = "fake", 8, "w1", "mean", 64

    def __init__(self, query="{text}", **other):
        self.prompts = {"document": Prompt.plain(), "query": Prompt(query)}
        self.__dict__.update(other)


@pytest.fixture(scope="module")
def lists(made):
    return {name: made(count, i) for i, (name, count) in enumerate((("a", 500), ("b", 300)))}


@pytest.fixture(scope="module")
def cutoff(lists):
    aim = Aim("recall", 0.9)
    return calibrate(lists["a"], lists["b"], encoder=Fake(), aim=aim, settings=SETTINGS)


def test_the_threshold_meets_its_aim_on_the_queries_that_chose_it(cutoff, lists):
    kept = cutoff.keep(lists["b"].vectors, lists["b"].cosines)
    recall = (kept.keep & lists["b"].relevant).sum() / lists["b"].relevant.sum()
    assert 0.9 <= recall < 0.92


def test_a_cut_for_precision_meets_its_aim(lists):
    aim = Aim("precision", 0.8)
    found = calibrate(lists["a"], lists["b"], encoder=Fake(), aim=aim, settings=SETTINGS)
    keep = found.keep(lists["b"].vectors, lists["b"].cosines).keep
    assert lists["b"].relevant[keep].mean() >= 0.8
    assert found.reason(3, 10) == (
        f"3 of 10 were below the calibrated cut-off {found.probability:.2f}, chosen for precision "
        "0.8 on 300 held-out queries"
    )


def test_what_is_kept_is_a_head_of_each_list_and_may_be_nothing(cutoff, made):
    test = made(200, 7)
    keep, probability = cutoff.keep(test.vectors, test.cosines)
    assert (np.diff(keep.astype(int), axis=1) <= 0).all()
    assert (~keep.any(1)).any()
    assert (np.diff(probability, axis=1) <= 0).all()
    assert (probability[~np.isfinite(test.cosines)] == 0).all()
    real = np.isfinite(test.cosines)
    assert (probability[keep] >= cutoff.probability - 1e-6).all()
    assert (probability[real & ~keep] <= cutoff.probability + 1e-6).all()


def test_one_query_alone_is_read_as_among_others(cutoff, lists):
    many = cutoff.keep(lists["b"].vectors, lists["b"].cosines).probability
    alone = cutoff.keep(lists["b"].vectors[5:6], lists["b"].cosines[5:6]).probability
    np.testing.assert_allclose(alone, many[5:6], atol=1e-5)


def test_a_saved_cutoff_keeps_the_same(cutoff, lists, tmp_path):
    back = Cutoff.load(cutoff.save(tmp_path / "cutoff"))
    one, other = (c.keep(lists["b"].vectors, lists["b"].cosines) for c in (cutoff, back))
    np.testing.assert_array_equal(one.keep, other.keep)
    np.testing.assert_array_equal(one.probability, other.probability)
    assert back.reason(1, 2) == cutoff.reason(1, 2)
    back.check(Fake())


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (Fake(weights_id="w2"), "weights_id differ"),
        (Fake(query="ask: {text}"), "query prompt differ"),
        (Fake(max_tokens=32), "max_tokens differ"),
    ],
)
def test_the_vectors_of_another_encoder_are_refused(cutoff, tmp_path, other, named):
    back = Cutoff.load(cutoff.save(tmp_path / "cutoff"))
    with pytest.raises(IdentityError, match=named):
        back.check(other)


def test_a_damaged_folder_is_one_sentence(cutoff, tmp_path):
    place = cutoff.save(tmp_path / "cutoff")
    with (place / "weights.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(InputError, match=r"damaged \(other weights\).*annatto calibrate"):
        Cutoff.load(place)
    card = json.loads((cutoff.save(place) / "card.json").read_text())
    del card["threshold"]
    (place / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match=r"damaged .*threshold"):
        Cutoff.load(place)
    with pytest.raises(InputError, match="is no cut-off"):
        Cutoff.load(tmp_path)


def test_scores_that_do_not_fit_the_queries_are_refused(cutoff, lists):
    with pytest.raises(InputError, match="one row of cosines for each query vector"):
        cutoff.keep(lists["b"].vectors, lists["b"].cosines[:3])
    with pytest.raises(InputError, match="vectors of 8 dimensions"):
        cutoff.keep(lists["b"].vectors[:, :4], lists["b"].cosines)


def test_an_aim_out_of_range_is_refused():
    with pytest.raises(UsageError, match=r"did you mean recall"):
        Aim("recal", 0.9)
    with pytest.raises(UsageError, match=r"above 0 and at most 1; found 95"):
        Aim("recall", 95)


def test_held_out_queries_without_anything_relevant_choose_nothing(lists):
    bare = replace(lists["b"], relevant=np.zeros_like(lists["b"].relevant))
    with pytest.raises(InputError, match="none of 300 has"):
        calibrate(lists["a"], bare, encoder=Fake(), aim=Aim(), settings=SETTINGS)


def test_figures_stand_beside_one_cosine_for_all(cutoff, lists, made, tmp_path):
    aim, test = Aim("recall", 0.9), made(300, 9)
    found = figures(cutoff, aim, lists["b"], test)
    at = aim.threshold(lists["b"], lists["b"].cosines)
    assert found["one cosine"]["precision"] == effect(test, test.cosines, at).precision
    assert found["cut-off"]["area"] > found["one cosine"]["area"]
    assert found["cut-off"]["precision"] > found["one cosine"]["precision"]
    picture(cutoff, test, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
