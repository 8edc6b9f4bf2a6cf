import json
from dataclasses import replace

import pyarrow as pa
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.evaluate import details, report
from annatto.evaluate.compare import compare, table
from annatto.evaluate.separation import SEPARATION

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def folder(evaluation, tmp_path_factory):
    pairs = [("new", "old"), ("new", "BM25")]
    place = tmp_path_factory.mktemp("report") / "r"
    return report.write(evaluation, place, comparisons=pairs, command="run me").parent


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.md").read_text()


def test_the_headline_says_whether_it_got_better_and_how_sure_that_is(page):
    line = next(line for line in page.splitlines() if line.startswith("**"))
    assert line.startswith("**No clear difference between new and old: nDCG@10 0.562 instead of")
    assert "+0.125 (95 % interval -0.625 to +0.750" in line
    assert "4 test queries" in line


def test_a_clear_difference_is_called_one(longer):
    names = longer.scores["system"].to_pylist()
    values = pa.array([1.0 if name == "new" else 0.5 for name in names])
    clear = replace(longer, scores=longer.scores.set_column(3, "value", values))
    for pair, word in ((("new", "old"), "better"), (("old", "new"), "worse")):
        said = report.headline(clear, table(clear, samples=9), [compare(clear, *pair)])
        assert said.startswith(f"{pair[0]} is {word} than {pair[1]}: nDCG@10")


def test_without_a_comparison_the_best_system_is_the_headline(evaluation, tmp_path):
    page = report.write(evaluation, tmp_path / "r").read_text()
    assert "**new is best of 3: nDCG@10 0.562 (95 % interval" in page
    assert "## Comparisons" not in page
    assert not (tmp_path / "r" / "queries.png").exists()


def test_the_first_line_of_a_report_on_synthetic_queries_is_a_warning(synthetic, tmp_path):
    first, second, *_ = report.write(synthetic, tmp_path / "r").read_text().splitlines()
    assert first == ("measured on synthetic queries only: no evidence for your users' queries")
    assert second == ""


def test_the_tables_hold_means_with_intervals_and_wins_ties_losses(page):
    assert "| system | nDCG@10 | Recall@100 | MRR@10 |" in page
    assert "| BM25 | 0.250 (0.000–0.750)" in page
    assert "| new | old | +0.125 | -0.625 to +0.750 | p = " in page
    assert "| 2 | 1 | 1 |" in page


def test_the_queries_that_moved_most_stand_there_with_ranks(page):
    assert "| up | first \\| of four | 0.000 → 1.000 | – → 1 |" in page
    assert "| up | second | 0.250 → 0.750 | – → – |" in page
    down = next(line for line in page.splitlines() if line.startswith("| down"))
    assert down.endswith("… | 1.000 → 0.000 | 3 → – |")
    assert "| third |" not in page


def test_what_was_cut_left_out_or_chosen_is_said(page):
    assert "2 test queries have no positive and were left out" in page
    assert "at most 128 tokens: the end of 17 of 1,234 documents and of 1 of 4 queries" in page
    assert "old is shown at its best: mean pooling, without instruction" in page
    assert "last with 0.250; mean without 0.500" in page


def test_what_was_only_drawn_is_said(evaluation, page):
    assert "drawn at random" not in page
    sizes = {**evaluation.notes["sizes"], "queries": 300}
    health = {"new": {**evaluation.notes["health"]["new"], "sample": 1000}}
    said = list(details.skipped({**evaluation.notes, "sizes": sizes, "health": health}))
    assert any("those of 256 of 300 queries, drawn at random" in one for one in said)
    assert any("those of 1,000 of 1,234 documents, drawn at random" in one for one in said)


def test_the_page_says_where_its_figures_came_from(page):
    assert "python 3.11.7, torch 2.13.0" in page
    assert "collection `c0ffee`" in page
    assert "command: `run me`" in page


def test_three_pictures_are_drawn_and_shown(page, folder):
    for name in ("metrics.png", "separation.png", "queries.png"):
        assert f"]({name})" in page
        assert (folder / name).read_bytes().startswith(PNG)


def test_without_a_dense_system_there_is_no_picture_of_separation(evaluation, tmp_path):
    words = replace(evaluation, separation=SEPARATION.empty_table())
    page = report.write(words, tmp_path / "r", comparisons=[("new", "old")]).read_text()
    assert "separation.png" not in page
    assert not (tmp_path / "r" / "separation.png").exists()


def test_the_report_for_machines_says_the_same(page, folder):
    found = json.loads((folder / "report.json").read_text())
    assert found["comparisons"][0]["wins"] == 2
    assert found["comparisons"][0]["verdict"] == "no clear difference"
    assert found["headline"] in page
    assert len(found["table"]) == 9
    assert found["notes"]["collection"] == "c0ffee"


def test_seconds_change_nothing_but_the_timing_file(evaluation, tmp_path):
    folders = [tmp_path / "1", tmp_path / "2"]
    for seconds, folder in enumerate(folders):
        report.write(evaluation, folder, comparisons=[("new", "old")], timing={"a": seconds})
    for path in folders[0].iterdir():
        same = path.read_bytes() == (folders[1] / path.name).read_bytes()
        assert same == (path.name != "timing.json")


def test_an_older_report_is_replaced_and_anything_else_is_not(evaluation, tmp_path):
    report.write(evaluation, tmp_path / "r")
    report.write(evaluation, tmp_path / "r")
    evaluation.save(tmp_path / "e")
    with pytest.raises(InputError, match="is not an older report"):
        report.write(evaluation, tmp_path / "e")


def test_an_unknown_system_is_refused_before_anything_is_written(evaluation, tmp_path):
    with pytest.raises(UsageError, match="no system 'nwe'; did you mean new"):
        report.write(evaluation, tmp_path / "r", comparisons=[("nwe", "old")])
    assert not (tmp_path / "r").exists()


def test_the_page_says_how_many_more_queries_a_difference_needs(page, evaluation):
    one = compare(evaluation, "new", "old")
    assert f"4 queries show a true difference of {one.detectable:.3f} 4 times in 5" in page
    assert f"as often: {one.more_queries(0.01):,} for 0.01, " in page


def test_effects_and_corrected_p_stand_beside_the_interval(page, folder):
    first = json.loads((folder / "report.json").read_text())["comparisons"][0]
    assert f"| 2 | 1 | 1 | {first['effect']:+.2f} | p = {first['p_corrected']:.3f} |" in page
    assert first["p_corrected"] >= first["p_randomised"]
    assert "corrected for 2 comparisons" in page


def test_results_by_kind_of_query_stand_in_a_table(page):
    assert "| feature | range | queries | old | new | BM25 | new − old | new − BM25 |" in page
    assert "| query words | 1 | 2 | 0.375 | 0.625 | 0.000 | +0.250 | +0.625 |" in page


def test_the_health_of_vectors_stands_in_a_table(page):
    assert "| new | 0.125 | -2.500 | 0.750 | 1.500 | 6 | 0.999–1.001 | 1.4 % |" in page


def test_machines_get_the_queries_that_moved_with_their_texts(folder):
    told = json.loads((folder / "report.json").read_text())
    one = told["comparisons"][0]
    assert one["up"][1] == {"query_id": "q2", "text": "second", "before": 0.25, "after": 0.75}
    assert [row["query_id"] for row in one["down"]] == ["q4"]
    assert told["strata"][0]["differences"] == {
        "new − old": [0.25, None, None],
        "new − BM25": [0.625, None, None],
    }


def test_every_query_is_in_the_table_beside_the_report(folder):
    lines = (folder / "queries.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    assert "new − BM25 nDCG@10" in lines[0]


def test_a_report_without_health_or_features_leaves_those_parts_out(evaluation, tmp_path):
    notes = {name: value for name, value in evaluation.notes.items() if name != "health"}
    bare = replace(evaluation, notes=notes, features=pa.table({}))
    page = report.write(bare, tmp_path / "r").read_text()
    assert "Health of the vectors" not in page
    assert "By kind of query" not in page
