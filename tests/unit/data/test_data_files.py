import re

import pytest

from annatto.core.errors import InputError
from annatto.data.files import read_files


def test_each_document_remembers_its_file_and_place(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("# Top\n\nSome words.\n\n## Deep\n\nMore words.\n")
    (tmp_path / "a.txt").write_text("Plain words.")
    (tmp_path / ".hidden.md").write_text("Not this.")
    (tmp_path / "image.png").write_bytes(b"\xff")
    (tmp_path / "empty.py").write_text("\n")
    collection = read_files(tmp_path)
    rows = collection.corpus.to_table().to_pylist()
    assert [(r["doc_id"], r["title"], r["line"], r["parent_id"]) for r in rows] == [
        ("a.txt#1", "a", 1, "a.txt"),
        ("sub/b.md#1", "Top", 3, "sub/b.md"),
        ("sub/b.md#2", "Top › Deep", 7, "sub/b.md"),
    ]
    text = (tmp_path / "sub" / "b.md").read_text()
    assert text[rows[2]["start"] : rows[2]["end"]] == rows[2]["text"] == "More words."
    assert str(collection.corpus.schema.field("line").type) == "int64"
    assert collection.card["notes"]["data.load"] == {
        "files": 3,
        "files_of_other_endings": {".png": 1},
        "files_without_text": ["empty.py"],
    }


def test_one_file_is_a_folder_of_one(tmp_path):
    (tmp_path / "a.html").write_text("<p>Some words</p>")
    assert read_files(tmp_path / "a.html").doc_ids.to_pylist() == ["a.html#1"]


def test_a_folder_without_text_says_what_it_found(tmp_path):
    for name in ("a.pdf", "b.pdf", "c"):
        (tmp_path / name).write_text("x")
    message = (
        f"{tmp_path} holds no text: looked for .txt, .md, .html, .htm, .py, found 2 .pdf, "
        "1 no ending; name another folder or convert the files."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        read_files(tmp_path)


def test_an_empty_folder_and_empty_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="found no file at all"):
        read_files(tmp_path)
    (tmp_path / "a.txt").write_text(" \n")
    with pytest.raises(InputError, match="holds no document, but at least one is needed"):
        read_files(tmp_path)


def test_a_file_that_is_not_utf8_is_named_with_line_and_byte(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"fine\ncaf\xe9\n")
    message = "a.txt, line 2 is not UTF-8 (byte 0xe9 at offset 8 of the text); convert the file"
    with pytest.raises(InputError, match=re.escape(message)):
        read_files(tmp_path)
