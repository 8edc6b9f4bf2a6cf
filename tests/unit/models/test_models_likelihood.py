"""Query likelihood against one forward per pair, token by token."""

import logging

import numpy as np
import pytest
import torch

from annatto.core.errors import InputError, UsageError, WeightsError
from annatto.models import transformer, weights
from annatto.models.likelihood import ASK, HEAD, Likelihood
from annatto.testing import check_scorer, tiny_model

QUERIES = [f"what about word{i} " * (i % 3 + 1) for i in range(12)]
DOCS = ["", *(f"word{i} {{x}} " * (i % 7 + 1) for i in range(11))]


def slowly(model, query, doc, room):
    """Mean log p of the query's tokens, from a forward of the pair alone, one token at a time."""
    fast = model.tokenizer.fast

    def ids(text):
        return fast(text, add_special_tokens=False)["input_ids"]

    given = [*model.tokenizer.before, *ids(HEAD), *ids(doc)[:room], *ids(ASK)]
    total, asked = 0.0, ids(f" {query}")
    for token in asked:
        with torch.no_grad():
            logits = model.model(torch.tensor([given])).logits[0, -1]
        total += float(logits.double().log_softmax(0)[token])
        given.append(token)
    return total / len(asked)


def test_scores_are_those_of_one_token_after_another(language_model, monkeypatch):
    monkeypatch.setattr(transformer, "THREAD_TOKENS", 300)
    model = Likelihood.load(language_model)
    scores = model.score(QUERIES, DOCS)
    expected = [slowly(model, q, d, 400) for q, d in zip(QUERIES, DOCS, strict=True)]
    assert np.abs(scores - expected).max() < 1e-5
    assert len(set(scores.round(4).tolist())) > 6
    assert (scores < 0).all()


def test_a_likelihood_keeps_the_contract_of_a_scorer(language_model):
    check_scorer(Likelihood.load(language_model))


def test_a_model_that_gives_all_logits_scores_the_same(language_model, monkeypatch):
    model = Likelihood.load(language_model)
    expected = model.score(QUERIES, DOCS)
    whole = model.model.forward

    def forward(input_ids, attention_mask, use_cache):
        return whole(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    monkeypatch.setattr(model.model, "forward", forward)
    assert np.abs(model.score(QUERIES, DOCS) - expected).max() < 1e-6


def test_only_documents_are_cut_and_cuts_are_counted(language_model, caplog):
    model = Likelihood.load(language_model, max_tokens=100, name="lm")
    docs = ["short", "long " * 40]
    room = 100 - len(HEAD) - len(ASK) - len(" what is it")
    with caplog.at_level(logging.WARNING):
        scores = model.score(["what is it"] * 2, docs)
    assert scores[1] == pytest.approx(slowly(model, "what is it", docs[1], room), abs=1e-5)
    assert model.over_limit(["what is it"] * 2, docs) == 1
    assert "lm: 1 of 2 texts are longer than 100 tokens" in caplog.text
    assert max(len(row) for row in model.tokenize(["what is it"] * 2, docs).ids) == 100


def test_what_cannot_be_scored_is_refused_by_name(language_model, tmp_path):
    model = Likelihood.load(language_model, max_tokens=80)
    with pytest.raises(UsageError, match=r"1 of 2 pairs leave the document no room \(first: 'why"):
        model.score(["a", "why " * 30], ["", ""])
    with pytest.raises(UsageError, match="as many queries as documents; found 1 and 2"):
        model.score(["a"], ["b", "c"])
    with pytest.raises(WeightsError, match=r"lacks 1 of the weights that CausalLM needs.*lm_head"):
        Likelihood.load(tiny_model(tmp_path / "bare"))
    with pytest.raises(WeightsError, match="no causal language model: 'bert' reads both ways"):
        Likelihood.load(tiny_model(tmp_path / "bert", kind="encoder"))


def test_a_query_without_tokens_is_refused(language_model, monkeypatch):
    model = Likelihood.load(language_model)
    monkeypatch.setattr(
        "annatto.models.likelihood.distinct_ids", lambda _, texts: [[]] * len(texts)
    )
    with pytest.raises(InputError, match=r"1 of 1 queries have none \(first: pair 0\)"):
        model.score([""], ["x"])


def test_the_identity_tells_weights_prompt_and_limit_apart(language_model, tmp_path):
    one = Likelihood.load(language_model).identity
    other = tiny_model(tmp_path / "lm2", seed=5)
    assert one == Likelihood.load(language_model).identity
    assert one != Likelihood.load(language_model, max_tokens=99).identity
    assert "Passage: {document}" in one["template"]
    assert one["weights_id"] != weights.file_hash(other / "model.safetensors")


def test_a_real_model_finds_the_query_more_likely_behind_its_passage():
    try:
        model = Likelihood.load("smollm2", max_tokens=96)
    except WeightsError as error:
        pytest.skip(str(error))
    passages = [
        "Saffron is a spice derived from the flower of Crocus sativus.",
        "A glacier is a persistent body of dense ice moving under its own weight.",
    ]
    queries = ["what spice comes from the crocus flower", "moving mass of ice"]
    scores = model.score([q for q in queries for _ in passages], passages * 2).reshape(2, 2)
    assert (scores.argmax(axis=1) == [0, 1]).all()
