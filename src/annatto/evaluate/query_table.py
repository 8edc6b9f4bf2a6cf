"""Every query in one row: what each system reached, what kind of query it is, how it moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from annatto.evaluate.compare import Comparison
from annatto.evaluate.evaluation import Evaluation


def query_table(evaluation: Evaluation, compared: Sequence[Comparison] = ()) -> pa.Table:
    """One row per query, in the evaluation's order.

    Args:
        evaluation: what was measured.
        compared: whose differences to add, as `AFTER − BEFORE MEASURE`.

    Returns:
        query_id, text, `SYSTEM MEASURE` for every system and measure, the features of
        `evaluate.strata` if there are any, and the differences; all figures float64.
    """
    columns = {name: evaluation.queries[name] for name in ("query_id", "text")}
    for system in evaluation.systems:
        for measure in evaluation.measures:
            columns[f"{system} {measure}"] = pa.array(evaluation.values(system, measure))
    for name in evaluation.features.column_names[1:]:
        columns[name] = evaluation.features[name]
    for one in compared:
        change = evaluation.values(one.after, one.measure) - evaluation.values(
            one.before, one.measure
        )
        columns[f"{one.after} − {one.before} {one.measure}"] = pa.array(change)
    return pa.table(columns)


def write_tsv(table: pa.Table, path: Path) -> None:
    """Write a table for spreadsheets: tabs between columns, one line per query.

    Line breaks and tabs inside texts become spaces.
    """
    text = table.column_names.index("text")
    line = pc.utf8_trim_whitespace(pc.replace_substring_regex(table["text"], r"\s+", " "))
    flat = table.set_column(text, "text", line)
    csv.write_csv(flat, path, csv.WriteOptions(delimiter="\t"))
