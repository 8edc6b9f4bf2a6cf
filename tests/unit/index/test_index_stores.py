"""The stores of LanceDB and in memory give the same answers as plain Python and NumPy."""

import numpy as np
import pyarrow as pa
import pytest

from annatto.core.errors import InputError, UsageError
from annatto.core.where import read_where
from annatto.index.lance import LanceStore
from annatto.index.memory import MemoryStore

DIM = 8
COUNT = 60
WHERES = [
    {"year": 2003},
    {"year": {">=": 2004, "<": 2008}},
    {"year": {"!=": 2003}},
    {"year": None},
    {"place": ["it's", 'say "so"']},
    {"place": "' OR 1 = 1 --"},
    {"price": {"<=": 0.3}},
    {"draft": True, "year": {">": 2000}},
]


@pytest.fixture(params=["memory", "lance"])
def store(request, tmp_path):
    return MemoryStore(DIM) if request.param == "memory" else LanceStore.open(tmp_path, dim=DIM)


def test_a_store_finds_what_is_there_through_all_changes(store):
    assert len(store) == 0
    rows, vectors = documents(range(COUNT))
    store.upsert(rows.slice(0, 40), vectors[:40])
    store.upsert(rows.slice(40), vectors[40:])
    check_whole(store, rows, vectors)
    changed, moved = documents(range(30, 70), suffix="anew")
    store.upsert(changed, moved)
    left = pa.concat_tables([rows.slice(0, 30), changed])
    every = np.concatenate([vectors[:30], moved])
    check_whole(store, left, every)
    assert texts(store, "word35") == []
    gone = ["d00", "d05", "d69"]
    assert store.delete([*gone, "nobody"]) == 3
    assert store.delete(gone) == 0
    assert texts(store, "word5") == []
    kept = np.array([doc_id not in gone for doc_id in left["doc_id"].to_pylist()])
    check_whole(store, left.filter(pa.array(kept)), every[kept])
    store.compact()
    check_whole(store, left.filter(pa.array(kept)), every[kept])


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"weight": {">=": 0.5}}, ["a"]),
        ({"weight": {">": -9.0}}, ["a", "c"]),
        ({"weight": {"<": 0.5}}, ["c"]),
        ({"size": -(2**63)}, ["b"]),
        ({"size": {">": -(2**63)}}, ["a", "c"]),
    ],
)
def test_no_number_is_on_neither_side_and_the_least_one_can_be_named(store, said, found):
    rows, vectors = documents(range(3))
    columns = {
        "doc_id": pa.array(["a", "b", "c"], pa.large_string()),
        "weight": pa.array([1.0, float("nan"), -1.0]),
        "size": pa.array([1, -(2**63), 2**63 - 1], pa.int64()),
    }
    kept = {name: rows[name] for name in ("title", "text", "content")}
    store.upsert(pa.table({**kept, **columns}), vectors)
    where = read_where(said, store.schema, "here")
    hits = store.search(3, vector=vectors[0], where=where)
    assert sorted(hits["doc_id"].to_pylist()) == found


def documents(numbers, suffix=""):
    """Documents that differ by number, and with `suffix` in words and vector from those without."""
    places = ["it's", 'say "so"', None, "a\\b", "é, 日本"]
    rng = np.random.default_rng([len(suffix), numbers.start])
    vectors = rng.standard_normal((len(numbers), DIM)).astype(np.float32)
    vectors[-2:] = vectors[0]  # three of the same score
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = pa.table(
        {
            "doc_id": pa.array([f"d{i:02}" for i in numbers], pa.large_string()),
            "title": pa.array([f"Title{i}{suffix}" for i in numbers], pa.large_string()),
            "text": pa.array(
                [f"common Word{i}{suffix} group{i % 7}" for i in numbers], pa.large_string()
            ),
            "content": pa.array([f"{i}{suffix}" for i in numbers], pa.large_string()),
            "year": pa.array([2000 + i % 10 if i % 6 else None for i in numbers], pa.int32()),
            "place": pa.array([places[i % 5] for i in numbers], pa.large_string()),
            "price": pa.array([i % 10 / 10 for i in numbers], pa.float32()),
            "draft": pa.array([i % 3 == 0 for i in numbers]),
        }
    )
    return table, vectors


def check_whole(store, rows, vectors):
    assert len(store) == rows.num_rows
    check_read(store, rows, vectors)
    queries = np.concatenate([vectors[:4], -vectors[-1:]])
    for query in queries:
        check_dense(store, rows, vectors, query, {})
    for said in WHERES:
        check_dense(store, rows, vectors, queries[0], said)
        check_words(store, rows, said)
    for number, doc_id in enumerate(rows["doc_id"].to_pylist()):
        word = rows["text"][number].as_py().split()[1]
        assert texts(store, word.lower()) == [doc_id]


def check_read(store, rows, vectors):
    columns = [*rows.column_names, "vector"]
    found = pa.Table.from_batches(list(store.read(columns))).sort_by("doc_id")
    order = np.argsort(rows["doc_id"].to_pylist())
    assert found.select(rows.column_names).equals(rows.take(pa.array(order)))
    assert np.array_equal(np.array(found["vector"].to_pylist(), np.float32), vectors[order])
    shown = store.documents(["d10", "nobody", "d07"])
    assert shown["doc_id"].to_pylist() == ["d10", "d07"]


def check_dense(store, rows, vectors, query, said):
    where = read_where(said, store.schema, store.place)
    scores = vectors @ query
    ids = rows["doc_id"].to_pylist()
    order = sorted(
        allowed(rows, said), key=lambda i: (round(float(scores[i]), 5), ids[i]), reverse=True
    )
    for k in (1, 2, 7, COUNT * 2):
        found = store.search(k, vector=query, where=where)
        assert found["doc_id"].to_pylist() == [ids[i] for i in order[:k]], (k, said)
        assert np.allclose(found["score"], scores[order[:k]], atol=1e-5)
    near = store.search(COUNT, vector=query, where=where, radius=0.25)
    assert near["doc_id"].to_pylist() == [ids[i] for i in order if scores[i] >= 0.25]


def check_words(store, rows, said):
    where = read_where(said, store.schema, store.place)
    ids = rows["doc_id"].to_pylist()
    found = store.search(COUNT * 2, text="common", where=where)["doc_id"].to_pylist()
    assert sorted(found) == [ids[i] for i in allowed(rows, said)]


def test_what_does_not_fit_is_refused_and_changes_nothing(store):
    rows, vectors = documents(range(5))
    store.upsert(rows, vectors)
    twice = pa.concat_tables([rows, rows.slice(0, 1)])
    year = rows.schema.get_field_index("year")
    other = rows.set_column(year, "year", pa.array(["a"] * 5, pa.large_string()))
    for given, found, told in (
        (twice, np.concatenate([vectors, vectors[:1]]), "CORPUS has 2 rows with doc_id 'd00'"),
        (other, vectors, "'year' of .* holds int32; found large_string"),
        (rows, vectors[:, :3], "needs vectors of 8 dimensions"),
        (rows, vectors[:2], "found 5 documents and 2 vectors"),
        (rows, vectors * np.nan, "hold NaN or infinity"),
        (rows.drop_columns(["content"]), vectors, "needs the column 'content'"),
        (rows.drop_columns(["text"]), vectors, "needs the column 'text'"),
        (rows.rename_columns({"year": "score"}), vectors, "called 'score': the name is used"),
        (rows.rename_columns({"year": "a.b"}), vectors, r"holds \. or `; rename it"),
    ):
        with pytest.raises(InputError, match=told):
            store.upsert(given, found)
    assert len(store) == 5


def test_a_search_of_no_leg_of_both_or_of_nothing_is_refused(store):
    vector = np.ones(DIM, np.float32)
    for asked, told in (
        ({}, "found neither"),
        ({"vector": vector, "text": "x"}, "found both"),
        ({"text": "x", "radius": 0.5}, "a radius is of cosines"),
    ):
        with pytest.raises(UsageError, match=told):
            store.search(1, **asked)
    with pytest.raises(UsageError, match="found 0"):
        store.search(0, text="x")
    with pytest.raises(InputError, match="needs vectors of 8 dimensions"):
        store.search(1, vector=vector[:3])


def test_an_empty_store_and_texts_without_words_find_nothing(store):
    vector = np.ones(DIM, np.float32)
    assert store.search(3, vector=vector).num_rows == 0
    assert texts(store, "word") == []
    store.upsert(*documents(range(5)))
    for text in ("", "!?", " ", "absentword", '"word', "a:b AND (", "word*"):
        assert len(texts(store, text)) <= 5
    for text in ("", "!?", "absentword"):
        assert texts(store, text) == []
    assert list(store.search(3, text="").schema.names) == ["score", *store.schema.names]


def test_columns_may_come_later_and_be_left_out(store):
    rows, vectors = documents(range(4))
    store.upsert(rows.slice(0, 2).drop_columns(["year", "draft"]), vectors[:2])
    assert "year" not in store.schema.names
    store.upsert(rows.slice(2).drop_columns(["price"]), vectors[2:])
    found = store.documents(["d00", "d01", "d02", "d03"])
    assert found["year"].to_pylist() == [None, None, 2002, 2003]
    assert found["price"].to_pylist() == pytest.approx([0.0, 0.1, None, None])
    assert found["draft"].to_pylist() == [None, None, False, True]
    assert found["source"].null_count == 4


def test_ids_may_hold_quotes_and_any_letters(store):
    rows, vectors = documents(range(4))
    ids = ["it's", 'a "b"\\', "é 日本.md:3", "x' OR '1'='1"]
    store.upsert(rows.set_column(0, "doc_id", pa.array(ids, pa.large_string())), vectors)
    assert store.documents(ids[::-1])["doc_id"].to_pylist() == ids[::-1]
    for number, doc_id in enumerate(ids):
        assert store.delete([doc_id]) == 1
        assert len(store) == 3 - number


def test_ties_beyond_the_k_are_ordered_by_id(store):
    rows, vectors = documents(range(100))
    same = np.repeat(vectors[:1], 100, axis=0)
    text = pa.array(["one and the same"] * 100, pa.large_string())
    store.upsert(rows.set_column(2, "text", text).set_column(1, "title", text), same)
    wanted = ["d99", "d98", "d97"]
    assert store.search(3, vector=vectors[0])["doc_id"].to_pylist() == wanted
    assert store.search(3, text="same")["doc_id"].to_pylist() == wanted


def texts(store, text):
    return store.search(5, text=text)["doc_id"].to_pylist()


def allowed(rows, said):
    """Rows that the conditions allow, in plain Python."""
    compare = {
        "=": lambda a, b: a in (b if isinstance(b, list) else [b]),
        "!=": lambda a, b: a is not None and a != b,
        "<": lambda a, b: a is not None and a < b,
        "<=": lambda a, b: a is not None and a <= np.float32(b),
        ">": lambda a, b: a is not None and a > b,
        ">=": lambda a, b: a is not None and a >= b,
    }
    kept = list(range(rows.num_rows))
    for column, wanted in said.items():
        values = rows[column].to_pylist()
        for sign, value in (wanted if isinstance(wanted, dict) else {"=": wanted}).items():
            kept = [i for i in kept if compare[sign](values[i], value)]
    return kept


def test_lance_finds_words_of_text_without_spaces(tmp_path):
    store = LanceStore.open(tmp_path, dim=DIM)
    rows, vectors = documents(range(2))
    text = pa.array(["我们在北京学习自然语言处理", "東京都に住んでいます"], pa.large_string())
    store.upsert(rows.set_column(2, "text", text), vectors)
    assert texts(store, "北京") == ["d00"]
    assert texts(store, "東京") == ["d01"]
