"""Which documents are twins and near-twins, against the slow way."""

import itertools

import numpy as np
import pytest

from annatto.core.words import words
from annatto.mine import same
from annatto.mine.margin import relative
from annatto.mine.same import ALIKE, APART, EQUAL, NEAR, likeness
from annatto.mine.split import open_split

LONG = " ".join(f"word{i}" for i in range(30))


def slow(text, positives):
    """What `likeness` must say, from sets of words."""

    def runs(one):
        own = words(one)
        return set(itertools.pairwise(itertools.pairwise(own))) if len(own) > 2 else {tuple(own)}

    def plain(one):
        return " ".join(one.casefold().split())

    if any(plain(text) == plain(other) for other in positives):
        return EQUAL
    shares = [
        len(runs(text) & runs(other)) / len(runs(text) | runs(other))
        for other in positives
        if words(text) and words(other)
    ]
    return ALIKE if max(shares, default=0) >= NEAR else APART


def varied(rng, text):
    """The text with some words changed, doubled, or written otherwise."""
    own = text.split(" ")
    for _ in range(rng.integers(0, 4)):
        own[rng.integers(len(own))] = str(rng.choice(["new", "東京", "other!", "Ünd", ""]))
    joined = str(rng.choice([" ", "  ", "\n"])).join(own * int(rng.integers(1, 3)))
    return joined.upper() if rng.random() < 0.5 else joined


@pytest.mark.parametrize("block", [32768, 5])
def test_likeness_is_what_sets_of_words_say(collection, monkeypatch, block):
    monkeypatch.setattr(same, "BLOCK", block)
    rng = np.random.default_rng(0)
    texts = [varied(rng, LONG) for _ in range(80)] + ["", "!", " ! ", "?", "a", "A", "b a", "b, A"]
    documents = {f"d{i:02}": text for i, text in enumerate(texts)}
    scores = {f"q{i}": dict.fromkeys(documents, 0.5) for i in range(8)}
    positives = {f"q{i}": [f"d{j:02}" for j in range(i, len(texts), 29)] for i in range(8)}
    one = collection(scores, positives, documents)
    asked = open_split(one, "train", "test")
    wanted = np.sort(asked.pairs(one.judgments, "test"))
    pairs = rng.permutation(len(scores) * len(documents))
    found = likeness(one, asked, pairs, wanted)
    rows = one.doc_ids.to_pylist()
    for pair, like in zip(pairs.tolist(), found.tolist(), strict=True):
        query, doc = asked.ids(pair)
        of = [documents[each] for each in positives[query]]
        assert like == slow(documents[doc], of), (query, doc)
    assert len(rows) == len(documents)
    assert all((found == like).sum() > 5 for like in (APART, ALIKE, EQUAL))


def test_a_twin_that_is_too_close_or_beyond_the_list_is_not_called_anything_else(collection):
    documents = {"p": LONG, "hard": LONG.upper(), "easy": LONG.title()}
    scores = {"p": 1.0, "hard": 0.99, "n1": 0.5, "n2": 0.4, "easy": 0.1}
    one = collection({"q": scores}, {"q": ["p"]}, documents)
    rows = relative(one, source="t", k=2, fill=False).decisions.to_pylist()
    reasons = {row["doc_id"]: row["reason"] for row in rows}
    assert reasons["hard"] == "too close to the positive"
    assert reasons["easy"] == "beyond the k hardest"
    rows = relative(one, source="t", k=3, fill=False).decisions.to_pylist()
    reasons = {row["doc_id"]: row["reason"] for row in rows}
    assert reasons["easy"] == "twin of a positive"
