"""A cross-encoder against transformers' own way with a pair."""

import json
import logging

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from annatto.core.errors import InputError, UsageError, WeightsError
from annatto.models import transformer
from annatto.models.reranker import CrossEncoder
from annatto.testing import check_scorer, tiny_model

QUERIES = [f"what about word{i} " * (i % 3 + 1) for i in range(14)]
DOCS = ["", "<sep> {x}", *(f"word{i} text " * (i % 8 + 1) for i in range(12))]


def by_transformers(folder, query, doc, limit):
    """The logit of one pair, tokenised and run by transformers alone."""
    fast = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    if model.config.model_type == "bert":
        given = fast([query], [doc], truncation="only_second", max_length=limit)
        assert set(given) == {"input_ids", "token_type_ids", "attention_mask"}
        given = {name: torch.tensor(rows) for name, rows in given.items()}
        with torch.no_grad():
            return float(model(**given).logits[0, 0])
    ids = fast(f"query: {query} document: {doc}")["input_ids"][: limit - 1]
    ids = [*ids, fast.eos_token_id]
    with torch.no_grad():
        return float(model(torch.tensor([ids])).logits[0, 0])


@pytest.mark.parametrize("limit", [512, 100])
def test_scores_are_those_of_transformers_pair_by_pair(reranker, limit, monkeypatch):
    monkeypatch.setattr(transformer, "THREAD_TOKENS", 300)
    model = CrossEncoder.load(reranker, max_tokens=limit)
    expected = [by_transformers(reranker, q, d, limit) for q, d in zip(QUERIES, DOCS, strict=True)]
    assert np.abs(model.score(QUERIES, DOCS) - expected).max() < 1e-5
    assert len(set(np.round(expected, 4))) > 8
    assert bool(model.over_limit(QUERIES, DOCS)) == (limit == 100)


def test_a_cross_encoder_keeps_the_contract_of_a_scorer(reranker):
    check_scorer(CrossEncoder.load(reranker))


def test_only_the_document_is_cut_and_cuts_are_counted(reranker, caplog):
    model = CrossEncoder.load(reranker, max_tokens=64, name="ours")
    tokens = model.tokenize(["why so"] * 2, ["short", "long " * 40])
    assert tokens.cut.tolist() == [False, True]
    assert all(len(pair.segments) == len(pair.ids) for pair in tokens.pairs)
    short, long = (pair.ids for pair in tokens.pairs)
    assert len(long) == 64
    assert short[-1] == long[-1]
    assert "why so" in model.pairs.tokenizer.fast.decode(long)
    with caplog.at_level(logging.WARNING):
        model.score(["why so"] * 2, ["short", "long " * 40])
    assert "ours: 1 of 2 texts are longer than 64 tokens" in caplog.text


def test_a_query_that_fills_the_limit_is_refused(reranker):
    model = CrossEncoder.load(reranker, max_tokens=40)
    with pytest.raises(UsageError, match=r"1 of 2 pairs .* no room \(first: 'why why"):
        model.score(["a", "why " * 30], ["", ""])
    with pytest.raises(UsageError, match="found 1 and 0"):
        model.score(["a"], [])


def test_annatto_json_gives_name_and_limit_and_what_is_said_goes_before(reranker):
    said = {"kind": "reranker", "format": 1, "name": "judge", "max_tokens": 77}
    (reranker / "annatto.json").write_text(json.dumps(said))
    model = CrossEncoder.load(reranker)
    assert (model.name, model.max_tokens) == ("judge", 77)
    model = CrossEncoder.load(reranker, name="other", max_tokens=50)
    assert (model.name, model.max_tokens) == ("other", 50)
    assert model.identity != CrossEncoder.load(reranker).identity
    (reranker / "annatto.json").unlink()
    model = CrossEncoder.load(reranker)
    assert (model.name, model.max_tokens) == ("reranker", 512)


def test_folders_that_hold_no_cross_encoder_are_refused(reranker, tmp_path):
    bare = tiny_model(tmp_path / "bare", kind="encoder")
    config = json.loads((bare / "config.json").read_text())
    with pytest.raises(WeightsError, match=r"needs one logit; .* has 2"):
        CrossEncoder.load(bare)
    config["id2label"] = {"0": "LABEL_0"}
    (bare / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"lacks \d of the weights .*classifier"):
        CrossEncoder.load(bare)
    (reranker / "annatto.json").write_text('{"pooling": "mean"}')
    with pytest.raises(WeightsError, match="holds an embedding model, not a reranker"):
        CrossEncoder.load(reranker)
    (reranker / "annatto.json").write_text("[")
    with pytest.raises(InputError, match="not readable JSON"):
        CrossEncoder.load(reranker)


def test_pickled_weights_are_refused(reranker):
    (reranker / "model.safetensors").rename(reranker / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"has no \.safetensors file"):
        CrossEncoder.load(reranker)
