"""The protocol of databases that hold documents with their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa

from annatto.core.where import Where


class Store(Protocol):
    """A database of documents with their vectors and their words.

    Attributes:
        place: a folder or an address, for messages.
        dim: length of every vector.
        schema: columns of the documents, `content` among them; what filters may name.
    """

    @property
    def place(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def schema(self) -> pa.Schema: ...
    def __len__(self) -> int: ...
    def upsert(self, documents: pa.Table, vectors: np.ndarray) -> None:
        """Add documents; one whose doc_id is there replaces it. Done, all or none, on return.

        `documents` are CORPUS rows with any further columns, and `content`, a text that tells what
        was encoded; `vectors` (n, dim) float32. A column new to the store is null elsewhere. A
        doc_id that stands twice, or a column of another type, is an InputError.
        """
        ...

    def delete(self, doc_ids: Sequence[str]) -> int:
        """Remove documents; how many of them were there."""
        ...

    def search(
        self,
        k: int,
        *,
        vector: np.ndarray | None = None,
        text: str | None = None,
        where: Where | None = None,
        radius: float | None = None,
    ) -> pa.Table:
        """The k best of the documents that `where` allows, best first, by one of two legs.

        `vector` (dim,) float32: exact inner product. `text`: BM25, of documents that share a word
        with it. Exactly one of them, else UsageError. Columns: score float32 (higher = better) and
        those of `schema`; ties by doc_id descending where the engine allows. With `radius` (and
        `vector`) only scores of at least so much.
        """
        ...

    def read(self, columns: Sequence[str], where: Where | None = None) -> Iterator[pa.RecordBatch]:
        """These columns of all documents, in any order; `vector` may be one of them."""
        ...

    def documents(self, doc_ids: Sequence[str]) -> pa.Table:
        """The documents of these ids that are there, in this order; the columns of `schema`."""
        ...

    def compact(self) -> None:
        """Put many small changes together, for speed; no answer changes."""
        ...

    def drop(self) -> None:
        """Remove the store with all its documents; it cannot be used afterwards."""
        ...
