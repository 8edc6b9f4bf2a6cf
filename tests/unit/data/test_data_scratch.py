import pyarrow as pa
import pytest

from annatto.core.errors import InputError, SchemaError
from annatto.data.scratch import write_corpus


def table(ids, **columns):
    return pa.table({"doc_id": ids, "title": [""] * len(ids), "text": ids, **columns})


def test_tables_with_other_columns_become_one_file_in_order():
    corpus = write_corpus(
        [
            table(["a", "b"], n=[1, 2]),
            table(["c"], n=[0.5], more=[["x"]]),
            table(["d"], n=pa.nulls(1), more=[["y"]]),
        ],
        "here",
    )
    assert len(corpus.files) == 1
    rows = corpus.to_table().to_pylist()
    assert [r["doc_id"] for r in rows] == ["a", "b", "c", "d"]
    assert [r["n"] for r in rows] == [1.0, 2.0, 0.5, None]
    assert [r["more"] for r in rows] == [None, None, ["x"], ["y"]]


def test_types_that_cannot_be_united_become_json_text():
    corpus = write_corpus([table(["a"], m=[{"k": 1}]), table(["b"], m=["word"])], "here")
    assert corpus.to_table()["m"].to_pylist() == ['{"k": 1}', "word"]


def test_an_id_in_two_tables_is_found():
    with pytest.raises(SchemaError, match="here: CORPUS has 2 rows with doc_id 'a'"):
        write_corpus([table(["a"]), table(["a"])], "here")


def test_no_document_is_an_error():
    with pytest.raises(InputError, match="here holds no document"):
        write_corpus([], "here")


def test_the_scratch_folder_is_used_when_given(tmp_path):
    corpus = write_corpus([table(["a"])], "here", scratch=tmp_path / "s")
    assert corpus.files[0].startswith(str(tmp_path / "s"))
