"""A span reader against transformers' own way with a pair, token by token."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from annatto.core.errors import UsageError, WeightsError
from annatto.core.span import Reader
from annatto.models import transformer
from annatto.models.pairs import open_pairs
from annatto.models.span import LONGEST, SpanReader
from annatto.testing import tiny_model


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny") / "bert", kind="encoder")
    torch.manual_seed(3)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    model.qa_outputs.weight.data.normal_(std=1.0)
    fast = transformer.read_tokenizer(folder, ends_in_eos=False).fast
    pairs = open_pairs(fast, model, max_tokens=96)
    return SpanReader(name="r", model=model, pairs=pairs, floor=0.5, weights_id="w")


@pytest.fixture(scope="module")
def saved(reader, tmp_path_factory):
    return reader.save(tmp_path_factory.mktemp("saved") / "span")


def slowly(folder, query, doc):
    """The best span of a short pair, by every start and every end."""
    fast = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    given = fast(query, doc, return_tensors="pt", return_offsets_mapping=True)
    places = given.pop("offset_mapping")[0].tolist()
    kinds = given["token_type_ids"][0].tolist()
    with torch.no_grad():
        out = model(**given)
    starts, ends = out.start_logits[0], out.end_logits[0]
    inside = [i for i, kind in enumerate(kinds) if kind == 1][:-1]
    pairs = [(i, j) for i in inside for j in inside if i <= j < i + LONGEST]
    i, j = max(pairs, key=lambda p: float(starts[p[0]] + ends[p[1]]))
    lead = float(starts[i] + ends[j] - starts[0] - ends[0])
    return places[i][0], places[j][1], lead


def test_spans_are_those_found_by_trying_every_start_and_end(saved, monkeypatch):
    monkeypatch.setattr(transformer, "THREAD_TOKENS", 150)
    queries = [f"who{'o' * (i % 5)}?" for i in range(9)]
    docs = [f"It was {i} and then came " + "naïve é " * (i % 4) for i in range(9)]
    model = SpanReader.load(saved)
    assert isinstance(model, Reader)
    for query, doc, span in zip(queries, docs, model.read(queries, docs), strict=True):
        start, end, lead = slowly(saved, query, doc)
        assert (span.start, span.end) == (start, end)
        assert span.lead == pytest.approx(lead, abs=1e-4)


def test_a_long_document_is_read_to_its_end(reader):
    long = "word " * 60 + "the end is here."
    windows = list(reader._windows(["q"], [long]))
    best = max(reader._spans(windows), key=lambda span: span.lead)
    assert reader.read(["q"], [long])[0].lead == pytest.approx(best.lead, abs=1e-4)
    held = {place for window in windows for place in window.places}
    assert held == {(i, i + 1) for i in range(len(long))}
    assert all(len(window.pair.ids) <= 96 for window in windows)


def test_a_document_without_words_holds_no_answer(reader):
    found = reader.read(["q", "q"], ["", "a b"])
    assert found[0] == (0, 0, -np.inf)
    assert np.isfinite(found[1].lead)
    assert reader.read([], []) == []


def test_a_saved_reader_is_the_same_and_another_floor_can_be_given(reader, saved):
    loaded = SpanReader.load(saved)
    assert (loaded.name, loaded.floor, loaded.pairs.max_tokens) == ("span", 0.5, 96)
    assert loaded.read(["why"], ["because of it"]) == reader.read(["why"], ["because of it"])
    assert SpanReader.load(saved, floor=2.0, name="x").floor == 2.0


def test_what_cannot_be_read_is_refused(reader, tmp_path):
    with pytest.raises(WeightsError, match="holds a transformer, not a span reader"):
        SpanReader.load(tiny_model(tmp_path / "plain", kind="encoder"))
    with pytest.raises(UsageError, match="1 of 1 pairs have a query that leaves the document no"):
        reader.read(["why " * 60], ["x"])
