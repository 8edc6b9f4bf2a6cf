"""Which examples meet at which step."""

import dataclasses

import numpy as np
import pytest

from annatto.core.errors import UsageError
from annatto.testing import tiny_collection
from annatto.train.examples import examples
from annatto.train.plan import plan
from annatto.train.settings import Settings
from annatto.train.tasks import Task, check_names


def planned(found, lengths=None, **settings):
    return list(plan(found, settings=Settings(**settings), lengths=lengths))


def test_every_example_is_met_once_an_epoch_and_batches_hold_one_task(two_tasks):
    found = examples(two_tasks)
    batches = planned(found, batch_size=5, steps=6, seed=3)
    assert sorted(np.concatenate(batches)) == list(range(len(found.query)))
    assert all(len(set(found.task[rows])) == 1 for rows in batches)


def test_no_batch_is_left_with_a_single_example():
    found = examples(tiny_collection())
    sizes = [len(rows) for rows in planned(found, batch_size=19, steps=4)]
    assert sizes == [10, 10, 10, 10]


@pytest.mark.parametrize(
    ("rows", "batch_size", "buckets", "sizes"),
    [
        (5, 2, 1, [2, 3]),
        (5, 4, 4, [2, 3]),
        (5, 4, 20, [2, 3]),
        (3, 2, 1, [3]),
        (20, 2, 3, [2, 2, 2, 2, 3, 2, 2, 3, 2]),
        (1, 4, 3, [1]),
    ],
)
def test_no_example_is_left_alone_however_few_there_are(rows, batch_size, buckets, sizes):
    found = examples(tiny_collection())
    found = dataclasses.replace(found, query=found.query[:rows], task=found.task[:rows])
    lengths = np.arange(rows)
    settings = {"batch_size": batch_size, "buckets": buckets, "steps": 2 * len(sizes)}
    batches = planned(found, lengths, **settings)
    for epoch in (batches[: len(sizes)], batches[len(sizes) :]):
        assert sorted(map(len, epoch)) == sorted(sizes)
        assert sorted(np.concatenate(epoch)) == list(range(rows))


def test_the_plan_depends_on_the_seed_alone():
    found = examples(tiny_collection())
    one, two, other = (planned(found, batch_size=4, steps=7, seed=s) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_longer_plan_begins_with_the_shorter_one():
    found = examples(tiny_collection())
    short, long = planned(found, batch_size=4, steps=8), planned(found, batch_size=4, steps=20)
    assert all(np.array_equal(a, b) for a, b in zip(short, long, strict=False))


def test_a_tasks_weight_says_how_often_its_examples_are_met(two_tasks):
    found = examples(two_tasks)
    tasks = {"alike": Task(weight=2.5), "search": Task(weight=0.5)}
    per_round = [-(-int((found.task == number).sum()) // 4) for number in (0, 1)]
    steps = int(2 * (2.5 * per_round[0] + 0.5 * per_round[1]))
    met = np.bincount(np.concatenate(planned(found, batch_size=4, steps=steps, tasks=tasks)))
    assert set(met[found.task == 0]) == {5}
    assert set(met[found.task == 1]) == {1}


def test_a_bucketed_batch_holds_texts_of_similar_length_and_misses_no_example():
    found = examples(tiny_collection())
    lengths = np.random.default_rng(0).permutation(20)
    batches = planned(found, lengths, batch_size=5, steps=4, buckets=4)
    assert sorted(np.concatenate(batches)) == list(range(20))
    assert all(np.ptp(lengths[rows]) == 4 for rows in batches)
    mixed = planned(found, lengths, batch_size=5, steps=4)
    assert any(np.ptp(lengths[rows]) > 4 for rows in mixed)


def test_settings_for_a_task_that_is_not_there_name_the_nearest():
    with pytest.raises(UsageError, match="has the task 'serch'; did you mean search"):
        check_names({"serch": Task()}, ["search", "alike"])


@pytest.mark.parametrize(
    ("setting", "value"), [("weight", 0.0), ("temperature", -1.0), ("objective", "triplet")]
)
def test_task_settings_that_make_no_sense_are_named(setting, value):
    with pytest.raises(UsageError, match=setting):
        dataclasses.replace(Task(), **{setting: value})


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_rises_to_its_peak_and_falls_to_zero(schedule):
    settings = Settings(steps=40, lr=1.0, warmup=0.25, schedule=schedule)
    rates = [settings.rate(step) for step in range(41)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == 1.0
    assert rates[40] == pytest.approx(0)
    assert rates[25] == pytest.approx(0.5)
    assert rates[32] == pytest.approx(8 / 30 if schedule == "linear" else 0.1654, abs=1e-4)


def test_every_epoch_has_batches_of_its_own():
    found = examples(tiny_collection())
    batches = planned(found, batch_size=5, steps=8)
    epochs = [{frozenset(rows.tolist()) for rows in batches[at : at + 4]} for at in (0, 4)]
    assert not epochs[0] & epochs[1]
