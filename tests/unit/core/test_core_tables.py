import pyarrow as pa
import pytest

from annatto.core import tables
from annatto.core.errors import SchemaError
from annatto.core.tables import CANDIDATES, check


def candidates(rows):
    names = ["query_id", "doc_id", "source"]
    return CANDIDATES.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


@pytest.mark.parametrize("most", [2**62, 1])  # 1: numbers are made small before each column
def test_a_key_that_stands_twice_is_named_and_others_pass(monkeypatch, most):
    monkeypatch.setattr(tables, "MOST", most)
    rows = [(q, d, s) for q in "abc" for d in "abcd" for s in ("x", "y")]
    assert check(candidates(rows), CANDIDATES, "here").num_rows == 24
    cut = pa.concat_tables([candidates(rows[:10]), candidates(rows[10:])])
    assert check(cut, CANDIDATES, "here").num_rows == 24
    assert check(candidates([]), CANDIDATES, "here").num_rows == 0
    expected = "2 rows with query_id 'b', doc_id 'c', source 'y'"
    with pytest.raises(SchemaError, match=expected):
        check(candidates([*rows, ("b", "c", "y")]), CANDIDATES, "here")
