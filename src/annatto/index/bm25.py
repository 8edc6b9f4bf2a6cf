"""BM25: documents that share words with the query, scored by how rare the words are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import bm25s
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bm25s.tokenization import Tokenized, Tokenizer

from annatto.core.atomic import new_folder, read_card, write_json
from annatto.core.errors import InputError, UsageError, a
from annatto.core.progress import track
from annatto.core.types import Collection
from annatto.index.rows import candidates
from annatto.ops.topk import id_order, rank_rows


class BM25:
    """A Retriever that counts words.

    Words are runs of two or more letters, digits or underscores, in lower case, not stemmed, less
    bm25s's 33 English stop words (Lucene's). Text without spaces between words, such as Chinese,
    is therefore hardly searchable.

    Paper: Kamphuis, de Vries, Boytsov and Lin, Which BM25 do you mean?, ECIR 2020, table 1,
        "Lucene (accurate)".
    Differs: nothing but the rounding of precomputed scores to float32 (bm25s). k1 is Lucene's 1.2
        (bm25s has 1.5). NumPy only, even where numba is installed, so that scores are the same.

    While indexing it needs about 60 bytes for each distinct word of each document (0.4 GB for
    500,000 documents of 20 words), afterwards 8.

    Attributes:
        k1: how much a repeated word counts; 0 = not at all.
        b: how much long documents are held back; 0 = not at all, 1 = in proportion.
        name: source of the candidates.
    """

    def __init__(self, *, k1: float = 1.2, b: float = 0.75, name: str = "bm25") -> None:
        self.k1 = k1
        self.b = b
        self.name = name
        self._words: Tokenizer = Tokenizer(stopwords="en")
        self._scores: Any = None
        self._doc_ids = pa.array([], pa.large_string())
        self._order = np.zeros(0, np.int64)

    def index(self, collection: Collection) -> None:
        """Count the words of every document; replaces what was indexed before."""
        self._words = Tokenizer(stopwords="en")
        documents: list[list[int]] = []
        for texts in track(collection.document_texts(), f"indexing documents for {self.name}"):
            documents.extend(self._tokens(texts, learn=True))
        self._scores = bm25s.BM25(k1=self.k1, b=self.b, method="lucene", backend="numpy")
        with np.errstate(invalid="ignore"):  # the mean length may be 0 when no document has a word
            self._scores.index(
                Tokenized(documents, self._words.word_to_id),
                create_empty_token=False,
                show_progress=False,
            )
        self._doc_ids = collection.doc_ids
        self._order = id_order(self._doc_ids)

    def search(self, queries: pa.Table, k: int) -> pa.Table:
        """CANDIDATES of the k best documents per query, of those that share a word with it.

        Args:
            queries: QUERIES.
            k: at least 1; fewer rows when fewer documents share a word.

        Returns:
            Rank from 1, score > 0 (higher = more relevant), ties by doc_id descending, also at
            the border of the k.

        Raises:
            UsageError: nothing is indexed yet, or k is below 1.
        """
        if self._scores is None:
            raise UsageError(f"{self.name} has no documents; call index(collection) first.")
        if k < 1:
            raise UsageError(f"k must be at least 1; found {k}.")
        rows = np.full((queries.num_rows, k), -1, np.int64)
        scores = np.full((queries.num_rows, k), -np.inf, np.float32)
        asked = self._tokens(queries["text"].to_pylist(), learn=False)
        for i, words in enumerate(track(asked, f"searching {self.name}", queries.num_rows)):
            if words:
                found, best = self._best(words, k)
                rows[i, : len(found)] = found
                scores[i, : len(found)] = best
        return candidates(queries["query_id"], self._doc_ids, (scores, rows), source=self.name)

    def save(self, folder: Path) -> None:
        """Write the index to `folder`, replacing what was there."""
        if self._scores is None:
            raise UsageError(f"{self.name} has no documents; call index(collection) first.")
        with new_folder(Path(folder)) as place:
            self._scores.save(place, show_progress=False)
            pq.write_table(pa.table({"doc_id": self._doc_ids}), place / "doc_ids.parquet")
            card = {"kind": "bm25", "name": self.name, "k1": self.k1, "b": self.b}
            write_json(place / "card.json", card)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a saved index; its scores stay on disk.

        Raises:
            InputError: `folder` is no BM25 index, or a part is missing or damaged.
        """
        folder = Path(folder)
        if not (folder / "card.json").exists():
            raise InputError(f"{folder} is not a BM25 index (it has no card.json); make it again.")
        card = read_card(folder / "card.json")
        if card.get("kind") != "bm25":
            raise InputError(
                f"{folder} holds {a(card.get('kind', 'thing of unknown kind'))}, not a BM25 index."
            )
        retriever = cls(k1=card["k1"], b=card["b"], name=card["name"])
        try:
            retriever._scores = bm25s.BM25.load(folder, mmap=True, show_progress=False)
            retriever._doc_ids = pq.read_table(folder / "doc_ids.parquet")[
                "doc_id"
            ].combine_chunks()
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} is damaged ({error}); make the index again.") from error
        retriever._words.word_to_id = retriever._scores.vocab_dict
        retriever._order = id_order(retriever._doc_ids)
        return retriever

    def _tokens(self, texts: list[str], *, learn: bool) -> Iterator[list[int]]:
        tokens: Iterator[list[int]] = self._words.streaming_tokenize(
            texts, update_vocab=learn, allow_empty=False
        )
        return tokens

    def _best(self, words: list[int], k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = self._scores.get_scores_from_ids(words)
        found = np.flatnonzero(scores)
        found = found[rank_rows(scores[found], self._order[found], k)]
        return found, scores[found]
