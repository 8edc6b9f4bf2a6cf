"""Tiny scorers of pairs: two random layers with a head, in folders that every loader reads."""

import json

import pytest
import torch
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from annatto.testing import tiny_model

PAIR = {
    "single": "<cls> $A <sep>",
    "pair": "<cls> $A <sep> $B:1 <sep>:1",
    "special_tokens": [("<cls>", 1), ("<sep>", 2)],
}


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
    with_head(folder, AutoModelForSequenceClassification, num_labels=1)
    if request.param == "encoder":
        fast = AutoTokenizer.from_pretrained(folder)
        fast.backend_tokenizer.post_processor = processors.TemplateProcessing(**PAIR)
        fast.save_pretrained(folder)
        said = json.loads((folder / "tokenizer_config.json").read_text())
        said["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder
