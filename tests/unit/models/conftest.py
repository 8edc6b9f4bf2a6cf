"""Tiny scorers of pairs: two random layers with a head, in folders that every loader reads."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from annatto.testing import tiny_model


def with_head(folder, auto, **settings):
    """Put a random head on the model in `folder`, and save it there."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = auto.from_pretrained(folder, **settings)
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def language_model(tmp_path):
    return with_head(tiny_model(tmp_path / "lm"), AutoModelForCausalLM)


@pytest.fixture(params=["encoder", "decoder"])
def reranker(request, tmp_path):
    folder = tiny_model(tmp_path / "reranker", kind=request.param)
    return with_head(folder, AutoModelForSequenceClassification, num_labels=1)
