import datetime

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annatto.core.errors import UsageError
from annatto.core.where import Term, Where, read_where

TABLE = pa.table(
    {
        "doc_id": pa.array(["a", "b", "c", "d"], pa.large_string()),
        "year": pa.array([1999, 2000, 2001, None], pa.int32()),
        "source": ["x.md", "it's", None, 'say "no" `now`'],
        "price": pa.array([0.1, 2.5, None, -1.0], pa.float32()),
        "draft": [True, False, None, True],
        "when": pa.array([datetime.date(2000, 1, 1)] * 4),
        "Two Words": ["p", "q", "p", "p"],
    }
)


def kept(said):
    where = read_where(said, TABLE.schema, "docs")
    return "".join(ds.dataset(TABLE).to_table(filter=where.expression())["doc_id"].to_pylist())


CASES = [
    ({"year": 2000}, ["year=2000"], "b"),
    ({"year": {">=": 2000}}, ["year>=2000"], "bc"),
    ({"year": {">": 1999, "<": 2001}}, ["year>1999", "year<2001"], "b"),
    ({"year": {"!=": 2000}}, ["year!=2000"], "ac"),
    ({"source": ["x.md", "it's"]}, ["source=x.md", "source=it's"], "ab"),
    ({"source": 'say "no" `now`'}, ['source=say "no" `now`'], "d"),
    ({"source": "' OR 1=1 --"}, ["source=' OR 1=1 --"], ""),
    ({"price": 0.1}, ["price=0.1"], "a"),
    ({"price": {"<=": 0}}, ["price<=0"], "d"),
    ({"draft": False}, ["draft=false"], "b"),
    ({"draft": True, "year": 1999}, ["draft=true", "year=1999"], "a"),
    ({"Two Words": "q"}, ["Two Words=q"], "b"),
]


@pytest.mark.parametrize(("said", "words", "wanted"), CASES)
def test_json_and_words_keep_the_same_documents(said, words, wanted):
    assert kept(said) == kept(words) == wanted


def test_null_means_no_value():
    assert kept({"year": None}) == "d"
    assert kept({"year": {"!=": None}}) == "abc"
    assert kept({"year": [None, 2000]}) == "bd"
    assert kept({"year": {"!=": [None, 2000]}}) == "ac"


def test_nothing_said_is_no_condition():
    assert read_where({}, TABLE.schema, "docs") is None
    assert read_where([], TABLE.schema, "docs") is None


def test_sql_and_milvus_quote_what_they_are_given():
    where = Where(
        (
            Term("a`b", "=", ("it's",)),
            Term("c", "!=", ('"x" é\n', None)),
            Term("d", ">=", (1.5,)),
            Term("e", "=", (True,)),
        )
    )
    assert where.sql() == (
        "`a``b` IN ('it''s') AND (`c` IS NOT NULL AND `c` NOT IN ('\"x\" é\n')) AND `d` >= 1.5 "
        "AND NOT isnan(`d`) "
        "AND `e` IN (true)"
    )
    assert where.milvus({"c", "d"}) == (
        '($meta["a`b"] == "it\'s") and (c IS NOT NULL and c != "\\"x\\" é\\n") and d >= 1.5 '
        'and ($meta["e"] == true)'
    )


def test_a_dynamic_column_of_milvus_is_never_unequal_to_anything_when_it_is_absent():
    where = Where((Term("a", "!=", (1, None)), Term('b"', "=", (None, 2)), Term("c", "<", (-3,))))
    assert where.milvus(()) == (
        '((exists $meta["a"]) and $meta["a"] != 1) '
        'and ((not (exists $meta["b\\""])) or $meta["b\\""] == 2) and $meta["c"] < -3'
    )


def test_an_unknown_column_is_refused_with_the_known_ones():
    with pytest.raises(
        UsageError, match=r"docs have no column 'yaer'; did you mean year\? Known: "
    ):
        read_where(["yaer=3"], TABLE.schema, "docs")
    with pytest.raises(UsageError, match="no column"):
        read_where({"year) OR (1": 1}, TABLE.schema, "docs")


@pytest.mark.parametrize("word", ["year", "=3", "", "year~3"])
def test_a_word_that_is_no_condition_is_refused(word):
    with pytest.raises(UsageError, match=f"year>=2000; found '{word}'"):
        read_where([word], TABLE.schema, "docs")


@pytest.mark.parametrize(
    "said",
    [
        {"year": "2000"},
        {"year": 2000.5},
        {"year": True},
        {"year": 2**31},
        {"price": float("nan")},
        {"price": "cheap"},
        {"source": 3},
        {"source": "\ud800"},
        {"draft": 1},
        {"when": "2000-01-01"},
        {"year": {"=": {"a": 1}}},
        ["year=two"],
        ["draft=maybe"],
        ["price<inf"],
    ],
)
def test_a_value_of_another_type_is_refused_with_the_columns(said):
    with pytest.raises(UsageError, match=r"of docs holds .*; it cannot be compared with"):
        read_where(said, TABLE.schema, "docs")


@pytest.mark.parametrize("said", [{"year": {">": [1, 2]}}, {"year": {"<": None}}])
def test_an_order_needs_one_value(said):
    with pytest.raises(UsageError, match="needs one value; found"):
        read_where(said, TABLE.schema, "docs")


def test_no_values_and_unknown_signs_are_refused():
    with pytest.raises(UsageError, match="needs at least one value"):
        read_where({"year": []}, TABLE.schema, "docs")
    with pytest.raises(UsageError, match="needs one of = != < <= > >=; found '~'"):
        read_where({"year": {"~": 1}}, TABLE.schema, "docs")


@given(st.text(), st.text())
def test_any_text_is_a_value_or_is_refused_and_never_a_condition(wanted, other):
    try:
        where = read_where({"source": wanted}, TABLE.schema, "docs")
    except UsageError:
        return
    table = pa.table({"source": pa.array([wanted, wanted + "x"])})
    found = ds.dataset(table).to_table(filter=where.expression())
    assert found["source"].to_pylist() == [wanted]
    inside = where.sql().removeprefix("`source` IN ('").removesuffix("')")
    assert "'" not in inside.replace("''", "")


def test_a_value_that_is_nested_too_deeply_to_be_shown_is_refused_like_any_other():
    value = []
    for _ in range(5000):
        value = [value]
    schema = pa.schema([("text", pa.large_string())])
    with pytest.raises(UsageError, match="cannot be compared with a value that is nested too dee"):
        read_where({"text": value}, schema, "here")
