"""A query and a document in one sequence: the ids that transformers gives, and cuts."""

import pytest
import torch
from transformers import AutoTokenizer

from annatto.core.errors import WeightsError
from annatto.models.pairs import open_pairs
from annatto.testing import tiny_model

TEXTS = [("how old", "a year"), ("naïve 東京?", "many words " * 9), ("", "x"), ("why", "")]


def opened(folder, kind, max_tokens=40):
    fast = AutoTokenizer.from_pretrained(tiny_model(folder / kind, kind=kind))
    return open_pairs(fast, is_causal=kind == "decoder", max_tokens=max_tokens)


def joined(pairs):
    queries = pairs.queries([query for query, _ in TEXTS])
    documents = pairs.documents([document for _, document in TEXTS]).ids
    return [pairs.join(*both) for both in zip(queries, documents, strict=True)]


def test_an_encoder_reads_what_its_tokenizer_makes_of_a_pair_with_the_document_cut(tmp_path):
    pairs = opened(tmp_path, "encoder")
    fast = AutoTokenizer.from_pretrained(tmp_path / "encoder")
    queries, documents = zip(*TEXTS, strict=True)
    expected = fast(
        list(queries),
        list(documents),
        truncation="only_second",
        max_length=40,
        padding=True,
        return_tensors="pt",
    )
    found = pairs.inputs(joined(pairs), torch.device("cpu"))
    assert sorted(found) == sorted(expected)
    assert len(found) == 3
    for name, values in found.items():
        assert torch.equal(values, expected[name]), name


def test_a_decoder_reads_both_behind_their_names_and_eos_as_the_saved_tokenizer_does(tmp_path):
    pairs = opened(tmp_path, "decoder", max_tokens=60)
    pairs.fast.save_pretrained(tmp_path / "saved")
    fast = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for (query, document), pair in zip(TEXTS, joined(pairs), strict=True):
        whole = fast(f"query: {query} document: {document}")["input_ids"]
        assert pair.ids == (whole if len(whole) <= 60 else [*whole[:59], fast.eos_token_id])
        assert pair.ids[-1] == fast.eos_token_id != fast.pad_token_id
    assert max(len(pair.ids) for pair in joined(pairs)) == 60


def test_documents_that_fit_behind_no_query_are_counted(tmp_path):
    found = opened(tmp_path, "encoder").documents(["short", "long " * 20])
    assert found.cut.tolist() == [False, True]
    assert len(found.ids[1]) == 40


def test_a_tokenizer_without_a_token_to_pad_with_is_refused(tmp_path):
    fast = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "tiny", kind="encoder"))
    fast.pad_token = fast.eos_token = None
    with pytest.raises(WeightsError, match="need a token to pad with"):
        open_pairs(fast, is_causal=False, max_tokens=40)
    with pytest.raises(WeightsError, match="scores a pair at its end-of-text token"):
        open_pairs(fast, is_causal=True, max_tokens=40)


def test_a_tokenizer_that_takes_no_pair_is_refused(tmp_path):
    from tokenizers import normalizers

    fast = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "tiny", kind="encoder"))
    fast.backend_tokenizer.normalizer = normalizers.Replace("a", "")
    with pytest.raises(WeightsError, match="a tokenizer that takes a pair of texts"):
        open_pairs(fast, is_causal=False, max_tokens=40)
