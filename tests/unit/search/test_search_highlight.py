"""The best sentence: cases worked by hand, and the encoder's cosines the slow way."""

import numpy as np

from annatto.core.sentences import sentence_spans
from annatto.search.highlight import LOOKED_AT, by_meaning, by_words, sentences
from annatto.testing import tiny_encoder

TEXT = "Rivers run to the sea. Zebras eat grass all day! Night falls over the grass."


def said(text, span):
    return span and text[span.start : span.end]


def test_by_words_the_sentence_with_the_rarest_shared_words_is_chosen():
    others = ["The river is long. The river is wide.", "A river. Another river, and grass."]
    found = by_words("river grass", [TEXT, *others])
    assert [said(text, span) for text, span in zip([TEXT, *others], found, strict=True)] == [
        "Zebras eat grass all day!",
        "The river is long.",
        "Another river, and grass.",
    ]


def test_by_words_nothing_is_marked_where_nothing_is_shared():
    assert by_words("quokka", [TEXT, "", "  "]) == [None, None, None]


def test_by_words_a_rare_word_counts_more_than_two_frequent_ones():
    text = "The old sea is old. The quokka sleeps. The sea. Old the sea. The old sea. The old sea."
    (span,) = by_words("old sea quokka", [text])
    assert said(text, span) == "The quokka sleeps."


def test_by_meaning_the_sentence_of_the_highest_cosine_is_chosen():
    encoder = tiny_encoder()
    texts = [TEXT, "One. Two zebras eat. Three.", ""]
    found = by_meaning("what do zebras eat", texts, encoder=encoder)
    query = encoder.encode(["what do zebras eat"], prompt="query")[0]
    for text, span in zip(texts, found, strict=True):
        parts = [text[start:end] for start, end in sentence_spans(text)]
        scores = [float(encoder.encode([part])[0] @ query) for part in parts]
        assert said(text, span) == (parts[int(np.argmax(scores))] if parts else None)


def test_a_text_without_sentences_needs_no_encoder():
    assert by_meaning("a", ["", " "], encoder=None) == [None, None]


def test_of_a_long_text_the_sentences_that_share_most_words_are_compared_in_order():
    text = (
        " ".join(f"Number {i} is here." for i in range(50)) + " The quokka is here. A quokka, here."
    )
    found = sentences("quokka here", text)
    assert len(found) == LOOKED_AT
    assert found == sorted(found)
    assert [said(text, span) for span in found[-2:]] == ["The quokka is here.", "A quokka, here."]
    assert said(text, found[0]) == "Number 0 is here."


def test_places_are_counted_in_characters_beyond_the_basic_plane():
    text = "🦓🦓 one. Two quokkas."
    (span,) = by_words("quokkas", [text])
    assert (span.start, span.end) == (8, 20)
