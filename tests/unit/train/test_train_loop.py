"""The training loop on a two-layer model."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from annatto.core.errors import SchemaError, UsageError
from annatto.core.tables import CANDIDATES, JUDGMENTS
from annatto.models.embedder import Embedder
from annatto.testing import tiny_collection, tiny_model
from annatto.train import loop
from annatto.train.examples import examples
from annatto.train.loop import train
from annatto.train.settings import Settings
from annatto.train.texts import tokenize

FAST = Settings(steps=6, batch_size=4, negatives=2, lr=5e-3, temperature=0.05, checkpoint_every=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "tiny")
    return Embedder.load(folder, max_tokens=48, instruction="Find it.")


def taught():
    """The tiny collection with 3 mined negatives a query and a teacher for all of them."""
    collection = tiny_collection()
    train_ids = [f"q{i:02}" for i in range(20)]
    mined = [(q, f"d{(i * 7 + j + 1) % 60:02}") for i, q in enumerate(train_ids) for j in range(3)]
    mined = [(q, d) for q, d in mined if d[1:] != q[1:]]
    judged = JUDGMENTS.table(
        {
            "query_id": [q for q, _ in mined],
            "doc_id": [d for _, d in mined],
            "grade": [0.0] * len(mined),
            "origin": ["mined:test"] * len(mined),
        }
    )
    pairs = [*mined, *((q, f"d{q[1:]}") for q in train_ids)]
    scores = CANDIDATES.table(
        {
            "query_id": [q for q, _ in pairs],
            "doc_id": [d for _, d in pairs],
            "source": ["teacher:test"] * len(pairs),
            "rank": [1] * len(pairs),
            "score": [1.0 if d[1:] == q[1:] else 0.2 for q, d in pairs],
        }
    )
    both = pa.concat_tables([collection.judgments, judged])
    return collection.with_judgments(both, "test").with_candidates(scores, "test")


def weights(embedder):
    return {name: value.numpy().copy() for name, value in embedder.model.state_dict().items()}


def same(left, right):
    return all(np.array_equal(value, right[name]) for name, value in left.items())


@pytest.mark.parametrize("rank", [4, 0])
def test_training_lowers_the_loss_and_leaves_the_starting_point_alone(model, rank):
    before = weights(model)
    settings = dataclasses.replace(FAST, steps=30, lora_rank=rank, teacher="teacher:test")
    trained = train(taught(), model, settings=settings)
    log = trained.card["notes"]["log"]
    assert np.mean([row["loss"] for row in log[-5:]]) < 0.8 * np.mean(
        [row["loss"] for row in log[:5]]
    )
    assert same(before, weights(model))
    assert not same(before, weights(trained))
    assert trained.weights_id != model.weights_id


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(model):
    first, again = (train(taught(), model, settings=FAST) for _ in range(2))
    other = train(taught(), model, settings=dataclasses.replace(FAST, seed=1))
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))


def test_a_run_stopped_between_checkpoints_resumes_to_the_same_bytes(model, tmp_path, monkeypatch):
    whole = train(taught(), model, settings=FAST)
    update = loop._update

    def stop_at_four(course, optimizer, rows, number):
        if number == 3:
            raise KeyboardInterrupt
        return update(course, optimizer, rows, number)

    monkeypatch.setattr(loop, "_update", stop_at_four)
    with pytest.raises(KeyboardInterrupt):
        train(taught(), model, settings=FAST, work=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-00000002",
        "metrics.jsonl",
    ]
    done = []

    def count(course, optimizer, rows, number):
        done.append(number)
        return update(course, optimizer, rows, number)

    monkeypatch.setattr(loop, "_update", count)
    resumed = train(taught(), model, settings=FAST, work=tmp_path)
    assert done == [2, 3, 4, 5]
    assert same(weights(whole), weights(resumed))
    assert whole.card["notes"]["log"] == resumed.card["notes"]["log"]


def test_a_checkpoint_of_other_settings_is_refused(model, tmp_path):
    train(taught(), model, settings=FAST, work=tmp_path)
    with pytest.raises(UsageError, match="belongs to another model, collection or settings"):
        train(taught(), model, settings=dataclasses.replace(FAST, seed=9), work=tmp_path)


def test_gradient_caching_meets_the_same_losses_and_gradients(model):
    whole = train(taught(), model, settings=dataclasses.replace(FAST, chunk_tokens=10**6))
    pieces = train(taught(), model, settings=dataclasses.replace(FAST, chunk_tokens=200))
    for left, right in zip(whole.card["notes"]["log"], pieces.card["notes"]["log"], strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-3)
        assert left["gradient"] == pytest.approx(right["gradient"], rel=1e-3)


def test_minutes_choose_the_number_of_steps_once_and_write_it_down(model, tmp_path):
    settings = dataclasses.replace(FAST, minutes=0.03, checkpoint_every=1000)
    trained = train(taught(), model, settings=settings, work=tmp_path)
    steps = json.loads((tmp_path / "steps.json").read_text())["steps"]
    assert len(trained.card["notes"]["log"]) == steps == trained.card["settings"]["steps"]
    assert trained.card["notes"]["log"][-1]["lr"] < trained.card["notes"]["log"][-2]["lr"]


def test_a_teacher_that_is_the_starting_point_is_refused_unless_told_otherwise(model):
    collection = taught()
    card = {"sources": {"teacher:test": {"weights_id": model.weights_id}}}
    collection = dataclasses.replace(collection, card=card)
    settings = dataclasses.replace(FAST, steps=1, teacher="teacher:test")
    with pytest.raises(UsageError, match="is tiny itself, the model to be trained"):
        train(collection, model, settings=settings)
    train(collection, model, settings=dataclasses.replace(settings, self_teaching=True))


def test_a_positive_without_a_teacher_score_is_named(model):
    settings = dataclasses.replace(FAST, teacher="teacher:other")
    with pytest.raises(SchemaError, match=r"20 of 20 lack one \(first: query 'q00'\)"):
        train(taught(), model, settings=settings)


def test_a_collection_without_positives_is_refused(model):
    bare = dataclasses.replace(tiny_collection(), judgments=JUDGMENTS.empty())
    with pytest.raises(SchemaError, match="none has a positive"):
        train(bare, model, settings=FAST)


def test_a_loss_that_is_no_number_stops_the_run(model):
    settings = dataclasses.replace(FAST, lr=1e30, steps=20, lora_rank=0)
    with pytest.raises(Exception, match=r"the loss of step \d+ is nan"):
        train(taught(), model, settings=settings)


def test_a_trained_model_keeps_its_vectors_when_saved_and_loaded(model, tmp_path):
    trained = train(taught(), model, settings=FAST)
    trained.save(tmp_path / "model")
    loaded = Embedder.load(tmp_path / "model")
    texts = ["rare1 piano", "glacier"]
    assert (
        np.abs(loaded.encode(texts, prompt="query") - trained.encode(texts, prompt="query")).max()
        < 1e-6
    )
    assert loaded.prompts["query"].instruction == "Find it."


def test_the_number_of_steps_is_kept_for_the_same_run_and_no_other(model, tmp_path):
    settings = dataclasses.replace(FAST, minutes=0.02, checkpoint_every=1000)
    for change in ({}, {"seed": 5}):
        train(taught(), model, settings=settings, work=tmp_path)
        said = json.loads((tmp_path / "steps.json").read_text())
        (tmp_path / "steps.json").write_text(json.dumps({**said, "steps": 2}))
        for place in tmp_path.glob("checkpoint-*"):
            shutil.rmtree(place)
        again = train(taught(), model, settings=settings, work=tmp_path)
        assert len(again.card["notes"]["log"]) == 2
        for place in tmp_path.glob("checkpoint-*"):
            shutil.rmtree(place)
        settings = dataclasses.replace(settings, **change)


def test_a_checkpoint_of_another_collection_is_refused(model, tmp_path):
    train(taught(), model, settings=FAST, work=tmp_path)
    other = tiny_collection()
    with pytest.raises(UsageError, match="belongs to another model, collection or settings"):
        train(other, model, settings=FAST, work=tmp_path)


def test_training_goes_on_from_the_weights_it_is_given_not_from_their_source(model):
    once = train(taught(), model, settings=FAST)
    twice = train(taught(), once, settings=FAST)
    assert not same(weights(once), weights(twice))
    assert twice.card["inputs"]["weights_id"] == once.weights_id
    assert same(weights(once), weights(once.reload("float32")))


def test_the_card_names_the_tasks_of_this_training_and_of_those_before(model):
    short = dataclasses.replace(FAST, steps=1)
    earlier = dataclasses.replace(model, card={"notes": {"tasks": ["older"]}})
    assert train(taught(), model, settings=short).card["notes"]["tasks"] == ["tiny"]
    assert train(taught(), earlier, settings=short).card["notes"]["tasks"] == ["older", "tiny"]


def test_dropout_depends_on_the_step_alone_so_a_resumed_run_draws_the_same(tmp_path, monkeypatch):
    folder = tiny_model(tmp_path / "bert", kind="encoder")
    model = Embedder.load(folder, max_tokens=48)
    settings = dataclasses.replace(FAST, lora_rank=0, steps=4)
    whole = train(taught(), model, settings=settings, work=tmp_path / "whole")
    update = loop._update

    def stop_at_three(course, optimizer, rows, number):
        if number == 2:
            raise KeyboardInterrupt
        return update(course, optimizer, rows, number)

    monkeypatch.setattr(loop, "_update", stop_at_three)
    with pytest.raises(KeyboardInterrupt):
        train(taught(), model, settings=settings, work=tmp_path / "work")
    monkeypatch.setattr(loop, "_update", update)
    torch.manual_seed(99)
    resumed = train(taught(), model, settings=settings, work=tmp_path / "work")
    assert same(weights(whole), weights(resumed))


def test_the_teacher_its_weight_and_lora_alpha_change_what_is_learnt(model):
    base = dataclasses.replace(FAST, steps=2, teacher="teacher:test")
    plain = train(taught(), model, settings=base)
    for change in ({"teacher_weight": 0.0}, {"teacher": ""}, {"lora_alpha": 64}):
        other = train(taught(), model, settings=dataclasses.replace(base, **change))
        assert not same(weights(plain), weights(other)), change
    none, hard = (
        train(taught(), model, settings=dataclasses.replace(base, **change))
        for change in ({"teacher_weight": 0.0}, {"teacher": ""})
    )
    assert same(weights(none), weights(hard))


def test_gradients_longer_than_one_are_clipped(model, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def measured(self, *args, **kwargs):
        found = [
            p.grad.norm() for g in self.param_groups for p in g["params"] if p.grad is not None
        ]
        norms.append(float(torch.stack(found).norm()))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", measured)
    trained = train(taught(), model, settings=dataclasses.replace(FAST, lora_rank=0))
    assert max(row["gradient"] for row in trained.card["notes"]["log"]) > 1.1
    assert max(norms) < 1.001


def test_training_reads_queries_and_documents_as_encoding_does(model):
    collection = taught()
    found = examples(collection)
    texts = tokenize(collection, model, found)
    asked = found.queries["text"].to_pylist()
    shown = model.tokenize(asked, prompt="query").ids
    assert list(texts.queries) == [len(row) for row in shown]
    documents = next(collection.document_texts(texts.rows))
    assert texts.read(texts.rows) == model.tokenize(documents).ids


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lr", float("nan")), ("minutes", -1.0), ("warmup", 1.5), ("teacher_weight", -1.0),
     ("lora_alpha", 0), ("temperature", 0.0), ("seed", -1)],
)  # fmt: skip
def test_settings_that_make_no_sense_are_named(setting, value):
    with pytest.raises(UsageError, match=setting):
        dataclasses.replace(FAST, **{setting: value})
