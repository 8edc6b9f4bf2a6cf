"""How many hidden positives a margin lets through, worked by hand and by brute force."""

import math

import numpy as np
import pytest

from annatto.core.errors import SchemaError, UsageError
from annatto.mine.calibrate import calibrate
from annatto.mine.margin import relative


def test_shares_are_those_worked_by_hand(collection):
    own = {"a": 1.0, "b": 0.85, "c": 0.4, "n1": 0.78, "n2": 0.3}
    one = collection({"q": own, "single": {"a": 1.0, "n2": 0.9}}, {"q": ["a", "b", "c"],
                     "single": ["a"]})  # fmt: skip
    found = calibrate(one, source="t", rhos=[0.9, 0.5, 0.8], target=0.4, k=7)
    # known a: b passes at 0.9, c at all three; known b: c at all; a and b never pass below c
    assert [row.false_negatives for row in found.rows] == [2 / 6, 2 / 6, 3 / 6]
    assert [row.rho for row in found.rows] == [0.5, 0.8, 0.9]
    # negatives below the ceilings of a, b, c at 0.5: n2, n2, none; above: n1 n2, n2, n2
    assert [row.kept for row in found.rows] == pytest.approx([2 / 3, 4 / 3, 4 / 3])
    assert found.rows[0].score == pytest.approx(0.3)
    assert found.rows[1].score == pytest.approx((0.54 + 0.3 + 0.3) / 3)
    assert (found.rho, found.queries, found.hidden) == (0.8, 1, 6)


def test_each_query_counts_once_however_many_positives_it_has(collection):
    many = {f"p{i}": 1.0 for i in range(6)} | {"n": 0.1}
    scores = {"many": many, "two": {"p0": 1.0, "p1": 0.1, "n": 0.05}}
    positives = {"many": [f"p{i}" for i in range(6)], "two": ["p0", "p1"]}
    found = calibrate(collection(scores, positives), source="t", rhos=[0.5])
    assert found.rows[0].false_negatives == pytest.approx((0 + 1 / 2) / 2)
    assert (found.queries, found.hidden) == (2, 32)


def test_the_share_is_what_mining_with_one_known_positive_lets_through(collection):
    rng = np.random.default_rng(3)
    ids = [f"p{i}" for i in range(4)] + [f"n{i}" for i in range(20)]
    for rho in (0.6, 0.9):
        own = dict(zip(ids, rng.normal(size=24).round(3).tolist(), strict=True))
        one = collection({"q": own}, {"q": ids[:4]})
        passed = []
        for known in ids[:4]:
            alone = relative(collection({"q": own}, {"q": [known]}), source="t", k=99, rho=rho,
                             fill=False)  # fmt: skip
            ends = {r["doc_id"]: r["after"] for r in alone.decisions.to_pylist()}
            passed += [ends[other] == "negative" for other in ids[:4] if other != known]
        row = calibrate(one, source="t", rhos=[rho]).rows[0]
        assert row.false_negatives == pytest.approx(np.mean(passed))


def test_a_larger_rho_lets_more_through_and_keeps_harder_negatives(collection):
    rng = np.random.default_rng(0)
    scores, positives = {}, {}
    for i in range(40):
        own = {f"n{j}": float(s) for j, s in enumerate(rng.uniform(0, 0.9, 30))}
        scores[f"q{i}"] = own | {f"p{j}": float(s) for j, s in enumerate(rng.uniform(0.6, 1, 3))}
        positives[f"q{i}"] = ["p0", "p1", "p2"]
    found = calibrate(collection(scores, positives), source="t", target=0.3, k=3)
    shares = [row.false_negatives for row in found.rows]
    hardness = [row.score for row in found.rows]
    assert shares == sorted(shares)
    assert shares[0] < 0.1 < shares[-1]
    assert hardness == sorted(hardness)
    assert found.rho == max(r.rho for r in found.rows if r.false_negatives <= 0.3)
    assert 0.5 < found.rho < 1


def test_a_target_that_no_rho_reaches_gives_none(collection):
    one = collection({"q": {"a": 1.0, "b": 0.1, "n": 0.9}}, {"q": ["a", "b"]})
    found = calibrate(one, source="t", target=0.1)
    assert found.rho is None
    assert math.isnan(calibrate(one, source="t", rhos=[0.01]).rows[0].score)


def test_what_cannot_be_calibrated_is_refused(collection):
    single = collection({"q": {"a": 1.0, "n": 0.9}}, {"q": ["a"]})
    with pytest.raises(SchemaError, match=r"queries with several positives; each of the 1 in"):
        calibrate(single, source="t")
    unscored = collection({"q": {"a": 1.0}}, {"q": ["a", "b"]}, {"b": "b"})
    with pytest.raises(SchemaError, match=r"score of 't' for every positive; 1 of 2 lack one"):
        calibrate(unscored, source="t")
    for wrong, message in (
        ({"target": 2}, "target from 0 to 1; found 2"),
        ({"rhos": [0.5, 0]}, "rhos above 0 and at most 1"),
        ({"rhos": []}, "rhos above 0"),
        ({"k": 0}, "k of at least 1"),
    ):
        with pytest.raises(UsageError, match=message):
            calibrate(single, source="t", **wrong)
