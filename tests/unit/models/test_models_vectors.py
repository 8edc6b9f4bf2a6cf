"""Encoding at scale: windows, processes, budgets, attention."""

import logging
import threading

import numpy as np
import pytest
import torch

from annatto.core.errors import AnnattoError, UsageError
from annatto.core.vectorfile import encode_to
from annatto.models import processes, vectors
from annatto.models.embedder import Embedder
from annatto.testing import tiny_model

WINDOWS = [[f"word{i} " * (i % 9 + 1) for i in range(start, start + 20)] for start in (0, 20, 40)]


@pytest.fixture(params=["decoder", "encoder"])
def model(request, tmp_path):
    folder = tiny_model(tmp_path / "tiny", kind=request.param)
    return Embedder.load(folder, instruction="Find it.", max_tokens=96)


@pytest.fixture
def decoder(tmp_path):
    return Embedder.load(tiny_model(tmp_path / "decoder"), max_tokens=96)


def test_a_plan_keeps_every_text_once_sorted_and_within_the_budget():
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, 3, rng.integers(1, 9)).tolist() for _ in range(200)]
    planned = vectors.plan(ids, 32)
    assert [list(planned.rows[i]) for i in planned.place] == ids
    assert len(set(map(tuple, planned.rows))) == len(planned.rows) < len(ids)
    lengths = [len(row) for row in planned.rows]
    assert lengths == sorted(lengths)
    assert [start for start, _ in planned.batches[1:]] == [stop for _, stop in planned.batches[:-1]]
    assert all((b - a) * lengths[b - 1] <= 32 for a, b in planned.batches)


def test_no_texts_have_no_vectors(model):
    assert model.encode([]).shape == (0, 32)
    assert list(model.encode_windows([])) == []


def test_windows_give_the_bytes_of_encode_and_are_tokenised_in_another_thread(model):
    threads = []

    def windows():
        for texts in WINDOWS:
            threads.append(threading.current_thread() is threading.main_thread())
            yield texts

    for found, texts in zip(model.encode_windows(windows(), prompt="query"), WINDOWS, strict=True):
        assert np.array_equal(found, model.encode(texts, prompt="query"))
    assert threads == [False] * 3


def test_a_window_that_fails_after_others_raises_its_own_error(model):
    def windows():
        yield WINDOWS[0]
        raise UsageError("no more")

    found = model.encode_windows(windows())
    assert len(next(found)) == 20
    with pytest.raises(UsageError, match="no more"):
        next(found)


def test_two_processes_give_the_bytes_of_one(decoder, tmp_path, caplog):
    short = Embedder.load(decoder.source, max_tokens=16)
    with torch.no_grad():  # weights as they are now, not as they were read
        next(short.model.parameters()).mul_(1.5)
    one = encode_to(tmp_path / "one.npy", WINDOWS, count=60, encoder=short)
    several = Embedder(**{**vars(short), "devices": 2})
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        two = encode_to(tmp_path / "two.npy", WINDOWS, count=60, encoder=several)
    assert np.array_equal(one, two)
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    assert (tmp_path / "one.npy.json").read_bytes() == (tmp_path / "two.npy.json").read_bytes()
    told = [record for record in caplog.records if "longer than 16 tokens" in record.getMessage()]
    assert len(told) == 3


def test_a_process_that_dies_is_one_sentence(decoder, monkeypatch):
    started = []

    def start(job, number):
        started.append(begin(job, number))
        return started[-1]

    begin = processes._start
    monkeypatch.setattr(processes, "_start", start)
    found = processes.encode_windows(decoder, WINDOWS, prompt="document", devices=1)
    assert len(next(found)) == 20
    started[0].process.kill()
    with pytest.raises(AnnattoError, match="process 0 that encodes ended with code -9"):
        list(found)


def test_processes_are_stopped_when_nobody_wants_more(decoder, monkeypatch):
    started = []
    begin = processes._start
    monkeypatch.setattr(
        processes, "_start", lambda *given: started.append(begin(*given)) or started[-1]
    )
    found = processes.encode_windows(decoder, WINDOWS, prompt="document", devices=1)
    next(found)
    found.close()
    assert not started[0].process.is_alive()


def test_a_prompt_that_cannot_be_used_starts_no_process(decoder, monkeypatch):
    monkeypatch.setattr(processes, "_start", None)
    with pytest.raises(UsageError, match="no prompt is called 'qery'"):
        list(processes.encode_windows(decoder, WINDOWS, prompt="qery", devices=2))


def test_no_device_is_refused(tmp_path):
    with pytest.raises(UsageError, match="devices must be at least 1; found 0"):
        Embedder.load(tiny_model(tmp_path / "tiny"), devices=0)


def test_attention_can_be_chosen_and_gives_the_same_vectors(model):
    assert model.attention == "sdpa"
    eager = Embedder.load(model.source, max_tokens=96, attn_implementation="eager")
    assert eager.attention == "eager"
    assert eager.reload("float32").attention == "eager"
    assert np.abs(eager.encode(WINDOWS[0]) - model.encode(WINDOWS[0])).max() < 1e-5


def test_attention_is_kept_by_processes(decoder):
    eager = Embedder.load(decoder.source, max_tokens=96, attn_implementation="eager", devices=2)
    (found,) = eager.encode_windows(WINDOWS[:1])
    assert np.array_equal(found, eager.encode(WINDOWS[0]))


def test_attention_that_is_unknown_or_cannot_run_here_names_what_is_possible(model, monkeypatch):
    with pytest.raises(UsageError, match="is called 'spda'; did you mean sdpa"):
        Embedder.load(model.source, attn_implementation="spda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"not found: a CUDA GPU, .*dtype bfloat16; choose sdpa"):
        Embedder.load(model.source, attn_implementation="flash_attention_2")


def test_what_fills_the_padding_does_not_matter(model):
    ids, mask = model.pad(model.tokenize(["short", "a longer text than that"]).ids)
    other = torch.where(mask.bool(), ids, 77)
    with torch.inference_mode():
        assert torch.equal(model.forward(ids, mask), model.forward(other, mask))
