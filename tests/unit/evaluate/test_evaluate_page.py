"""The page made of a report's figures: what stands in it, in which order, and that it is safe."""

import json
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.atomic import read_json
from annatto.core.tables import CANDIDATES, DECISIONS, JUDGMENTS
from annatto.evaluate import charts, figures, report
from annatto.evaluate.page import page
from annatto.testing import tiny_collection

EVIL = "<script>document.title='broken'</script>\"><img src=x onerror=alert(1)>"
LOG = [{"step": i, "loss": 3.0 / i, "gradient": 1.0, "lr": 1e-4} for i in range(1, 9)]
MODEL = {
    "name": "new",
    "weights_id": "abc123",
    "dim": 64,
    "pooling": "last",
    "max_tokens": 128,
    "prompts": {"query": "Find | it.", "document": ""},
    "training": {
        "stage": "train.loop.train",
        "settings": {"steps": 8, "lr": 1e-4, "teacher": "teacher:rrf"},
        "inputs": {"collection": "feed", "weights_id": "beef"},
        "notes": {"queries": 30, "examples": 31, "documents cut": 2, "log": LOG},
    },
}
FORGOTTEN = {
    "after": "new",
    "before": "old",
    "warning": "new forgot: stsb fell; annatto merge old new --alpha 0.5 -o merged.",
    "tasks": [
        {
            "task": "stsb",
            "measure": "Spearman",
            "mean_after": 0.5,
            "mean_before": 0.8,
            "difference": -0.3,
            "low": -0.4,
            "high": -0.2,
            "items": 200,
        }
    ],
}


class Tags(HTMLParser):
    """Start tags, and the words within chosen ones."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.words, self.stack = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self.stack:
            self.words.append((*self.stack[-1], data))


def mined():
    """Two candidates of q0 beside its positive: one kept as a negative, one a suspect."""
    scores = {"d0": 0.9, "d1": 0.5, "d2": 0.88}
    plain = tiny_collection()
    ids, docs = plain.queries["query_id"][0].as_py(), plain.doc_ids.to_pylist()[:3]
    rows = list(zip(docs, scores.values(), strict=True))
    stage = "mine.margin.relative"
    return replace(
        plain,
        judgments=JUDGMENTS.table(
            {"query_id": [ids], "doc_id": docs[:1], "grade": [1], "origin": ["gold"]}
        ),
        candidates=CANDIDATES.table(
            {
                "query_id": [ids] * 3,
                "doc_id": docs,
                "source": ["teacher:t"] * 3,
                "rank": [1, 3, 2],
                "score": [score for _, score in rows],
            }
        ),
        decisions=DECISIONS.table(
            {
                "query_id": [ids] * 2,
                "doc_id": docs[1:],
                "stage": [stage] * 2,
                "reason": ["kept", "too close to the positive"],
                "before": ["candidate"] * 2,
                "after": ["negative", "rejected"],
                "evidence": [None] * 2,
            }
        ),
        card={"notes": {stage: {"source": "teacher:t", "split": "train"}}},
    )


@pytest.fixture(scope="module")
def folder(evaluation, tmp_path_factory):
    trained = replace(evaluation, notes={**evaluation.notes, "models": {"new": MODEL}})
    place = tmp_path_factory.mktemp("page") / "r"
    pairs = [("new", "old"), ("new", "BM25")]
    how = {"comparisons": pairs, "mined": {"library": mined()}, "command": "annatto evaluate x"}
    return report.write(trained, place, **how).parent


@pytest.fixture(scope="module")
def told(folder):
    return read_json(folder / "report.json")


def test_the_page_is_made_of_report_json_alone(folder, told):
    assert (folder / "report.html").read_text(encoding="utf-8") == page(told)
    moved = json.loads(json.dumps(told).replace("0.5625", "0.4321"))
    assert "0.432" in page(moved)


def test_every_part_of_the_report_is_on_the_page(folder):
    found = Tags((folder / "report.html").read_text()).words
    words = [data for tag, _, data in found if tag == "h2"]
    assert words == [
        "Before and after",
        "All systems",
        "Every query",
        "Right documents and wrong ones",
        "Training",
        "Mining and relabelling",
        "By kind of query",
        "Health of the vectors",
        "What was cut or left out",
        "How it was measured, and how to repeat it",
    ]


def test_what_was_forgotten_stands_before_everything_else(told):
    shown = page({**told, "forgetting": [FORGOTTEN]})
    assert shown.index("new forgot: stsb fell") < shown.index("<h1>")
    assert shown.index("<h1>") < shown.index(told["headline"].split(":")[0])
    assert "-0.300 (-0.400 to -0.200)" in shown
    assert 'class="warning"' not in page(told)


def test_a_report_on_synthetic_queries_alone_says_so_first(told):
    shown = page({**told, "notes": {**told["notes"], "synthetic": True}})
    assert unescape(shown).index(report.SYNTHETIC) < unescape(shown).index("<h1>")


def test_no_text_becomes_a_tag(evaluation, tmp_path):
    texts = pa.array([EVIL] * 4, pa.large_string())
    names = {"systems": ["old", "new", "BM25"], "collection": EVIL}
    bad = replace(
        evaluation,
        queries=evaluation.queries.set_column(1, "text", texts),
        notes={**evaluation.notes, **names, "models": {EVIL: MODEL}},
    )
    how = {"title": EVIL, "command": EVIL, "mined": {EVIL: mined()}}
    report.write(bad, tmp_path / "r", comparisons=[("new", "old")], **how)
    shown = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    tags = Tags(shown).tags
    assert EVIL not in shown
    assert [name for name, _ in tags].count("script") == 1
    assert not {"img", "link", "iframe", "a", "object"} & {name for name, _ in tags}
    assert not [key for _, attrs in tags for key in attrs if key.startswith("on") or key == "src"]


def test_the_page_names_no_address_and_forbids_to_load_any(folder):
    shown = (folder / "report.html").read_text(encoding="utf-8")
    assert "http" not in shown.replace("http-equiv", "")
    assert "url(" not in shown
    assert "@import" not in shown
    rules = next(attrs["content"] for _, attrs in Tags(shown).tags if "http-equiv" in attrs)
    assert rules.startswith("default-src 'none'")
    assert "script-src 'sha256-" in rules


def test_every_plot_names_both_axes(folder):
    found = Tags((folder / "report.html").read_text())
    plots = [attrs for tag, attrs in found.tags if tag == "svg"]
    names = [data for _, attrs, data in found.words if attrs.get("class") == "name middle"]
    assert len(plots) == 1 + 3 + 2 + 2 + 3 + 1
    assert len(names) == 2 * len(plots)
    assert all(attrs["aria-label"] for attrs in plots)
    assert "nDCG@10 of old, 0 to 1" in names
    assert "step (one batch each)" in names


def test_a_dot_names_the_queries_it_stands_for(folder):
    found = Tags((folder / "report.html").read_text()).words
    hints = [data for tag, _, data in found if tag == "title"]
    assert "0.000 → 1.000\nfirst | of four" in hints


def test_queries_at_the_same_place_are_one_dot_that_lists_some(evaluation):
    dots = [charts.Dot(0.0, 1.0, f"query {i}") for i in range(10)]
    drawn = charts.scatter(dots, title="t", x_name="x", y_name="y")
    assert drawn.count("<circle") == 1
    assert "query 7\n… and 2 more</title>" in drawn


def test_parts_without_figures_are_left_out(evaluation, tmp_path):
    report.write(evaluation, tmp_path / "r")
    shown = (tmp_path / "r" / "report.html").read_text()
    for heading in ("Before and after", "Every query", "Training", "Mining", "By task"):
        assert f"<h2>{heading}" not in shown
    assert not (tmp_path / "r" / "model-cards").exists()


def test_a_distribution_has_the_area_one_and_the_true_median():
    values = {"positives": np.array([0.1, 0.2, 0.9]), "none": np.array([])}
    found = figures.distribution(values)
    first, empty = found["kinds"]
    assert np.dot(first["density"], np.diff(found["edges"])) == pytest.approx(1)
    assert first["median"] == pytest.approx(0.2)
    assert (empty["count"], empty["median"], empty["density"]) == (0, None, [])


def test_mining_counts_reasons_and_tells_suspects_from_negatives(told):
    (one,) = told["mining"]
    assert [(row["reason"], row["count"]) for row in one["reasons"]] == [
        ("kept", 1),
        ("too close to the positive", 1),
    ]
    (scores,) = one["scores"]
    assert scores["source"] == "teacher:t"
    medians = {kind["kind"]: kind["median"] for kind in scores["kinds"]}
    assert medians == {
        "positives": pytest.approx(0.9),
        "kept as negatives": pytest.approx(0.5),
        "false-negative suspects": pytest.approx(0.88),
    }


def test_tasks_are_measured_apart_where_there_are_several(evaluation):
    assert figures.by_task(evaluation, "nDCG@10") == []
    tasks = pa.array(["a", "a", "b", "b"], pa.large_string())
    place = evaluation.queries.column_names.index("task")
    two = replace(evaluation, queries=evaluation.queries.set_column(place, "task", tasks))
    found = {(row["task"], row["system"]): row["mean"] for row in figures.by_task(two, "nDCG@10")}
    assert found["a", "new"] == pytest.approx(0.875)
    assert found["b", "old"] == pytest.approx(0.75)


def test_of_very_many_queries_some_are_drawn_as_the_page_says(told, monkeypatch, evaluation):
    monkeypatch.setattr(figures, "MOST_POINTS", 3)
    one = report.compare_all(evaluation, [("new", "old")])[0]
    drawn = figures.points(evaluation, one)
    assert (len(drawn["queries"]), drawn["of"]) == (3, 4)
    assert drawn == figures.points(evaluation, one)
    assert "(3 of 4, drawn at random)" in page({**told, "points": [drawn]})
