"""Ids: what is cut and what never is, what texts share, and tokenizers that lack something."""

import pytest
from tokenizers import Tokenizer as Raw
from tokenizers import models, pre_tokenizers
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

from annatto.core.errors import UsageError, WeightsError
from annatto.models.head import split
from annatto.models.tokens import REMEMBERED, open_tokenizer
from annatto.testing import tiny_model


@pytest.fixture
def tokenizer(tmp_path):
    fast = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "tiny"))
    return open_tokenizer(fast, ends_in_eos=True)


def bare(**specials):
    """A fast tokenizer of words with only these special tokens."""
    raw = Raw(models.WordLevel({"a": 0, "b": 1, "<x>": 2}, unk_token="<x>"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=raw, **specials)


class Slow(ByT5Tokenizer):
    """A tokenizer in Python that puts nothing behind a text."""

    def build_inputs_with_special_tokens(self, token_ids_0, token_ids_1=None):  # noqa: ARG002
        return token_ids_0


def test_the_chat_template_is_dropped_and_not_saved(tmp_path):
    folder = tiny_model(tmp_path / "tiny", chat_template=True)
    fast = AutoTokenizer.from_pretrained(folder)
    assert fast.chat_template
    opened = open_tokenizer(fast, ends_in_eos=True)
    assert opened.fast.chat_template is None
    opened.fast.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template is None
    assert not list((tmp_path / "saved").glob("*.jinja"))


def test_only_the_text_is_cut_never_the_prompt_around_it_nor_the_end_token(tokenizer):
    texts = ["0123456789", "01", "012345"]
    found = tokenizer("ab: ", texts, 12, suffix=" !?")
    read = [tokenizer.fast.decode(row) for row in found.ids]
    assert read == ["ab: 0123 !?<eos>", "ab: 01 !?<eos>", "ab: 0123 !?<eos>"]
    assert found.cut.tolist() == [True, False, True]
    assert [len(row) for row in found.ids] == [12, 10, 12]


def test_a_prompt_that_fills_the_window_is_refused_with_its_length(tokenizer):
    with pytest.raises(UsageError, match="takes 9 of 9 tokens and leaves no room for a text"):
        tokenizer("x" * 6, ["a"], 10, suffix="yyy")
    assert tokenizer("x" * 5, ["abc"], 10, suffix="yyy").cut.tolist() == [True]
    with pytest.raises(UsageError, match="leaves no room for a text"):
        tokenizer("x" * 9, [], 10)


def test_shared_counts_the_prompts_ids_that_all_rows_begin_with(tokenizer):
    assert tokenizer("", ["aa", "ab"], 32).shared == 0
    assert tokenizer("Query: ", ["b", "cc"], 32).shared == 7
    assert tokenizer("Query: ", [""], 32).shared == 7
    assert tokenizer("Query: ", [], 32).shared == 0


def test_shared_leaves_out_the_token_that_the_text_merges_with():
    raw = Raw(models.BPE({"Ġ": 0, "a": 1, "Ġa": 2, ":": 3, "<e>": 4}, [("Ġ", "a")]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<e>")
    tokenizer = open_tokenizer(fast, ends_in_eos=True)
    assert tokenizer(": ", ["a"], 8).ids == [[3, 2, 4]]
    assert tokenizer(": ", ["a"], 8).shared == 1
    assert tokenizer(": ", [":"], 8).shared == 2
    assert tokenizer(": ", [":", "a"], 8).shared == 1


def test_a_prompt_is_tokenised_whole_where_tokens_merge_across_its_lines():
    raw = Raw(models.BPE({"a": 0, "\n": 1, "Q": 2, "\nQ": 3, "<e>": 4}, [("\n", "Q")]))
    fast = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<e>")
    tokenizer = open_tokenizer(fast, ends_in_eos=True)
    assert split("a\nQ", tokenizer.plain_ids).ids == ()
    assert tokenizer("a\nQ", ["a", ""], 8).ids == [[0, 3, 0, 4], [0, 3, 4]]
    assert split("a\na", tokenizer.plain_ids).ids == (0, 1)


def test_shared_counts_the_tokens_before_the_prompt_and_stays_below_every_row(tmp_path):
    fast = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "tiny", kind="encoder"))
    assert open_tokenizer(fast, ends_in_eos=False)("ab", ["c"], 8).shared == 3
    unframed = open_tokenizer(bare(pad_token="<x>"), ends_in_eos=False)
    found = unframed("a ", ["", "b"], 8)
    assert (found.ids, found.shared) == ([[0], [0, 1]], 0)


def test_what_is_remembered_of_prompts_is_bounded(tokenizer):
    for i in range(3 * REMEMBERED):
        tokenizer(f"{i}\nQuery: ", ["a"], 64)
    assert len(tokenizer.heads) <= REMEMBERED


def test_a_tokenizer_without_an_end_token_is_refused_where_the_vector_is_read_there():
    with pytest.raises(WeightsError, match="this tokenizer has none; set eos_token"):
        open_tokenizer(bare(pad_token="<x>"), ends_in_eos=True)
    assert open_tokenizer(bare(pad_token="<x>"), ends_in_eos=False)("", ["a b"], 8).ids == [[0, 1]]


def test_a_tokenizer_without_padding_pads_with_its_end_or_unknown_token_or_is_refused():
    assert open_tokenizer(bare(eos_token="b"), ends_in_eos=True).fast.pad_token_id == 1
    assert open_tokenizer(bare(unk_token="<x>"), ends_in_eos=False).fast.pad_token_id == 2
    with pytest.raises(WeightsError, match="need a token to pad with, but this tokenizer has"):
        open_tokenizer(bare(), ends_in_eos=False)


def test_padding_that_is_the_end_token_leaves_one_end_token_behind_every_text(tokenizer):
    assert tokenizer.fast.pad_token_id == tokenizer.fast.eos_token_id
    for row in tokenizer("", ["a", "abc", ""], 3).ids:
        assert row.count(tokenizer.fast.eos_token_id) == 1
        assert row[-1] == tokenizer.fast.eos_token_id


def test_a_slow_tokenizer_works_until_a_demonstration_must_be_cut():
    slow = open_tokenizer(ByT5Tokenizer(), ends_in_eos=True)
    found = slow("x\nab: ", ["c", "d"], 64)
    joined = [slow.fast(text)["input_ids"] for text in ("x\nab: c", "x\nab: d")]
    assert (found.ids, found.shared) == (joined, 6)
    assert slow.shorten(["abc"], 3) == ["abc"]
    with pytest.raises(UsageError, match=r"more than 3 tokens \('abcd' …\) and ByT5Tokenizer does"):
        slow.shorten(["abcd"], 3)


def test_a_slow_tokenizer_that_cannot_be_saved_with_an_end_token_is_refused():
    with pytest.raises(WeightsError, match="which Slow does not put behind a text"):
        open_tokenizer(Slow(), ends_in_eos=True)
