"""A transformers model in this process as an LLM."""

import pytest
import torch

from annatto.core.errors import WeightsError
from annatto.core.types import Ask, Failure
from annatto.models.local_llm import LocalLLM
from annatto.models.replies import Replies
from annatto.testing import tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny decoder with a language-model head: random weights, the same each time."""
    from transformers import AutoModelForCausalLM

    place = tiny_model(tmp_path_factory.mktemp("llm"), chat_template=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        AutoModelForCausalLM.from_pretrained(place).save_pretrained(place)
    return place


def test_replies_are_greedy_and_do_not_depend_on_company(folder):
    llm = LocalLLM.load(folder, name="tiny", max_new_tokens=8)
    asks = [Ask("a", "short"), Ask("b", "a longer question " * 5)]
    found = {answer.key: answer for answer in llm.ask(asks, str)}
    (alone,) = llm.ask(asks[1:], str)
    assert found["b"] == alone
    assert 0 < alone.written <= 8 < alone.tokens


def test_the_chat_template_is_what_the_model_reads_and_its_words_are_the_likeliest(folder):
    llm = LocalLLM.load(folder, max_new_tokens=4)
    model, tokenizer = llm._model, llm._tokenizer
    ids = tokenizer("<cls>hi<sep>")["input_ids"]
    for _ in range(4):  # the slow way
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    (answer,) = llm.ask([Ask("a", "hi")], str)
    assert answer.value == tokenizer.decode(ids[-4:], skip_special_tokens=True).strip()


def test_a_question_that_does_not_fit_is_a_failure(folder):
    llm = LocalLLM.load(folder, max_new_tokens=8)
    answers = list(llm.ask([Ask("a", "x" * 600), Ask("b", "hi")], str))
    assert isinstance(answers[0].value, Failure)
    assert answers[0].value.kind == "too long"
    assert isinstance(answers[1].value, str)


def test_stored_replies_are_not_written_again(folder, tmp_path, monkeypatch):
    first = LocalLLM.load(folder, max_new_tokens=4, replies=Replies.open(tmp_path / "r.jsonl"))
    before = list(first.ask([Ask("a", "hi")], str))
    first.close()
    again = LocalLLM.load(folder, max_new_tokens=4, replies=Replies.open(tmp_path / "r.jsonl"))
    monkeypatch.setattr(again, "_write", None)
    assert list(again.ask([Ask("a", "hi")], str)) == before


@pytest.mark.parametrize(
    ("kind", "told"),
    [("decoder", "lacks 1 of the weights"), ("encoder", "no causal language model")],
)
def test_a_model_without_a_language_model_head_is_refused(kind, told, tmp_path):
    with pytest.raises(WeightsError, match=told):
        LocalLLM.load(tiny_model(tmp_path, kind=kind))
