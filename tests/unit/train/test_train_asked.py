"""Queries behind drawn demonstrations."""

import dataclasses
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import SchemaError, UsageError
from annatto.core.types import INSTRUCT, Prompt
from annatto.models import prompts
from annatto.models.embedder import Embedder
from annatto.testing import tiny_collection, tiny_model
from annatto.train import asked as asking
from annatto.train import demos
from annatto.train.asked import ask
from annatto.train.batches import build
from annatto.train.examples import examples
from annatto.train.loop import train
from annatto.train.settings import Settings
from annatto.train.tasks import Task

DEMOS = Settings(negatives=0, demos=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "tiny")
    return Embedder.load(folder, max_tokens=300, instruction="Find it.")


@pytest.fixture
def found():
    return examples(tiny_collection())


def asked(model, found, settings, seed=0):
    batch = build(found, np.arange(4), settings=settings, step=0)
    pool = demos.pool(tiny_collection(), found, seed=0) if settings.demos else None
    return ask(model, found.queries, batch, pool, settings, np.random.default_rng(seed))


def decoded(model, told):
    return [model.tokenizer.fast.decode(row) for row in told.tokens.ids]


def test_without_demonstrations_queries_are_read_as_in_search(model, found):
    told = asked(model, found, Settings(negatives=0))
    texts = found.queries["text"].to_pylist()[:4]
    assert told.tokens.ids == model.tokenize(texts, prompt="query").ids
    assert told.tokens.shared == model.tokenize(texts, prompt="query").shared > 8


def test_one_draw_serves_the_whole_batch_and_is_shared_by_it(model, found):
    counts = set()
    for seed in range(30):
        told = asked(model, found, DEMOS, seed)
        shown = decoded(model, told)
        fronts = {text[: text.rindex("Query: ")] for text in shown}
        assert len(fronts) == 1
        counts.add(fronts.pop().count("Response:"))
        whole = model.tokenizer.fast.decode(told.tokens.ids[0][: told.tokens.shared])
        assert shown[0].startswith(whole)
        assert whole.endswith("Query: ")
    assert counts == {0, 1, 2}


def test_each_query_can_have_a_draw_of_its_own(model, found):
    told = asked(model, found, dataclasses.replace(DEMOS, demos_per="query"), 3)
    fronts = {text[: text.rindex("Query: ")] for text in decoded(model, told)}
    assert len(fronts) > 1
    assert told.tokens.shared == 0


def test_long_sides_are_cut_and_counted(model, found, monkeypatch):
    pool = demos.pool(tiny_collection(), found, seed=0)
    long = dataclasses.replace(pool, document_texts=["word " * 200] * len(pool.query))
    monkeypatch.setattr(demos, "pool", lambda *_, **__: long)
    monkeypatch.setattr(asking, "shorten", partial(prompts.shorten, limit=40))
    told = next(told for seed in range(20) if (told := asked(model, found, DEMOS, seed)).cut)
    assert told.cut in (1, 2)
    assert not told.tokens.cut.any()


def test_training_with_demonstrations_repeats_to_the_same_bytes_and_logs_cuts(model):
    settings = Settings(steps=4, batch_size=4, negatives=0, demos=2, temperature=0.05)
    first, again = (train(tiny_collection(), model, settings=settings) for _ in range(2))
    without = train(tiny_collection(), model, settings=dataclasses.replace(settings, demos=0))
    assert first.weights_id == again.weights_id != without.weights_id
    assert all(row["demonstrations cut"] == 0 for row in first.card["notes"]["log"])


def test_a_pool_smaller_than_the_draw_is_refused_by_name(model):
    settings = Settings(steps=8, batch_size=20, negatives=0, demos=2)
    message = r"step 1 \(task 'tiny', queries .* needs up to 2 demonstrations .* 0 of the 20"
    with pytest.raises(SchemaError, match=message):
        train(tiny_collection(), model, settings=settings)


def test_too_few_are_refused_before_the_first_step_not_when_they_are_drawn(
    model, two_tasks, tmp_path
):
    few = {"weight": 0.05}  # the task is met late
    settings = Settings(
        steps=40, batch_size=6, negatives=0, demos=5, checkpoint_every=1,
        tasks={"alike": Task(**few)},
    )  # fmt: skip
    with pytest.raises(SchemaError, match=r"batch of step \d\d \(task 'alike', .* needs up to 5"):
        train(two_tasks, model, settings=settings, work=tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("per", ["batch", "query"])
def test_too_long_ones_are_refused_before_the_first_step(model, tmp_path, per):
    table = tiny_collection().corpus.to_table()
    texts = table["text"].to_pylist()
    texts[7] = "long " * 100
    column = pa.array(texts, pa.large_string())
    table = table.set_column(table.column_names.index("text"), "text", column)
    collection = dataclasses.replace(tiny_collection(), corpus=ds.dataset(table))
    settings = Settings(
        steps=2, batch_size=4, negatives=0, demos=4, demos_per=per, checkpoint_every=1
    )
    message = r"task 'tiny' may stand behind 4 demonstrations, and .* takes \d+ of 511 tokens"
    with pytest.raises(UsageError, match=message):
        train(collection, model, settings=settings, work=tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()
    train(collection, model, settings=dataclasses.replace(settings, demos=1))


def test_what_is_drawn_takes_the_place_of_stored_demonstrations_even_if_it_is_nothing(model, found):
    stored = Prompt(INSTRUCT, "Find it.", (("what about rare1 and piano", "stored"),))
    told = [asked(model.variant(prompts={"query": stored}), found, DEMOS, s) for s in range(30)]
    fronts = [decoded(model, one)[0] for one in told]
    assert {front.count("Response:") for front in fronts} == {0, 1, 2}
    assert not any("stored" in front for front in fronts)
