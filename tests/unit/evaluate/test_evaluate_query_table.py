import csv

import pytest

from annatto.evaluate.compare import compare
from annatto.evaluate.query_table import query_table, write_tsv


def test_a_row_holds_all_that_is_known_of_a_query(evaluation):
    table = query_table(evaluation, [compare(evaluation, "new", "old", samples=9)])
    assert table.num_rows == 4
    row = table.slice(1, 1).to_pylist()[0]
    assert (row["query_id"], row["text"]) == ("q2", "second")
    assert (row["old nDCG@10"], row["new nDCG@10"], row["BM25 RR@10"]) == (0.25, 0.75, 0)
    assert (row["query words"], row["lexical overlap"]) == (1, 0.5)
    assert row["new − old nDCG@10"] == 0.5


def test_a_spreadsheet_reads_the_same_figures_one_line_per_query(evaluation, tmp_path):
    table = query_table(evaluation)
    write_tsv(table, tmp_path / "queries.tsv")
    lines = (tmp_path / "queries.tsv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t"))
    assert len(rows) == 4
    assert list(rows[0]) == table.column_names
    assert rows[0]["text"] == "first | of four"
    for name in table.column_names[2:]:
        assert [float(row[name]) for row in rows] == pytest.approx(table[name].to_pylist())
