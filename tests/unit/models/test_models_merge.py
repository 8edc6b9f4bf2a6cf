import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from annatto.core.errors import UsageError, WeightsError
from annatto.models.embedder import Embedder
from annatto.models.merge import merge
from annatto.models.verify import verify
from annatto.testing import tiny_model


def load(folder, **how):
    return Embedder.load(tiny_model(folder, **how))


@pytest.fixture
def two(tmp_path):
    return load(tmp_path / "a"), load(tmp_path / "b", seed=1)


def test_every_weight_lies_at_alpha_between_the_two(two, tmp_path):
    before, after = two
    merge(before, after, alpha=0.25).save(tmp_path / "m")
    saved = load_file(tmp_path / "m" / "model.safetensors")
    old, new = before.model.state_dict(), after.model.state_dict()
    assert set(saved) == set(old)
    for name, tensor in saved.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, 0.75 * old[name] + 0.25 * new[name])


@pytest.mark.parametrize("alpha", [0, 1])
def test_the_ends_are_the_two_models_themselves(two, alpha):
    mixed = merge(*two, alpha=alpha)
    for name, tensor in two[alpha].model.state_dict().items():
        assert torch.equal(mixed.model.state_dict()[name], tensor)
    texts = ["a text", "another"]
    assert np.array_equal(mixed.encode(texts), two[alpha].encode(texts))


def test_a_mixture_is_a_model_of_its_own_and_names_both_parents(two, tmp_path):
    before, after = two
    mixed = merge(before, after, alpha=0.5, name="mixed")
    assert len({before.weights_id, after.weights_id, mixed.weights_id}) == 3
    folder = mixed.save(tmp_path / "m")
    card = json.loads((folder / "card.json").read_text())
    assert card["kind"] == "model"
    assert card["settings"] == {"alpha": 0.5}
    assert card["inputs"]["before"] == {"name": "a", "weights_id": before.weights_id}
    assert card["inputs"]["after"] == {"name": "b", "weights_id": after.weights_id}
    assert Embedder.load(folder).name == "mixed"
    assert all(one.is_right for one in verify(str(folder)))


def test_the_parents_are_left_as_they_were(two):
    kept = [{k: v.clone() for k, v in one.model.state_dict().items()} for one in two]
    merge(*two, alpha=0.5)
    for one, old in zip(two, kept, strict=True):
        assert all(torch.equal(old[name], v) for name, v in one.model.state_dict().items())


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_an_alpha_that_is_no_share_is_refused(two, alpha):
    with pytest.raises(UsageError, match="alpha from 0 to 1"):
        merge(*two, alpha=alpha)


def test_another_architecture_is_refused(two, tmp_path):
    other = load(tmp_path / "c", kind="encoder")
    with pytest.raises(WeightsError, match="a and c cannot be mixed"):
        merge(two[0], other, alpha=0.5)


def test_another_number_of_layers_is_refused(two, tmp_path):
    short = Embedder.load(tmp_path / "b", layers=1)
    with pytest.raises(WeightsError, match="num_hidden_layers is 2 in one and 1 in the other"):
        merge(two[0], short, alpha=0.5)


def test_another_vocabulary_is_refused(two, tmp_path):
    two[1].tokenizer.fast.add_tokens(["added"])
    with pytest.raises(WeightsError, match="tokenizers cut texts differently"):
        merge(*two, alpha=0.5)


def test_rounded_weights_are_refused(two, tmp_path):
    with pytest.raises(UsageError, match="needs float32"):
        merge(two[0], Embedder.load(tmp_path / "b", dtype="bfloat16"), alpha=0.5)


def test_pickled_weights_are_refused(two, tmp_path):
    (tmp_path / "b" / "model.safetensors").unlink()
    (tmp_path / "b" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match="can run code"):
        Embedder.load(tmp_path / "b")


def test_another_pooling_is_refused(two):
    with pytest.raises(WeightsError, match="one is read at last, the other at mean pooling"):
        merge(two[0], two[1].variant(pooling="mean"), alpha=0.5)


def test_models_of_different_kinds_are_told_apart_by_their_kind(tmp_path):
    with pytest.raises(WeightsError, match="model_type is llama in one and bert in the other"):
        merge(load(tmp_path / "a"), load(tmp_path / "b", kind="encoder"), alpha=0.5)
