"""`check_store` passes the stores that are right and fails those that are wrong in one thing."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from annatto.core.tables import TEXT
from annatto.core.types import Collection
from annatto.index.bm25 import BM25
from annatto.index.lance import LanceStore
from annatto.index.memory import MemoryStore
from annatto.testing import check_store


def test_a_store_in_memory_keeps_the_contract():
    check_store(MemoryStore)


def test_a_store_in_lancedb_keeps_the_contract(tmp_path):
    check_store(
        lambda dim: LanceStore.open(tmp_path, dim=dim), reopen=lambda: LanceStore.open(tmp_path)
    )


class NearScores(MemoryStore):
    def search(self, k, **asked):
        found = super().search(k, **asked)
        return found.set_column(0, "score", pc.multiply(found["score"], pa.scalar(0.9999, "float")))


class FirstRows(MemoryStore):
    def search(self, k, **asked):
        found = super().search(k, **asked)
        return found.take(pa.array([*range(found.num_rows - 1), 0][: found.num_rows], "int64"))


class DenseUnfiltered(MemoryStore):
    def search(self, k, *, text=None, where=None, **asked):
        return super().search(k, text=text, where=where if text is not None else None, **asked)


class TextUnfiltered(MemoryStore):
    def search(self, k, *, text=None, where=None, **asked):
        return super().search(k, text=text, where=None if text is not None else where, **asked)


class ReadUnfiltered(MemoryStore):
    def read(self, columns, where=None):
        return super().read(columns, None if where else where)


class NullIsUnequal(MemoryStore):
    def _allowed(self, where):
        if where and [(term.column, term.sign) for term in where.terms] == [("year", "!=")]:
            where = None
        return super()._allowed(where)


class Boundless(MemoryStore):
    def search(self, k, **asked):
        return super().search(k, **{**asked, "radius": None})


class Doubling(MemoryStore):
    def upsert(self, documents, vectors):
        stay, self._others = self._others, lambda ids: super(Doubling, self)._others(ids) | True
        super().upsert(documents, vectors)
        self._others = stay


class OldWords(MemoryStore):
    def upsert(self, documents, vectors):
        words = self._words
        super().upsert(documents, vectors)
        self._words = words


class OldColumns(MemoryStore):
    """A column that an upsert leaves out keeps its former value."""

    def upsert(self, documents, vectors):
        old = self.documents(documents["doc_id"].to_pylist())
        if old.num_rows == documents.num_rows:
            for name in set(old.column_names) - set(documents.column_names):
                documents = documents.append_column(name, old[name])
        super().upsert(documents, vectors)


class Keeping(MemoryStore):
    def delete(self, doc_ids):
        return self.documents(doc_ids).num_rows


class Miscounting(MemoryStore):
    def delete(self, doc_ids):
        super().delete(doc_ids)
        return len(doc_ids)


class EmptyForNull(MemoryStore):
    def upsert(self, documents, vectors):
        source = documents.column_names.index("source")
        filled = pc.fill_null(documents["source"], "")
        super().upsert(documents.set_column(source, "source", filled), vectors)


class Ascii(MemoryStore):
    def upsert(self, documents, vectors):
        plain = [text.encode("ascii", "replace").decode() for text in documents["text"].to_pylist()]
        text = documents.column_names.index("text")
        super().upsert(documents.set_column(text, "text", pa.array(plain, TEXT)), vectors)


class OtherType(MemoryStore):
    def upsert(self, documents, vectors):
        weight = documents.column_names.index("weight")
        wider = documents["weight"].cast(pa.float64())
        super().upsert(documents.set_column(weight, "weight", wider), vectors)


class HalfVectors(MemoryStore):
    def upsert(self, documents, vectors):
        super().upsert(documents, vectors.astype("float16").astype("float32"))


class WithoutTitles(MemoryStore):
    def _bm25(self):
        words = BM25()
        untitled = self._rows.set_column(1, "title", pa.array([""] * len(self), TEXT))
        words.index(Collection(corpus=ds.dataset(untitled)))
        return words


class Lenient(MemoryStore):
    def upsert(self, documents, vectors):
        super().upsert(documents.slice(0, 2), vectors[:2, : self.dim])


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (NearScores, "the scores are"),
        (FirstRows, "the scores are|found twice"),
        (DenseUnfiltered, "where .*: found "),
        (TextUnfiltered, "the words found"),
        (ReadUnfiltered, "where .*: read "),
        (NullIsUnequal, "where .*'!=': 2003"),
        (Boundless, "within a radius"),
        (Doubling, "still found|documents, not"),
        (OldWords, "the word .* found|still found|more than"),
        (OldColumns, "'(year|labels)' is"),
        (Keeping, "tells of documents that were deleted before"),
        (Miscounting, "delete tells"),
        (EmptyForNull, "'source' is"),
        (Ascii, "'text' is"),
        (OtherType, "the column 'weight' is double"),
        (HalfVectors, "other vectors than were put in"),
        (WithoutTitles, "the words found"),
        (Lenient, "documents, not"),
    ],
)
def test_a_store_that_is_wrong_in_one_thing_is_found_out(broken, told):
    with pytest.raises(AssertionError, match=told):
        check_store(broken)


def test_a_store_that_forgets_when_it_is_closed_is_found_out():
    with pytest.raises(AssertionError, match="a store that was opened again has 0 documents"):
        check_store(MemoryStore, reopen=lambda: MemoryStore(8))
