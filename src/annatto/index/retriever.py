"""Retrievers made of parts: vectors with an encoder, and several retrievers fused."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from annatto.core.encode import encode_queries, encode_windows
from annatto.core.errors import UsageError
from annatto.core.progress import track
from annatto.core.tables import concat
from annatto.core.types import BATCH_ROWS, Collection, Encoder, Retriever
from annatto.index.flat import FlatIndex
from annatto.index.rows import candidates
from annatto.ops.fuse import RRF_K, fuse_runs
from annatto.ops.topk import id_order


class Dense:
    """A Retriever that compares the vector of a query with the vector of every document, exactly.

    Attributes:
        encoder: makes the vectors; documents with prompt `document`, a query with the prompt of its
            task or instruction (`core.types.query_prompts`).
        name: source of the candidates; `dense:` and the encoder's name unless given.
    """

    def __init__(self, encoder: Encoder, *, name: str | None = None) -> None:
        self.encoder = encoder
        self.name = name or f"dense:{encoder.name}"
        self._vectors = FlatIndex(encoder.dim)
        self._doc_ids = pa.array([], pa.large_string())
        self._order = np.zeros(0, np.int64)

    def index(self, collection: Collection) -> None:
        """Encode every document; replaces what was indexed before."""
        self._doc_ids = collection.doc_ids
        self._order = id_order(self._doc_ids)
        self._vectors = FlatIndex(self.encoder.dim)
        batches = -(-len(self._doc_ids) // BATCH_ROWS)
        label = f"encoding documents with {self.encoder.name}"
        found = encode_windows(self.encoder, collection.document_texts())
        with contextlib.closing(found) as windows:
            for vectors in track(windows, label, batches):
                self._vectors.add(vectors)

    def search(self, queries: pa.Table, k: int) -> pa.Table:
        """CANDIDATES of the k nearest documents per query.

        Args:
            queries: QUERIES.
            k: at least 1.

        Returns:
            Rank from 1, score = inner product (higher = more similar), ties by doc_id descending,
            also at the border of the k.

        Raises:
            UsageError: nothing is indexed yet, or k is below 1.
        """
        if not len(self._vectors):
            raise UsageError(f"{self.name} has no documents; call index(collection) first.")
        vectors = encode_queries(self.encoder, queries)
        found = self._vectors.search(vectors, k, tie_order=self._order)
        return candidates(queries["query_id"], self._doc_ids, found, source=self.name)


class Hybrid:
    """A Retriever that fuses what others find by reciprocal rank fusion (see `ops.fuse.rrf`).

    Attributes:
        retrievers: whose runs are fused; their names must differ.
        rrf_k: how little the first ranks stand out.
        depth: how many of each one's best are fused.
        name: `rrf`.
    """

    name = "rrf"

    def __init__(
        self, retrievers: Sequence[Retriever], *, rrf_k: int = RRF_K, depth: int = 100
    ) -> None:
        names = [retriever.name for retriever in retrievers]
        if not names or len(set(names)) < len(names):
            raise UsageError(
                "a hybrid needs retrievers of different names; "
                f"found {', '.join(names) or 'none'}; give them names with `name=`."
            )
        self.retrievers = tuple(retrievers)
        self.rrf_k = rrf_k
        self.depth = depth

    def index(self, collection: Collection) -> None:
        """Let each of the retrievers index the documents."""
        for retriever in self.retrievers:
            retriever.index(collection)

    def search(self, queries: pa.Table, k: int) -> pa.Table:
        """CANDIDATES of the k best fused documents per query, query_id ascending."""
        runs = concat(retriever.search(queries, self.depth) for retriever in self.retrievers)
        names = [retriever.name for retriever in self.retrievers]
        return fuse_runs(runs, names, rrf_k=self.rrf_k, depth=k, name=self.name)
