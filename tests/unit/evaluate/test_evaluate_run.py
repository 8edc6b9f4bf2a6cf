from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from annatto.core.errors import InputError, SchemaError, UsageError
from annatto.core.tables import JUDGMENTS, concat
from annatto.core.types import Encoder
from annatto.evaluate.evaluation import TABLES, Evaluation
from annatto.evaluate.run import evaluate
from annatto.testing import tiny_collection, tiny_encoder


@pytest.fixture(scope="module")
def measured():
    return evaluate(tiny_collection(), {"tiny": tiny_encoder()})


def with_origin(collection, origin):
    judgments = collection.judgments
    origins = pa.array([origin] * judgments.num_rows, pa.large_string())
    return collection.with_judgments(judgments.set_column(3, "origin", origins), "test")


class Backwards:
    """An encoder of documents and queries that never agree."""

    name = "backwards"
    dim = 64

    def encode(self, texts, *, prompt="document"):
        sign = 1 if prompt == "document" else -1
        return sign * tiny_encoder().encode(texts)


def test_a_good_encoder_finds_what_shares_its_words(measured):
    assert measured.values("tiny", "nDCG@10").mean() > 0.95
    assert measured.values("BM25", "RR@10").mean() > 0.95
    assert measured.systems == ["tiny", "BM25"]


def test_a_bad_encoder_is_shown_to_be_bad():
    found = evaluate(tiny_collection(), {"backwards": Backwards()}, bm25=False)
    assert found.values("backwards", "nDCG@10").mean() < 0.05
    assert found.systems == ["backwards"]


def test_every_document_is_encoded_once():
    class Counting:
        name, dim = "counting", 64
        documents: list[str] = []  # noqa: RUF012

        def encode(self, texts, *, prompt="document"):
            self.documents.extend(texts if prompt == "document" else [])
            return tiny_encoder().encode(texts, prompt=prompt)

    encoder = Counting()
    found = evaluate(tiny_collection(), {"counting": encoder}, bm25=False)
    assert len(encoder.documents) == 60
    assert found.separation.num_rows > 24


def test_there_is_one_value_for_every_system_measure_and_query(measured):
    assert measured.scores.num_rows == 2 * 3 * 12
    assert measured.measures == ["nDCG@10", "R@100", "RR@10"]
    assert measured.queries["query_id"].to_pylist() == [f"q{i:02}" for i in range(28, 40)]


def test_runs_carry_the_names_of_their_systems(measured):
    assert pc.unique(measured.runs["source"]).to_pylist() == ["tiny", "BM25"]
    assert pc.max(measured.runs["rank"]).as_py() <= 100


def test_the_notes_say_what_was_measured(measured):
    notes = measured.notes
    assert notes["sizes"] == {
        "documents": 60,
        "queries": 12,
        "positives": 12,
        "queries without positives": 0,
    }
    assert notes["split"] == "test"
    assert not notes["synthetic"]
    assert len(notes["collection"]) == 64
    assert {"python", "torch", "transformers"} <= set(notes["versions"])


def test_the_same_call_gives_the_same_values(measured):
    again = evaluate(tiny_collection(), {"tiny": tiny_encoder()})
    assert all(getattr(again, name).equals(getattr(measured, name)) for name in TABLES)
    assert again.notes == measured.notes


def test_an_evaluation_survives_its_folder(measured, tmp_path):
    again = Evaluation.load(measured.save(tmp_path / "e"))
    assert again.scores.equals(measured.scores)


def test_positives_lie_closer_than_random_documents(measured):
    def cosines(kind):
        return measured.separation.filter(pc.equal(measured.separation["kind"], kind))["value"]

    assert len(cosines("positive")) == len(cosines("hardest negative")) == 12
    assert pc.mean(cosines("positive")).as_py() > pc.mean(cosines("hardest negative")).as_py()
    assert pc.mean(cosines("hardest negative")).as_py() > pc.mean(cosines("random")).as_py()


def test_the_cosine_of_a_positive_is_that_of_its_two_texts(measured):
    collection = tiny_collection()
    encoder = tiny_encoder()
    texts = next(collection.document_texts(np.arange(28, 40)))
    asked = encoder.encode(measured.queries["text"].to_pylist(), prompt="query")
    expected = (asked * encoder.encode(texts)).sum(axis=1)
    kinds = measured.separation
    found = kinds.filter(pc.equal(kinds["kind"], "positive"))["value"].to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_queries_without_a_positive_are_left_out_and_counted():
    collection = tiny_collection()
    kept = collection.judgments.filter(pc.not_equal(collection.judgments["query_id"], "q30"))
    found = evaluate(replace(collection, judgments=kept), {"tiny": tiny_encoder()}, bm25=False)
    assert found.queries.num_rows == 11
    assert found.notes["sizes"]["queries without positives"] == 1


def test_mined_negatives_and_other_origins_do_not_count():
    collection = tiny_collection()
    more = JUDGMENTS.table(
        {
            "query_id": ["q30", "q30"],
            "doc_id": ["d00", "d01"],
            "grade": [0, 1],
            "origin": ["mined:relative", "llm:x"],
        }
    )
    richer = collection.with_judgments(concat([collection.judgments, more]), "test")
    found = evaluate(richer, {"tiny": tiny_encoder()}, bm25=False)
    assert found.judgments.num_rows == 12


def test_human_stands_for_every_human():
    found = evaluate(with_origin(tiny_collection(), "human:ann"), {}, bm25=True)
    assert found.notes["origins"] == {"human:ann": 12}


def test_synthetic_judgments_count_only_when_named_and_are_remembered():
    collection = with_origin(tiny_collection(), "synthetic:ict")
    with pytest.raises(InputError, match=r"found 12 of synthetic:ict; .* --origins synthetic\."):
        evaluate(collection, {"tiny": tiny_encoder()})
    assert evaluate(collection, {}, origins=("synthetic",)).notes["synthetic"]


def test_judgments_of_no_origin_at_all_are_missed():
    collection = replace(tiny_collection(), judgments=JUDGMENTS.empty())
    with pytest.raises(InputError, match=r"positives of origin gold or human .* none of any"):
        evaluate(collection, {"tiny": tiny_encoder()})


def test_a_split_without_queries_is_answered_with_those_that_have_some():
    with pytest.raises(UsageError, match="split 'tset'; found 20 in 'train', 8 in 'dev', 12 in"):
        evaluate(tiny_collection(), {"tiny": tiny_encoder()}, split="tset")


def test_a_positive_that_is_not_in_the_corpus_is_named():
    collection = tiny_collection()
    ids = pc.replace_substring(collection.judgments["doc_id"], "d30", "lost")
    broken = replace(collection, judgments=collection.judgments.set_column(1, "doc_id", ids))
    with pytest.raises(SchemaError, match="lost"):
        evaluate(broken, {"tiny": tiny_encoder()})


@pytest.mark.parametrize(
    ("systems", "settings", "message"),
    [
        ({}, {"bm25": False}, "at least one system; found none"),
        ({"BM25": tiny_encoder()}, {}, "adds a system called BM25"),
        ({"tiny": tiny_encoder()}, {"untouched": ["tinny"]}, "'tinny', which is no system; did"),
        ({"tiny": tiny_encoder()}, {"untouched": ["tiny"]}, "only an Embedder can be read in"),
    ],
)
def test_systems_that_make_no_sense_are_refused(systems, settings, message):
    with pytest.raises(UsageError, match=message):
        evaluate(tiny_collection(), systems, **settings)


def test_cut_texts_are_counted_for_encoders_with_a_limit(reader):
    found = evaluate(tiny_collection(), {"tiny": tiny_encoder(), "reader": reader}, bm25=False)
    assert isinstance(reader, Encoder)
    assert found.notes["cut"] == {"reader": {"documents": 0, "queries": 0, "limit": 6}}
    reader.max_tokens = 3
    found = evaluate(tiny_collection(), {"reader": reader}, bm25=False)
    assert found.notes["cut"] == {"reader": {"documents": 60, "queries": 12, "limit": 3}}


def test_an_untouched_model_is_shown_at_its_best_and_others_as_they_are(reader):
    found = evaluate(
        tiny_collection(), {"shown": reader, "as it is": reader}, untouched=["shown"], bm25=False
    )
    assert found.values("shown", "nDCG@10").mean() > 0.95
    assert found.values("as it is", "nDCG@10").mean() < 0.5
    how = found.notes["untouched"]["shown"]
    assert (how["pooling"], how["instruction"], len(how["dev"])) == ("mean", False, 4)
    assert list(found.notes["untouched"]) == ["shown"]
