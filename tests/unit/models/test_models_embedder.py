"""Vectors: ours, saved and reloaded, sentence-transformers', any padding, any batch."""

import dataclasses
import json
import logging

import numpy as np
import pytest
import torch
from transformers import AutoModel, RobertaConfig

from annatto.core.errors import UsageError, WeightsError
from annatto.core.types import Prompt
from annatto.models import shown, weights
from annatto.models.embedder import Embedder
from annatto.models.prompts import instruct
from annatto.testing import check_encoder, tiny_model

KINDS = [("decoder", False, False), ("decoder", True, False), ("decoder", True, True),
         ("encoder", False, False)]  # fmt: skip
TEXTS = [
    *(f"word{i} " * (i % 17 + 1) for i in range(40)),
    "naïve café 東京 ሰላም 😀",
    "  spaces around  ",
    "def f(x):\n\treturn x\n",
    "a",
]


def here(name):
    try:
        return weights.resolve(name)
    except WeightsError as error:
        pytest.skip(str(error))


def mixed_texts():
    words = ["the", "river", "code", "sort", "how", "protein", "東京", "naïve", "x9", "{", "=="]
    rng = np.random.default_rng(0)
    return [
        " ".join(rng.choice(words, rng.integers(1, 300 if i % 10 == 0 else 40))) for i in range(200)
    ]


@pytest.fixture(params=KINDS, ids=["decoder", "chat", "bidirectional", "encoder"])
def model(request, tmp_path):
    kind, chat_template, bidirectional = request.param
    folder = tiny_model(tmp_path / "tiny", kind=kind, chat_template=chat_template)
    return Embedder.load(folder, instruction="Find it.", max_tokens=96, bidirectional=bidirectional)


def test_it_keeps_the_contract_of_an_encoder(model):
    check_encoder(model)


def test_padding_side_and_batch_size_do_not_matter(model):
    together = model.encode(TEXTS)
    alone = np.concatenate([model.encode([text]) for text in TEXTS])
    ids = model.tokenize(TEXTS).ids
    width = max(len(row) for row in ids) + 3
    left = torch.tensor([[7] * (width - len(row)) + row for row in ids])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids])
    with torch.inference_mode():
        padded = model.forward(left, mask).numpy()
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - padded).max() < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_sentence_transformers_gives_the_vectors_of_a_saved_model(model, tmp_path):
    from sentence_transformers import SentenceTransformer

    model.save(tmp_path / "saved")
    theirs = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert np.abs(theirs.encode_document(TEXTS) - model.encode(TEXTS)).max() < 1e-5
    queries = model.encode(TEXTS, prompt="query")
    assert np.abs(theirs.encode_query(TEXTS) - queries).max() < 1e-5
    assert np.abs(queries - model.encode(TEXTS)).max() > 1e-2


def test_a_saved_model_reloads_to_the_same_vectors_prompts_and_probes(model, tmp_path):
    model.save(tmp_path / "saved")
    loaded = Embedder.load(tmp_path / "saved")
    assert np.array_equal(loaded.encode(TEXTS), model.encode(TEXTS))
    assert (loaded.name, loaded.pooling, loaded.prompts) == ("tiny", model.pooling, model.prompts)
    for probe in json.loads((tmp_path / "saved" / "annatto.json").read_text())["probes"]:
        vector = loaded.encode([probe["text"]], prompt=probe["prompt"])[0]
        assert np.abs(vector - np.array(probe["vector"])).max() < 1e-5


def test_weights_that_changed_after_saving_are_refused(model, tmp_path):
    from safetensors.torch import load_file, save_file

    model.save(tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors"
    tensors = {name: tensor + 1e-3 for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="changed since it was saved"):
        Embedder.load(tmp_path / "saved")


@pytest.mark.filterwarnings("ignore")
def test_minilm_equals_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    folder = here("minilm")
    theirs = SentenceTransformer(str(folder), device="cpu")
    texts = mixed_texts()
    ours = Embedder.load("minilm").encode(texts)
    assert np.abs(ours - theirs.encode(texts, normalize_embeddings=True)).max() < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_smollm2_saved_by_us_equals_sentence_transformers_despite_its_chat_template(tmp_path):
    from sentence_transformers import SentenceTransformer

    assert (here("smollm2") / "chat_template.jinja").exists()
    model = Embedder.load("smollm2", layers=2, max_tokens=64, instruction="Find it.")
    model.save(tmp_path / "saved")
    theirs = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    texts = mixed_texts()[:40]
    assert np.abs(theirs.encode_query(texts) - model.encode(texts, prompt="query")).max() < 1e-5
    assert np.abs(theirs.encode_document(texts) - model.encode(texts)).max() < 1e-5


def test_bidirectional_attention_lets_the_first_token_see_the_last(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    for bidirectional in (False, True):
        model = Embedder.load(folder, pooling="first", bidirectional=bidirectional)
        same = np.allclose(*model.encode(["ab", "ac"]), atol=1e-6)
        assert same is not bidirectional


def test_long_texts_are_counted_and_keep_their_end_token(tmp_path, caplog):
    model = Embedder.load(tiny_model(tmp_path / "tiny"), max_tokens=8)
    with caplog.at_level(logging.WARNING):
        model.encode(["short", "far too long"])
    assert "1 of 2 texts are longer than 8 tokens" in caplog.text
    assert model.over_limit(["short", "far too long"]) == 1
    ids = model.tokenize(["far too long"]).ids[0]
    assert len(ids) == 8
    assert ids[-1] == model.tokenizer.fast.eos_token_id


def test_an_instruction_longer_than_the_window_is_refused(tmp_path):
    model = Embedder.load(tiny_model(tmp_path / "tiny"), max_tokens=16, instruction="x" * 40)
    with pytest.raises(UsageError, match="leaves no room for a text"):
        model.encode(["a"], prompt="query")


def test_an_empty_text_has_a_vector(model):
    assert np.linalg.norm(model.encode([""])) == pytest.approx(1)


def test_prompts_are_found_by_task_then_by_role(tmp_path):
    model = Embedder.load(tiny_model(tmp_path / "tiny"), max_tokens=64)
    model = model.variant(prompts={"query/law": instruct("Find the law.")})
    law = model.encode(["a"], prompt="query/law")
    assert not np.allclose(law, model.encode(["a"], prompt="query/other"))
    given = Prompt("Instruct: {instruction}\nQuery: {text}", "Find the law.")
    assert np.array_equal(law, model.encode(["a"], prompt=given))
    with pytest.raises(UsageError, match="no prompt is called 'qery'; did you mean query"):
        model.encode(["a"], prompt="qery")


def test_keeping_fewer_layers_changes_the_identity_and_too_many_are_refused(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    whole, half = Embedder.load(folder), Embedder.load(folder, layers=1)
    assert whole.weights_id != half.weights_id
    assert not np.allclose(whole.encode(["a"]), half.encode(["a"]))
    with pytest.raises(WeightsError, match="has 2 layers; 3 cannot be kept"):
        Embedder.load(folder, layers=3)


def test_unknown_pooling_and_dtype_name_the_known_ones(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    with pytest.raises(UsageError, match="no pooling is called 'mena'; did you mean mean"):
        Embedder.load(folder, pooling="mena")
    with pytest.raises(UsageError, match="no dtype is called 'float16'"):
        Embedder.load(folder, dtype="float16")
    with pytest.raises(UsageError, match="max_tokens must be at least 8; found 0"):
        Embedder.load(folder, max_tokens=0)


def test_bfloat16_stays_near_float32(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    exact = Embedder.load(folder).encode(TEXTS)
    rough = Embedder.load(folder, dtype="bfloat16").encode(TEXTS)
    assert (exact * rough).sum(1).min() > 0.99


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("annatto.json", "{}", "does not say pooling"),
        ("config.json", "{}", "names no model that can be loaded"),
        ("tokenizer.json", None, "has no tokenizer that can be loaded"),
    ],
)
def test_a_damaged_model_folder_is_one_sentence(tmp_path, file, content, message):
    Embedder.load(tiny_model(tmp_path / "tiny"), max_tokens=32).save(tmp_path / "saved")
    path = tmp_path / "saved" / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(WeightsError, match=message):
        Embedder.load(tmp_path / "saved")


def test_a_saved_model_has_no_chat_template(tmp_path):
    folder = tiny_model(tmp_path / "tiny", chat_template=True)
    assert (folder / "chat_template.jinja").exists()
    Embedder.load(folder).save(tmp_path / "saved")
    assert not (tmp_path / "saved" / "chat_template.jinja").exists()
    said = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert not said.get("chat_template")


def test_a_default_prompt_of_sentence_transformers_is_the_document_prompt(tmp_path):
    Embedder.load(tiny_model(tmp_path / "tiny"), max_tokens=32).save(tmp_path / "saved")
    (tmp_path / "saved" / "annatto.json").unlink()
    said = {"prompts": {"passage": "passage: "}, "default_prompt_name": "passage"}
    (tmp_path / "saved" / "config_sentence_transformers.json").write_text(json.dumps(said))
    model = Embedder.load(tmp_path / "saved")
    plain = Prompt.plain()
    whole = model.encode(["passage: text"], prompt=plain)
    assert np.abs(model.encode(["text"]) - whole).max() < 1e-6


def test_positions_that_padding_takes_are_no_room_for_a_text(tmp_path):
    folder = tiny_model(tmp_path / "roberta", kind="encoder")
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = RobertaConfig(
        **shape, intermediate_size=64, vocab_size=260, max_position_embeddings=66, pad_token_id=1
    )
    AutoModel.from_config(config).save_pretrained(folder)
    model = Embedder.load(folder)
    assert model.max_tokens == shown.read(folder).max_tokens == 64
    assert model.encode(["long " * 40]).shape == (1, 32)


def test_rounded_weights_that_were_never_saved_are_not_taken_for_those_of_the_folder(tmp_path):
    model = Embedder.load(tiny_model(tmp_path / "tiny"), layers=1)
    assert model.reload("bfloat16").reload("float32").weights_id == model.weights_id
    with torch.no_grad():
        next(model.model.parameters()).mul_(2)
    rounded = dataclasses.replace(model, weights_id="of what was trained").reload("bfloat16")
    with pytest.raises(UsageError, match="rounded to bfloat16 in memory, which cannot be undone"):
        rounded.save(tmp_path / "saved")
    assert rounded.reload("bfloat16").dtype == "bfloat16"
