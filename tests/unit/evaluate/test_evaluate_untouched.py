from dataclasses import replace

import pyarrow as pa
import pytest

from annatto.core.errors import UsageError
from annatto.core.types import Prompt
from annatto.evaluate.untouched import best_variant, without_instruction
from annatto.testing import tiny_collection


def with_instructions(collection):
    own = pa.array(["Find the word."] * collection.queries.num_rows, pa.large_string())
    return replace(collection, queries=collection.queries.append_column("instruction", own))


def test_the_reading_with_the_best_dev_figure_is_kept(reader):
    best = best_variant(tiny_collection(), reader)
    rows = best.table.to_pylist()
    assert [(row["pooling"], row["instruction"]) for row in rows] == [
        ("last", True),
        ("last", False),
        ("mean", True),
        ("mean", False),
    ]
    assert max(rows, key=lambda row: row["value"]) == rows[3]
    assert (best.model.pooling, best.instruction) == ("mean", False)
    assert best.model.prompts["query"] == Prompt.plain()
    assert reader.pooling == "last"


def test_an_instruction_that_helps_is_kept(reader):
    reader.best = ("last", "Find it.")
    best = best_variant(tiny_collection(), reader)
    assert (best.model.pooling, best.instruction) == ("last", True)
    assert best.model.prompts["query"].instruction == "Find it."


def test_documents_are_read_twice_and_queries_four_times(reader):
    best_variant(tiny_collection(), reader)
    documents = [call for call in reader.calls if call[1] == "document"]
    assert documents == [("last", "document", 8), ("mean", "document", 8)]
    assert len(reader.calls) - len(documents) == 4


def test_without_any_instruction_there_are_two_readings(reader):
    plain = reader.variant(prompts={"query": Prompt.plain()})
    best = best_variant(tiny_collection(), plain)
    assert best.table["pooling"].to_pylist() == ["last", "mean"]
    assert not best.instruction


def test_instructions_of_the_queries_are_left_out_in_the_reading_without(reader):
    collection = with_instructions(tiny_collection())
    plain = reader.variant(prompts={"query": Prompt.plain()})
    best = best_variant(collection, plain)
    assert best.table.num_rows == 4
    assert (best.model.pooling, best.instruction) == ("mean", False)
    assert "instruction" not in without_instruction(collection.queries).column_names


def test_equal_figures_keep_the_first_reading(reader):
    reader.best = ("none", "")
    best = best_variant(tiny_collection(), reader)
    assert len(set(best.table["value"].to_pylist())) == 1
    assert (best.model.pooling, best.instruction) == ("last", True)


def test_a_collection_without_dev_queries_cannot_choose(reader):
    collection = tiny_collection()
    with pytest.raises(UsageError, match="split 'dev'"):
        best_variant(replace(collection, queries=collection.queries_of("test")), reader)
