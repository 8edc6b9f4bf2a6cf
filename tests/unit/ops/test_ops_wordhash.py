import numpy as np
import pytest

from annatto.core.words import words
from annatto.ops import wordhash
from annatto.ops.wordhash import word_hashes

PLAIN = "aAbB_1 \n\t.,-'ßſK²½٣éÉ̈İı東京ーカ・가"
LETTERS = list(PLAIN + "\u200d\x1c\x85\xa0\U0001d400\U00020000\ud800")


def made(count, seed):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(LETTERS, rng.integers(0, 60))) for _ in range(count)]


@pytest.mark.parametrize("block", [2**19, 40, 1])
def test_the_same_words_have_the_same_hashes_and_different_words_different_ones(block, monkeypatch):
    monkeypatch.setattr(wordhash, "CHARACTERS", block)
    texts = ["", " ", *made(400, 0), "", "a b a", "!"]
    found = word_hashes(texts)
    assert [len(own) for own in found] == [len(words(text)) for text in texts]
    pairs = {
        (word, number)
        for text, own in zip(texts, found, strict=True)
        for word, number in zip(words(text), own.tolist(), strict=True)
    }
    assert len(pairs) == len({word for word, _ in pairs}) == len({number for _, number in pairs})
    assert len(pairs) > 500


def test_letters_in_another_order_are_another_word():
    (own,) = word_hashes(["ab ba aab aba baa abab baba aabb"])
    assert len(set(own.tolist())) == 8


def test_no_texts_and_texts_without_words_have_none():
    assert word_hashes([]) == []
    assert [own.tolist() for own in word_hashes(["", "?!", " "])] == [[], [], []]
