import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from scipy.stats import spearmanr

from annatto.core.errors import InputError, UsageError
from annatto.core.tables import CORPUS, JUDGMENTS, QUERIES
from annatto.core.types import Collection
from annatto.evaluate import report
from annatto.evaluate.evaluation import Evaluation
from annatto.evaluate.forgetting import changes, pages, warning
from annatto.evaluate.keep import measure
from annatto.testing import tiny_encoder

WORDS = ["river", "piano", "copper", "saffron", "glacier", "violin", "lantern", "meadow"]
SIZE = 40


class Forgetful:
    """An encoder that reads the last letter of a text only."""

    dim = 64
    name = "forgetful"

    def encode(self, texts, *, prompt="document"):
        return tiny_encoder().encode([text[-1:] for text in texts], prompt=prompt)


def suite():
    """A task of each kind, `SIZE` items each."""
    words = [f"{WORDS[i % 8]} {WORDS[i % 8]} {WORDS[i // 8]} number{i}" for i in range(SIZE)]
    grades = [i % 5 * 0.8 for i in range(SIZE)]  # between whole ones, too, as people give them
    other = [f"{WORDS[i % 8]} thing" if grades[i] > 1.6 else f"other{i}" for i in range(SIZE)]
    docs = {"r": words, "c": words, "s": other}
    queries = {"r": [f"a {w}" for w in words], "c": [f"is it {w}" for w in words], "s": words}
    kinds = {"r": "retrieval", "c": "classification", "s": "similarity"}
    ids = [f"{task}/{i}" for task in docs for i in range(SIZE)]
    label = [word.split()[0] for word in words]
    text = pa.large_string()
    corpus = CORPUS.table(
        {"doc_id": ids, "title": [""] * len(ids), "text": [t for one in docs.values() for t in one]}
    ).append_column("label", pa.array([None] * SIZE + label + [None] * SIZE, text))
    asked = QUERIES.table(
        {
            "query_id": ids,
            "text": [t for one in queries.values() for t in one],
            "task": [task for task in docs for _ in range(SIZE)],
            "split": ["test"] * len(ids),
        }
    )
    asked = asked.append_column("kind", pa.array([kinds[i[0]] for i in ids], text))
    asked = asked.append_column("label", pa.array([None] * SIZE + label + [None] * SIZE, text))
    judged = [i for i in ids if i[0] in "rs"]
    judgments = {
        "query_id": judged,
        "doc_id": judged,
        "grade": [1.0] * SIZE + grades,
        "origin": ["gold"] * len(judged),
    }
    return Collection(ds.dataset(corpus), asked, JUDGMENTS.table(judgments))


@pytest.fixture(scope="module")
def found():
    return measure(suite(), {"before": tiny_encoder(), "after": Forgetful()})


def test_every_task_has_its_own_measure_with_one_value_per_query(found):
    assert found.measures == ["r: nDCG@10", "c: accuracy", "s: Spearman"]
    for name in found.measures:
        assert found.values("before", name).shape == (SIZE,)
    assert set(found.values("before", "c: accuracy")) <= {0.0, 1.0}


def test_the_mean_of_a_similarity_task_is_spearmans_correlation(found):
    made, encoder = suite(), tiny_encoder()
    left = encoder.encode(made.queries["text"].to_pylist()[-SIZE:])
    right = encoder.encode(made.corpus.to_table()["text"].to_pylist()[-SIZE:])
    grades = made.judgments["grade"].to_numpy()[-SIZE:]
    right = spearmanr(np.einsum("nd,nd->n", left, right), grades).statistic
    assert found.values("before", "s: Spearman").mean() == pytest.approx(right, abs=1e-12)
    assert 0.1 < right < 1


def test_a_label_is_found_by_the_nearest_examples(found):
    assert found.values("before", "c: accuracy").mean() > 0.9
    assert found.values("after", "c: accuracy").mean() < 0.5


def test_retrieval_searches_its_own_tasks_documents_only(found):
    """The same texts stand in the corpus for another task; found there, they would be wrong."""
    assert found.values("before", "r: nDCG@10").mean() == pytest.approx(1, abs=0.02)


def test_a_model_that_forgot_is_said_to_have_with_the_remedy(found):
    moved = changes(found, "after", "before")
    assert [one.is_forgotten for one in moved] == [True, True, True]
    said = warning(moved, "runs/new", "minilm")
    worst = min(moved, key=lambda one: one.difference)
    assert said.startswith(f"runs/new forgot: {worst.task} fell from {worst.mean_before:.3f} to ")
    assert "and 2 more of 3 tasks fell" in said
    assert "annatto merge minilm runs/new --alpha" in said
    assert "\n" not in said


def test_a_model_that_forgot_nothing_is_not_said_to_have():
    same = measure(suite(), {"before": tiny_encoder(), "after": tiny_encoder()})
    moved = changes(same, "after", "before")
    assert warning(moved, "after", "before") == ""
    assert pages(same, [("after", "before")]).first == []


def test_a_better_model_is_not_said_to_have_forgotten(found):
    assert warning(changes(found, "before", "after"), "before", "after") == ""


def test_intervals_are_wider_when_there_are_more_tasks(found):
    alone = measure(one_task(suite(), "c"), {"before": tiny_encoder(), "after": Forgetful()})
    wide = next(one for one in changes(found, "after", "before") if one.task == "c")
    narrow = changes(alone, "after", "before")[0]
    assert wide.difference == narrow.difference
    assert wide.low < narrow.low
    assert wide.high >= narrow.high


def one_task(collection, task):
    rows = [name == task for name in collection.queries["task"].to_pylist()]
    queries = collection.queries.filter(pa.array(rows))
    return Collection(collection.corpus, queries, collection.judgments.slice(0, 0))


def test_what_was_measured_survives_saving(found, tmp_path):
    again = Evaluation.load(found.save(tmp_path / "kept"))
    assert changes(again, "after", "before") == changes(found, "after", "before")


def test_what_was_forgotten_is_the_first_line_of_a_report(evaluation, found, tmp_path):
    names = ["new" if name == "after" else "old" for name in found.scores["system"].to_pylist()]
    scores = found.scores.set_column(0, "system", pa.array(names, pa.large_string()))
    notes = {**found.notes, "systems": ["old", "new"]}
    kept = Evaluation(scores, found.runs, found.separation, found.queries, found.judgments, notes)
    place = report.write(evaluation, tmp_path / "r", comparisons=[("new", "old")], keep=kept)
    page = place.read_text()
    assert page.splitlines()[0].startswith("**new forgot: ")
    assert "## What new kept and forgot of old" in page
    assert page.count("| forgotten |") == 3
    shown = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert "new forgot: " in shown.partition("<h1>")[0]
    assert "What new kept and forgot of old" in shown
    plain = report.write(evaluation, tmp_path / "p", comparisons=[("new", "old")]).read_text()
    assert plain.splitlines()[0] == "# Evaluation"


def test_a_collection_that_is_no_suite_is_refused():
    made = suite()
    plain = Collection(made.corpus, made.queries.drop_columns(["kind"]), made.judgments)
    with pytest.raises(InputError, match="needs a keep-suite"):
        measure(plain, {"a": tiny_encoder()})
    with pytest.raises(InputError, match="needs queries in the split 'dev'"):
        measure(made, {"a": tiny_encoder()}, split="dev")
    with pytest.raises(UsageError, match="at least one system"):
        measure(made, {})


def test_another_evaluation_is_no_forgetting_check(evaluation):
    with pytest.raises(InputError, match=r"evaluate\.keep\.measure"):
        changes(evaluation, "new", "old")
