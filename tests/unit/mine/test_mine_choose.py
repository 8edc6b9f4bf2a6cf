"""Rules beyond the relative margin: absolute, ranks, draws, own ceilings, near-twins."""

import pyarrow.compute as pc
import pytest

from annatto.core.errors import UsageError
from annatto.core.store import collection_hash
from annatto.mine import same
from annatto.mine.margin import choose, relative
from annatto.mine.verdicts import Rule

LONG = " ".join(f"word{i}" for i in range(40))
NEARLY = LONG.replace("word39", "another")


def chosen(mined, origin="mined:"):
    rows = mined.judgments.filter(pc.starts_with(mined.judgments["origin"], pattern=origin))
    return rows["doc_id"].to_pylist()


def reasons(mined):
    return {row["doc_id"]: row["reason"].partition(":")[0] for row in mined.decisions.to_pylist()}


def by_rank(count, **more):
    """Scores n01 … above each other: n01 is the hardest."""
    return {f"n{i:02}": 0.5 - i / 1000 for i in range(1, count + 1)} | more


def test_the_general_rule_is_the_relative_one_by_default(collection):
    one = collection({"q": by_rank(20, p=0.51, close=0.5)}, {"q": ["p"]}, {"r": "random"})
    plain = relative(one, source="t", rho=0.95, k=5)
    mined = choose(one, source="t", k=5, settings=Rule(rho=0.95))
    assert mined.judgments.equals(plain.judgments)
    assert reasons(mined) == reasons(plain)
    assert set(mined.decisions["stage"].to_pylist()) == {"mine.margin.choose"}


def test_an_absolute_margin_is_below_the_weakest_positive(collection):
    own = {"p1": 2.0, "p2": -1.0, "over": -1.4, "at": -1.5, "under": -9.0}
    one = collection({"q": own}, {"q": ["p1", "p2"]})
    mined = choose(one, source="t", fill=False, settings=Rule("absolute", cut=0.5))
    assert chosen(mined) == ["at", "under"]
    assert reasons(mined)["over"] == "too close to the positive"
    assert mined.judgments["origin"].to_pylist()[-1] == "mined:absolute(cut=0.5)"


def test_without_a_margin_only_ranks_decide(collection):
    one = collection({"q": by_rank(20, p=0.1, hard=0.9)}, {"q": ["p"]})
    mined = choose(one, source="t", k=3, fill=False, settings=Rule("none"))
    assert chosen(mined) == ["hard", "n01", "n02"]
    row = mined.decisions.filter(pc.equal(mined.decisions["doc_id"], "hard")).to_pylist()[0]
    assert row["evidence"] == "score 0.9"


def test_a_rank_window_skips_the_hardest_and_does_not_count_positives(collection):
    one = collection({"q": by_rank(20, p=0.9, p2=0.4985)}, {"q": ["p", "p2"]})
    rule = Rule("none", first=3, last=6)
    mined = choose(one, source="t", k=7, fill=False, settings=rule)
    assert chosen(mined) == ["n03", "n04", "n05", "n06"]
    assert reasons(mined)["n02"] == reasons(mined)["n07"] == "outside the ranks"
    assert mined.judgments["origin"].to_pylist()[-1] == "mined:none(ranks=3-6)"


def test_what_is_too_close_is_rejected_inside_and_outside_the_ranks(collection):
    one = collection({"q": by_rank(9, p=0.5, close=0.49, near=0.48)}, {"q": ["p"]})
    rule = Rule("absolute", cut=0.015, first=2)
    ends = reasons(choose(one, source="t", fill=False, settings=rule))
    assert ends["close"] == ends["n01"] == "too close to the positive"


def test_a_draw_takes_k_of_the_hardest_by_seed_and_query_alone(collection):
    scores, positives = {"q1": by_rank(30, p=1.0), "q2": by_rank(30, p=1.0)}, {}
    positives = {"q1": ["p"], "q2": ["p"]}
    rule = Rule(among=10)

    def drawn(one, seed):
        mined = choose(one, source="t", k=4, seed=seed, fill=False, settings=rule)
        rows = mined.judgments.filter(pc.equal(mined.judgments["grade"], 0)).to_pylist()
        return {q: {r["doc_id"] for r in rows if r["query_id"] == q} for q in ("q1", "q2")}

    both = collection(scores, positives)
    first = drawn(both, 0)
    hardest = {f"n{i:02}" for i in range(1, 11)}
    assert all(len(own) == 4 and own < hardest for own in first.values())
    assert first["q1"] != first["q2"]
    assert first == drawn(both, 0) != drawn(both, 1)
    alone = collection({"q2": scores["q2"]}, {"q2": ["p"]})
    assert drawn(alone, 0)["q2"] == first["q2"]
    seen = {doc for seed in range(12) for doc in drawn(both, seed)["q1"]}
    assert seen == hardest
    ends = reasons(choose(alone, source="t", k=4, fill=False, settings=rule))
    assert sum(end == "not drawn" for end in ends.values()) == 6
    assert sum(end == "beyond the k hardest" for end in ends.values()) == 20


def test_with_own_ceilings_each_positive_picks_its_hardest(collection):
    own = {"high": 1.0, "low": 0.5, "a": 0.9, "b": 0.8, "c": 0.42, "d": 0.41, "e": 0.4}
    one = collection({"q": own}, {"q": ["high", "low"]})
    rule = Rule("absolute", cut=0.05, positive="own")
    mined = choose(one, source="t", k=2, fill=False, settings=rule)
    assert chosen(mined) == ["a", "b", "c", "d"]
    assert reasons(mined)["e"] == "beyond the k hardest"
    weakest = choose(one, source="t", k=2, fill=False, settings=Rule("absolute"))
    assert chosen(weakest) == ["c", "d"]
    assert reasons(weakest)["a"] == "too close to the positive"


def test_near_twins_of_a_positive_are_rejected_and_the_next_hardest_taken(collection):
    documents = {"p": LONG, "near": NEARLY, "far": LONG.replace("word2", "x"), "other": "else"}
    scores = {"p": 1.0, "near": 0.5, "far": 0.4, "other": 0.3, "last": 0.2}
    one = collection({"q": scores, "q2": {"other": 1.0, "near": 0.1}},
                     {"q": ["p"], "q2": ["other"]}, documents)  # fmt: skip
    mined = relative(one, source="t", k=2, fill=False)
    of_q = mined.decisions.filter(pc.equal(mined.decisions["query_id"], "q")).to_pylist()
    ends = {row["doc_id"]: (row["reason"].partition(":")[0], row["after"]) for row in of_q}
    assert ends["near"] == ("near-twin of a positive", "rejected")
    assert ends["far"] == ends["other"] == ("kept", "negative")
    assert ends["last"][0] == "beyond the k hardest"
    assert mined.card["notes"]["mine.margin.relative"]["near-twins"] == 1
    assert "near" in chosen(mined)  # of q2, whose positive says something else


def test_near_twins_are_the_same_whatever_the_block(collection, monkeypatch):
    documents = {f"d{i}": " ".join([f"w{j + (i % 4) * 40}" for j in range(40)]) for i in range(30)}
    documents |= {f"p{i}": f"{documents[f'd{i}']} new{i}" for i in range(4)}
    scores = {
        f"q{i}": {f"d{j}": 0.5 - j / 100 for j in range(30)} | {f"p{i}": 1.0} for i in range(4)
    }
    one = collection(scores, {f"q{i}": [f"p{i}"] for i in range(4)}, documents)
    whole = relative(one, source="t", k=5)
    monkeypatch.setattr(same, "BLOCK", 3)
    assert collection_hash(relative(one, source="t", k=5)) == collection_hash(whole)
    assert whole.card["notes"]["mine.margin.relative"]["near-twins"] > 4


def test_random_documents_are_no_near_twins_either(collection):
    documents = {"p": LONG, "near": NEARLY, "r1": "one thing", "r2": "another thing"}
    one = collection({"q": {"p": 1.0}}, {"q": ["p"]}, documents)
    assert sorted(chosen(relative(one, source="t", k=3))) == ["r1", "r2"]


def test_the_same_seed_gives_the_same_bytes(collection):
    one = collection({"q": by_rank(30, p=1.0)}, {"q": ["p"]}, {"r": "random"})
    rule = Rule("absolute", cut=0.1, positive="own", first=2, among=12)
    mined = [choose(one, source="t", k=5, seed=seed, settings=rule) for seed in (3, 3, 4)]
    hashes = [collection_hash(each) for each in mined]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule(rho=2), r"rho above 0 and at most 1; found 2"),
        (Rule("absolute", cut=-1), r"a cut of at least 0; found -1"),
        (Rule(first=5, last=4), r"found 5 to 4"),
        (Rule(first=0), r"found 0 to 0"),
        (Rule(among=3), r"cannot draw 7 negatives among 3"),
    ],
)
def test_rules_that_make_no_sense_are_refused(collection, rule, message):
    with pytest.raises(UsageError, match=message):
        choose(collection({"q": {"p": 1.0}}, {"q": ["p"]}), source="t", settings=rule)
