"""Tokenising the head of a prompt once changes no id; cuts keep to their limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annatto.core.errors import WeightsError
from annatto.models import weights
from annatto.models.head import split
from annatto.models.prompts import instruct, markup, render
from annatto.models.transformer import read_tokenizer
from annatto.testing import tiny_model

TEXTS = st.lists(
    st.text(max_size=12)
    | st.sampled_from(["Query", " a", "\n\n", "'s", "<eos>", "<|im_end|>", "[SEP]", "  \n b"]),
    max_size=4,
)
DEMO = "Instruct: T\nQuery: q\nResponse: p\n\n"
PREFIXES = [
    DEMO * 2 + render(instruct("Find the text.")),
    DEMO + render(markup("Find\nit")),
    DEMO + "東京\n",
    "query: ",
    "  \n ",
    "Represent this",
    "one\ntwo\n\n",
]


@pytest.fixture(scope="module", params=["tiny", "minilm", "smollm2"])
def tokenizer(request, tmp_path_factory):
    if request.param == "tiny":
        folder = tiny_model(tmp_path_factory.mktemp("model") / "tiny")
        return read_tokenizer(folder, ends_in_eos=True)
    try:
        folder = weights.resolve(request.param)
    except WeightsError as error:
        pytest.skip(str(error))
    return read_tokenizer(folder, ends_in_eos=request.param == "smollm2")


def slowly(tokenizer, prefix, text, suffix):
    ids = tokenizer.fast(prefix + text + suffix, add_special_tokens=False)["input_ids"]
    return [*tokenizer.before, *ids, *tokenizer.after]


@pytest.mark.parametrize("prefix", PREFIXES)
@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, suffix=st.sampled_from(["", "\n<response>", " ->"]))
def test_ids_are_those_of_the_joined_string(tokenizer, prefix, texts, suffix):
    found = tokenizer(prefix, texts, 10**6, suffix=suffix)
    assert found.ids == [slowly(tokenizer, prefix, text, suffix) for text in texts]


@pytest.mark.parametrize("prefix", PREFIXES)
@settings(max_examples=30, deadline=None)
@given(texts=TEXTS.filter(bool))
def test_shared_is_the_longest_common_beginning_of_prompt_and_rows(tokenizer, prefix, texts):
    found = tokenizer(prefix, texts, 10**6)
    rows = [slowly(tokenizer, prefix, text, "") for text in texts]
    own = slowly(tokenizer, prefix, "", "")
    own = own[: len(own) - len(tokenizer.after)]
    longest = 0
    while longest < min(len(own), *(len(row) - 1 for row in rows)) and all(
        row[longest] == own[longest] for row in rows
    ):
        longest += 1
    assert found.shared == longest


def test_a_prompt_with_demonstrations_is_taken_apart_near_its_end(tokenizer):
    for prefix in PREFIXES[:2]:
        head = split(prefix, tokenizer.plain_ids)
        assert len(head.ids) > 0.6 * len(head.own)
        assert prefix.endswith(head.rest)
        assert len(head.rest) < 12


@settings(max_examples=80, deadline=None)
@given(text=st.text(max_size=40) | st.text("a \n東😀", max_size=40), limit=st.integers(1, 12))
def test_a_shortened_text_is_a_beginning_within_its_limit(tokenizer, text, limit):
    (short,) = tokenizer.shorten([text], limit)
    assert text.startswith(short)
    assert len(tokenizer.plain_ids([short])[0]) <= limit
    if len(tokenizer.plain_ids([text])[0]) <= limit:
        assert short == text


@settings(max_examples=80, deadline=None)
@given(texts=TEXTS, limit=st.integers(24, 40))
def test_a_limit_cuts_nothing_but_the_end_of_texts(tokenizer, texts, limit):
    end = tokenizer.plain_ids(["\n<response>"])[0]
    prefix = "Do\nQuery: "
    found = tokenizer(prefix, texts, limit, suffix="\n<response>")
    for text, ids, cut in zip(texts, found.ids, found.cut, strict=True):
        whole = slowly(tokenizer, prefix, text, "\n<response>")
        assert len(ids) <= limit
        assert bool(cut) == (len(whole) > limit)
        if not cut:
            assert ids == whole
            continue
        tail = [*end, *tokenizer.after]
        assert ids[-len(tail) :] == tail
        bare = slowly(tokenizer, prefix, text, "")
        assert ids[: -len(tail)] == bare[: limit - len(tail)]
