"""Collections on disk: whole, lazy, hashed by value."""

import dataclasses
import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from safetensors import SafetensorError

from annatto.core.atomic import new_file, new_folder
from annatto.core.errors import InputError, SchemaError
from annatto.core.store import collection_hash, content_hash, open_collection, save
from annatto.core.tables import CANDIDATES, CORPUS, JUDGMENTS, check, check_pointers
from annatto.core.types import Collection, query_prompts
from annatto.testing import tiny_collection


def test_a_collection_comes_back_with_the_same_hash_and_further_columns(tmp_path):
    whole = tiny_collection()
    table = whole.corpus.to_table().append_column("shelf", pa.array([[1, 2]] * 60))
    whole = dataclasses.replace(whole, corpus=ds.dataset(table), card={"stage": "test"})
    save(whole, tmp_path / "c")
    back = open_collection(tmp_path / "c")
    assert collection_hash(back) == collection_hash(whole)
    assert back.corpus.to_table().equals(table)
    assert back.card["stage"] == "test"
    assert back.card["rows"]["corpus"] == 60


def test_the_hash_is_of_values_not_of_batches_or_empty_columns():
    table = CORPUS.table(
        {"doc_id": ["a", "b", "c"], "title": ["", "é", ""], "text": ["x", "", "z"]}
    )
    cut = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert content_hash(cut) == content_hash(table)
    assert content_hash(check(table, CORPUS, "test")) == content_hash(table)


@pytest.mark.parametrize(
    ("column", "values"),
    [("text", ["xy", "", "z"]), ("text", ["x", "yz", ""]), ("title", ["", None, ""])],
)
def test_the_hash_sees_every_value_and_where_it_ends(column, values):
    columns = {"doc_id": ["a", "b", "c"], "title": ["", "", ""], "text": ["x", "y", "z"]}
    changed = CORPUS.table({**columns, column: values})
    assert content_hash(changed) != content_hash(CORPUS.table(columns))


def test_an_unchanged_corpus_is_linked_not_written_again(tmp_path):
    save(tiny_collection(), tmp_path / "one")
    save(open_collection(tmp_path / "one"), tmp_path / "two")
    first, second = (tmp_path / n / "corpus.parquet" for n in ("one", "two"))
    assert first.stat().st_ino == second.stat().st_ino


def test_documents_are_read_by_row_in_any_order_and_twice():
    texts = list(tiny_collection().document_texts(np.array([5, 0, 5])))
    assert texts == [["glacier rare5 glacier word5", "river rare0 river word0",
                      "glacier rare5 glacier word5"]]  # fmt: skip


def test_a_folder_that_is_no_collection_is_neither_opened_nor_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="is not a collection"):
        open_collection(tmp_path)
    with pytest.raises(InputError, match="exists and is not a collection"):
        save(tiny_collection(), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_damaged_table_is_named(tmp_path, damage):
    save(tiny_collection(), tmp_path / "c")
    path = tmp_path / "c" / "judgments.parquet"
    path.unlink() if damage == "missing" else path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"judgments.parquet is (missing|damaged)"):
        open_collection(tmp_path / "c")


@pytest.mark.parametrize("write", [new_folder, new_file])
def test_a_full_disk_is_said_in_one_sentence_and_the_old_one_stays(tmp_path, write):
    place = tmp_path / "place"
    with write(place) as path:
        (path / "x" if path.is_dir() else path).write_text("old")
    with pytest.raises(InputError, match="the disk is full while writing") as caught, write(place):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "free some space and run the same command again" in str(caught.value)
    assert (place / "x" if place.is_dir() else place).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_an_interrupted_save_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("annatto.core.store.content_hash", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(tiny_collection(), tmp_path / "place")
    assert list(tmp_path.iterdir()) == []


def judgments(**changes):
    columns = {"query_id": ["q1", "q2"], "doc_id": ["d1", "d2"], "grade": [1.0, 0.0],
               "origin": ["gold", "gold"]}  # fmt: skip
    return pa.table({**columns, **changes})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (judgments().drop_columns("grade"), "stage needs the column 'grade' in JUDGMENTS; found"),
        (
            judgments(grade=["one", "two"]),
            "the column 'grade' of JUDGMENTS holds string, but float",
        ),
        (judgments(doc_id=["d1", None]), "row 2 of JUDGMENTS has no 'doc_id'"),
        (judgments(doc_id=["", "d2"]), "row 1 of JUDGMENTS has an empty doc_id"),
        (
            judgments(query_id=["q1", "q1"], doc_id=["d1", "d1"]),
            "JUDGMENTS has 2 rows with query_id 'q1', doc_id 'd1'",
        ),
    ],
)
def test_a_table_that_breaks_its_schema_is_refused_in_one_sentence(table, message):
    with pytest.raises(SchemaError, match=message):
        check(table, JUDGMENTS, "stage")


def test_judgments_that_point_nowhere_are_counted_and_the_first_is_named():
    table = check(judgments(), JUDGMENTS, "stage")
    with pytest.raises(SchemaError, match=r"1 of 2 judgments name a doc_id .* \(first: 'd2'\)"):
        check_pointers(table, "doc_id", pa.array(["d1"], pa.large_string()), "the corpus", "stage")


def test_a_source_said_twice_is_replaced_and_others_stay():
    rows = {"query_id": ["q00"], "doc_id": ["d00"], "source": ["bm25"], "score": [1.0]}
    one = tiny_collection().with_candidates(CANDIDATES.table(rows), "test")
    two = one.with_candidates(CANDIDATES.table({**rows, "source": ["dense:x"]}), "test")
    three = two.with_candidates(CANDIDATES.table({**rows, "score": [2.0]}), "test")
    assert sorted(zip(three.candidates["source"].to_pylist(),
                      three.candidates["score"].to_pylist(), strict=True)) == [
        ("bm25", 2.0), ("dense:x", 1.0)]  # fmt: skip


def test_positives_can_be_asked_for_by_who_said_so():
    table = judgments(grade=[1.0, 2.0], origin=["human:ann", "synthetic:ict"],
                      query_id=["q00", "q01"], doc_id=["d00", "d01"])  # fmt: skip
    whole = Collection(tiny_collection().corpus).with_judgments(table, "test")
    assert whole.positives(["gold", "human"])["query_id"].to_pylist() == ["q00"]
    assert whole.positives().num_rows == 2


def test_every_query_has_one_prompt_and_its_own_instruction_wins():
    queries = tiny_collection().queries.slice(0, 3)
    queries = queries.append_column("instruction", pa.array([None, "Do.", None], pa.large_string()))
    groups = dict(query_prompts(queries))
    assert groups.pop("query/tiny").tolist() == [0, 2]
    ((prompt, rows),) = groups.items()
    assert (prompt.instruction, rows.tolist()) == ("Do.", [1])


def test_documents_damaged_in_the_middle_are_named_when_they_are_read(tmp_path):
    save(tiny_collection(), tmp_path / "c")
    path = tmp_path / "c" / "corpus.parquet"
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = bytes(len(content) // 3 - 4)
    path.write_bytes(content)
    whole = open_collection(tmp_path / "c")
    with pytest.raises(InputError, match=r"corpus.parquet is damaged .* make the collection again"):
        list(whole.document_texts())


def test_a_card_that_is_no_object_is_named(tmp_path):
    save(tiny_collection(), tmp_path / "c")
    (tmp_path / "c" / "card.json").write_text("[]")
    with pytest.raises(InputError, match=r"card.json holds no JSON object"):
        open_collection(tmp_path / "c")


def test_a_place_below_a_file_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot write .*file/c.*choose another place"):
        save(tiny_collection(), tmp_path / "file" / "c")


def test_documents_cut_off_after_opening_are_named_when_they_are_read(tmp_path):
    save(tiny_collection(), tmp_path / "c")
    whole = open_collection(tmp_path / "c")
    path = tmp_path / "c" / "corpus.parquet"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"corpus.parquet is damaged .* make the collection again"):
        _ = whole.doc_ids


def test_a_corpus_that_was_edited_has_another_hash_than_its_card_says(tmp_path):
    save(tiny_collection(), tmp_path / "c")
    before = collection_hash(open_collection(tmp_path / "c"))
    path = tmp_path / "c" / "corpus.parquet"
    pq.write_table(pq.read_table(path).slice(0, 50), path)
    edited = open_collection(tmp_path / "c")
    assert collection_hash(edited) != before
    save(edited, tmp_path / "copy")
    copy = open_collection(tmp_path / "copy")
    assert copy.card["tables"]["corpus"] == content_hash(pq.read_table(path))
    assert copy.card["corpus_bytes"] == (tmp_path / "copy" / "corpus.parquet").stat().st_size


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SafetensorError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (SafetensorError("I/O error: Read-only file system (os error 30)"), "cannot write .*here"),
        (OSError(errno.EROFS, "Read-only file system"), "cannot write .*Read-only .*buy a disk"),
        (FileNotFoundError(errno.ENOENT, "No such file", "place.tmp-1"), "cannot write .*place"),
    ],
)
def test_what_the_system_refuses_to_write_is_one_sentence(error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Path("place") if error.args[0] == errno.ENOENT else tmp_path / "here"
    with pytest.raises(InputError, match=message), new_folder(place, remedy="buy a disk"):
        raise error


def test_a_missing_file_elsewhere_is_not_taken_for_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "a" / "place"):
        (tmp_path / "b" / "absent").read_text()
