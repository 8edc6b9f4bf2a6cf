import pyarrow as pa

from annatto.core.types import document_text


def test_texts_of_plain_string_columns_are_read_like_any_others():
    rows = pa.table({"title": ["A", ""], "text": ["first", "second"]})
    assert rows.schema.field("text").type == pa.string()
    assert document_text(rows) == ["A first", "second"]
