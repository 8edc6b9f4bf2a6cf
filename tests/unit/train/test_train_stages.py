"""Trainings in a row, and what a student takes over from the model that it begins as."""

import dataclasses

import numpy as np
import pytest

from annatto.core.errors import UsageError
from annatto.testing import tiny_collection
from annatto.train import course, loop
from annatto.train.loop import train


@pytest.mark.parametrize("rank", [0, 4])
def test_what_training_returned_can_be_trained_again(tiny, fast, rank):
    settings = dataclasses.replace(fast, steps=2, lora_rank=rank)
    once = train(tiny_collection(), tiny, settings=settings)
    twice = train(tiny_collection(), once, settings=settings)
    assert len({tiny.weights_id, once.weights_id, twice.weights_id}) == 3


@pytest.mark.parametrize("rank", [0, 4])
def test_a_student_is_in_training_mode_from_the_start_as_a_timed_probe_wants_it(tiny, fast, rank):
    settings = dataclasses.replace(fast, lora_rank=rank)
    made = course.prepare(tiny_collection(), tiny, settings, evaluate=None, work=None)
    assert all(module.training for module in made.step.model.model.modules())


def test_a_student_encodes_windows_with_its_own_weights_however_many_devices(tiny, fast):
    found = []

    def evaluate(student):
        (windows,) = student.encode_windows([["rare1 river"]])
        found.append(np.abs(windows - student.encode(["rare1 river"])).max())
        return 0.0

    settings = dataclasses.replace(fast, steps=1, lora_rank=4, evaluate_every=1)
    once = train(tiny_collection(), tiny, settings=settings, evaluate=lambda _: 0.0)
    several = dataclasses.replace(once, devices=2)
    trained = train(tiny_collection(), several, settings=settings, evaluate=evaluate)
    assert found == [0.0]
    assert trained.devices == 2


def test_seeds_beyond_32_bits_are_taken(tiny, fast):
    long = dataclasses.replace(fast, steps=1, seed=1_700_000_000_000)
    assert len(train(tiny_collection(), tiny, settings=long).card["notes"]["log"]) == 1


def test_a_refused_run_leaves_the_number_of_steps_of_the_other_alone(
    tiny, fast, tmp_path, monkeypatch
):
    settings = dataclasses.replace(fast, minutes=0.01, checkpoint_every=1)
    save = loop.checkpoint.save

    def save_and_fail(*given, **named):
        save(*given, **named)
        raise KeyError

    monkeypatch.setattr(loop.checkpoint, "save", save_and_fail)
    with pytest.raises(KeyError):
        train(tiny_collection(), tiny, settings=settings, work=tmp_path)
    before = (tmp_path / "steps.json").read_bytes()
    with pytest.raises(UsageError, match="belongs to another model, collection or settings"):
        train(
            tiny_collection(), tiny, settings=dataclasses.replace(settings, lr=1.0), work=tmp_path
        )
    assert (tmp_path / "steps.json").read_bytes() == before
