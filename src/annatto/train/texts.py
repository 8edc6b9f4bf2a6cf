"""Token ids of the texts that training will meet, made once: 4 bytes a token, no text in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from annatto.core.progress import track
from annatto.core.types import BATCH_ROWS, Collection, Ragged, query_prompts
from annatto.models.embedder import Embedder
from annatto.models.tokens import Tokens
from annatto.train.examples import Examples


@dataclass(frozen=True)
class Texts:
    """Tokenised documents, and how long queries are.

    Attributes:
        queries: (q,) int64 tokens of each row of `Examples.queries`, its prompt included.
        documents: int32 ids of the documents in `rows`.
        rows: (n,) int64, ascending corpus rows.
        cut_queries: how many queries lost their end to the token limit.
        cut_documents: how many documents did.
    """

    queries: np.ndarray
    documents: Ragged
    rows: np.ndarray
    cut_queries: int
    cut_documents: int

    def read(self, documents: np.ndarray) -> list[list[int]]:
        """Ids of these corpus rows."""
        return [_row(self.documents, i) for i in np.searchsorted(self.rows, documents)]

    def lengths(self, found: Examples) -> np.ndarray:
        """(e,) int64 tokens of each example: its query and its positive."""
        at = np.searchsorted(self.rows, found.positive)
        documents = np.diff(self.documents.offsets)
        return np.asarray(self.queries[found.query] + documents[at])


def tokenize(collection: Collection, model: Embedder, found: Examples) -> Texts:
    """Tokenise every document of `found` the way `model.encode` would, and measure its queries.

    Queries are tokenised again for each batch, behind its demonstrations; see `train.asked`.
    """
    rows, documents, cut_documents = documents_of(collection, found, model.tokenize)
    queries, cut_queries = _queries(found.queries, model)
    return Texts(queries, documents, rows, cut_queries, cut_documents)


def documents_of(
    collection: Collection, found: Examples, tokenise: Callable[[list[str]], Tokens]
) -> tuple[np.ndarray, Ragged, int]:
    """Every document of `found`, batch by batch through `tokenise`.

    Returns:
        (n,) int64 ascending corpus rows, their int32 ids, and how many `tokenise` cut.
    """
    parts = (found.positive, found.positives.ravel(), found.negatives.ravel())
    rows = np.unique(np.concatenate(parts))
    rows = rows[rows >= 0]
    lists, cut = [], 0
    batches = collection.document_texts(rows)
    for texts in track(batches, "tokenising documents", -(-len(rows) // BATCH_ROWS)):
        tokens = tokenise(texts)
        lists.append(_ragged(tokens.ids))
        cut += int(tokens.cut.sum())
    return rows, _joined(lists), cut


def _queries(queries: pa.Table, model: Embedder) -> tuple[np.ndarray, int]:
    texts = queries["text"].to_pylist()
    lengths, cut = np.zeros(len(texts), np.int64), 0
    for prompt, rows in query_prompts(queries):
        tokens = model.tokenize([texts[i] for i in rows], prompt=prompt)
        lengths[rows] = [len(row) for row in tokens.ids]
        cut += int(tokens.cut.sum())
    return lengths, cut


def _ragged(ids: list[list[int]]) -> Ragged:
    lengths = [len(row) for row in ids]
    values = np.fromiter((i for row in ids for i in row), np.int32, sum(lengths))
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def _joined(parts: list[Ragged]) -> Ragged:
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    values = np.concatenate([part.values for part in parts])
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))


def _row(ragged: Ragged, i: int) -> list[int]:
    row: list[int] = ragged.values[ragged.offsets[i] : ragged.offsets[i + 1]].tolist()
    return row
