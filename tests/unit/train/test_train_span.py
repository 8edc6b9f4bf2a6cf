"""A span reader learns where answers stand, and that there may be none."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from annatto.core.errors import SchemaError, UsageError, WeightsError
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.testing import tiny_model
from annatto.train import span
from annatto.train.answers import place_of
from annatto.train.span import best_floor, train, with_floor
from annatto.train.span_settings import SpanSettings

SHORT = SpanSettings(steps=6, batch_size=4, max_tokens=64, lr=3e-3, checkpoint_every=2)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("tiny") / "bert", kind="encoder")


@pytest.fixture
def asked():
    """30 queries `key K?`; the positive holds the answer in digits, the negatives hold none."""
    letters = "abcdefghijklmnopqrstuvwxyzABCD"
    rng = np.random.default_rng(0)
    filler = ["so it is ", "and thus ", "we go on ", "oh well, "]
    numbers = [str(rng.integers(100, 999)) for _ in letters]
    texts = {f"p{i:02}": rng.choice(filler) + numbers[i] + " yes" for i in range(30)}
    texts |= {f"n{i:02}": rng.choice(filler) + rng.choice(filler) for i in range(30)}
    judged = [(f"q{i:02}", f"p{i:02}", 1.0, "gold") for i in range(30)]
    judged += [
        (f"q{i:02}", f"n{(i + k) % 30:02}", 0.0, "mined:t") for i in range(30) for k in range(3)
    ]
    queries = QUERIES.table(
        {
            "query_id": [f"q{i:02}" for i in range(30)],
            "text": [f"key {letter}?" for letter in letters],
            "task": ["t"] * 30,
            "split": ["train"] * 22 + ["dev"] * 8,
        }
    )
    columns = zip(*judged, strict=True)
    return Collection(
        corpus=ds.dataset(
            CORPUS.table({"doc_id": list(texts), "title": [""] * 60, "text": list(texts.values())})
        ),
        queries=queries.append_column("answers", pa.array([[n] for n in numbers])),
        judgments=JUDGMENTS.table(
            dict(zip(["query_id", "doc_id", "grade", "origin"], columns, strict=True))
        ),
    )


def test_it_learns_to_find_answers_and_to_tell_where_there_is_none(asked, encoder):
    settings = dataclasses.replace(SHORT, steps=120, batch_size=8, lr=5e-3, negatives=1)
    reader = with_floor(train(asked, encoder, settings=settings), asked)
    told = reader.card["notes"]["floor"]
    assert told["answerable found"] == told["answerless refused"] == 1.0
    texts = dict(zip(asked.doc_ids.to_pylist(), next(asked.document_texts()), strict=True))
    docs = [texts[f"p{i:02}"] for i in range(22, 30)]
    spans = reader.read([f"key {i}?" for i in range(8)], docs)
    words = [doc[one.start : one.end] for doc, one in zip(docs, spans, strict=True)]
    right = [a[0] for a in asked.queries["answers"].to_pylist()[22:]]
    assert sum(word == answer for word, answer in zip(words, right, strict=True)) >= 6
    assert reader.card["notes"]["examples"] == 22


def test_queries_without_an_answer_in_reach_are_left_out_and_counted(asked, encoder):
    answers = asked.queries["answers"].to_pylist()
    answers[0], answers[1], answers[2] = ["nowhere"], [], None
    queries = asked.queries.set_column(4, "answers", pa.array(answers))
    short = dataclasses.replace(SHORT, steps=1)
    notes = train(dataclasses.replace(asked, queries=queries), encoder, settings=short).card[
        "notes"
    ]
    assert notes["examples"] == 19
    assert notes["examples without an answer in reach"] == 3
    cut = dataclasses.replace(short, max_tokens=20)  # 7 of the query, 3 special, 10 of 9 + 3
    with pytest.raises(SchemaError, match="none of 22 does within max_tokens"):
        train(asked, encoder, settings=cut)


def test_killed_between_checkpoints_it_resumes_to_the_same_weights(
    asked, encoder, tmp_path, monkeypatch
):
    whole = train(asked, encoder, settings=SHORT)
    update = span._update

    def dying(course, optimizer, rows, number):
        if number == 3:
            raise ZeroDivisionError
        return update(course, optimizer, rows, number)

    with monkeypatch.context() as patch:
        patch.setattr(span, "_update", dying)
        with pytest.raises(ZeroDivisionError):
            train(asked, encoder, settings=SHORT, work=tmp_path)
    resumed = train(asked, encoder, settings=SHORT, work=tmp_path)
    assert resumed.weights_id == whole.weights_id
    assert resumed.card["notes"]["log"] == whole.card["notes"]["log"]


def test_large_batches_in_chunks_have_the_same_losses(asked, encoder):
    frozen = dataclasses.replace(SHORT, steps=1)
    logs = [
        train(asked, encoder, settings=dataclasses.replace(frozen, chunk_tokens=size)).card
        for size in (8192, 128)
    ]
    whole, cut = (card["notes"]["log"][0]["loss"] for card in logs)
    assert cut == pytest.approx(whole, rel=0.2)  # dropout hangs on the chunks


def test_what_cannot_be_learnt_from_is_refused(asked, encoder, tmp_path):
    bare = dataclasses.replace(asked, queries=asked.queries.drop_columns(["answers"]))
    with pytest.raises(SchemaError, match="needs the column 'answers' in QUERIES"):
        train(bare, encoder, settings=SHORT)
    with pytest.raises(WeightsError, match="is a decoder"):
        train(asked, tiny_model(tmp_path / "llama"), settings=SHORT)
    with pytest.raises(UsageError, match="negatives ≥ 1"):
        SpanSettings(negatives=0)
    reader = train(asked, encoder, settings=dataclasses.replace(SHORT, steps=1))
    with pytest.raises(SchemaError, match="of the split 'test'; found 0 and 0"):
        with_floor(reader, asked, split="test")


def test_the_floor_is_the_lead_that_tells_both_kinds_apart_best():
    some, none = np.array([-1.0, 2.0, 5.0, 6.0]), np.array([-9.0, 1.0, 3.0])
    assert best_floor(some, none) == 5.0 or best_floor(some, none) == 2.0
    assert best_floor(np.array([4.0]), np.array([7.0])) == 4.0
    assert best_floor(np.array([-np.inf]), np.array([1.0])) == 0.0


def test_of_several_occurrences_the_one_in_the_likeliest_sentence_is_meant():
    text = "In 9 cases none came. The crew had 9 men. It ended."
    assert place_of(["9"], text, "How many men had the crew?") == (35, 36)
    assert place_of(["9"], text, "What?") == (3, 4)
    assert place_of(["x", "It"], text, "What?") == (42, 44)
    assert place_of(["x", ""], text, "What?") is None
