"""A query and a document in one sequence: the ids that transformers gives, and cuts."""

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from annatto.core.errors import WeightsError
from annatto.models.pairs import open_pairs
from annatto.testing import tiny_model

TEXTS = [("how old", "a year"), ("naïve 東京?", "many words " * 9), ("", "x"), ("why", "")]


def opened(folder, kind, max_tokens=40):
    place = tiny_model(folder / kind, kind=kind)
    model = AutoModel.from_pretrained(place)
    return open_pairs(AutoTokenizer.from_pretrained(place), model, max_tokens=max_tokens)


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
    pairs.tokenizer.fast.save_pretrained(tmp_path / "saved")
    fast = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for (query, document), pair in zip(TEXTS, joined(pairs), strict=True):
        whole = fast(f"query: {query} document: {document}")["input_ids"]
        assert pair.ids == (whole if len(whole) <= 60 else [*whole[:59], fast.eos_token_id])
        assert pair.ids[-1] == fast.eos_token_id
    assert max(len(pair.ids) for pair in joined(pairs)) == 60


def test_documents_that_fit_behind_no_query_are_counted(tmp_path):
    found = opened(tmp_path, "encoder").documents(["short", "long " * 20])
    assert found.cut.tolist() == [False, True]
    assert len(found.ids[1]) == 40


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
def test_a_query_is_crowded_where_not_a_token_of_a_document_fits_behind_it(tmp_path, kind):
    pairs = opened(tmp_path, kind)
    queries = pairs.queries(["x" * length for length in range(40)])
    crowded = pairs.crowded(queries).tolist()
    fits = [
        pairs.tokenizer.fast.decode(pairs.join(query, document).ids).count("z") > 0
        for query in queries
        for document in pairs.documents(["z"]).ids
    ]
    assert crowded == [i for i in range(40) if not fits[i]]
    assert 0 < len(crowded) < 40


def test_segments_are_told_where_tokenizer_and_model_know_them(tmp_path):
    place = tiny_model(tmp_path / "bert", kind="encoder")
    fast = AutoTokenizer.from_pretrained(place)
    model = AutoModel.from_pretrained(place)
    assert open_pairs(fast, model, max_tokens=40).has_types
    model.config.type_vocab_size = 1
    assert not open_pairs(fast, model, max_tokens=40).has_types
    assert not opened(tmp_path, "decoder").has_types


def test_a_tokenizer_without_a_token_to_pad_with_is_refused(tmp_path):
    fast = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "tiny", kind="encoder"))
    encoder = AutoModel.from_pretrained(tmp_path / "tiny")
    decoder = AutoModel.from_pretrained(tiny_model(tmp_path / "decoder"))
    fast.pad_token = fast.eos_token = None
    with pytest.raises(WeightsError, match="need a token to pad with"):
        open_pairs(fast, encoder, max_tokens=40)
    with pytest.raises(WeightsError, match="scores a pair at its end-of-text token"):
        open_pairs(fast, decoder, max_tokens=40)


def test_a_tokenizer_that_takes_no_pair_is_refused(tmp_path):
    from tokenizers import normalizers

    fast = AutoTokenizer.from_pretrained(tiny_model(tmp_path / "tiny", kind="encoder"))
    fast.backend_tokenizer.normalizer = normalizers.Replace("a", "")
    with pytest.raises(WeightsError, match="a tokenizer that takes a pair of texts"):
        open_pairs(fast, AutoModel.from_pretrained(tmp_path / "tiny"), max_tokens=40)
