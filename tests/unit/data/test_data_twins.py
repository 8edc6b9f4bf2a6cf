from itertools import combinations

import numpy as np

from annatto.core.sentences import words
from annatto.data.groups import groups
from annatto.data.twins import twins


def shingles(text):
    found = words(text)
    return {tuple(found[i : i + 3]) for i in range(max(1, len(found) - 2))}


def test_twins_are_those_of_brute_force_jaccard():
    rng = np.random.default_rng(0)
    vocabulary = np.array([f"w{i}" for i in range(500)])
    texts = []
    for _ in range(60):
        base = rng.choice(vocabulary, 80)
        texts.append(" ".join(base))
        for changes in (1, 3, 6, 12):
            other = base.copy()
            other[rng.integers(0, 80, changes)] = "changed"
            texts.append(" ".join(other))
    sets = [shingles(text) for text in texts]
    expected = {
        (i, j)
        for (i, a), (j, b) in combinations(enumerate(sets), 2)
        if len(a & b) / len(a | b) >= 0.8
    }
    found = {tuple(pair) for pair in twins([texts[:100], texts[100:]]).tolist()}
    assert 60 <= len(expected) < 300
    assert found == expected


def test_equal_words_are_twins_whatever_the_case_and_signs():
    assert twins([["Hello, world", "other", "hello world!", "", ""]]).tolist() == [[0, 2]]


def test_texts_without_twins_give_no_pairs():
    assert twins([["one text here now", "quite another one there"]]).shape == (0, 2)
    assert twins([]).shape == (0, 2)


def test_groups_are_named_by_their_smallest_member():
    assert groups(6, [(5, 4), (4, 2), (0, 1)]).tolist() == [0, 0, 2, 3, 2, 2]
