"""Retrievers made of parts: vectors with an encoder, several fused, and one reranked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from annatto.core.encode import encode_windows
from annatto.core.errors import UsageError
from annatto.core.kept import kept_documents, query_vectors
from annatto.core.progress import track
from annatto.core.score import score_pairs
from annatto.core.tables import concat, rows_of
from annatto.core.types import BATCH_ROWS, Collection, Encoder, Neighbours, Retriever, Scorer
from annatto.index.flat import FlatIndex
from annatto.index.rows import candidates
from annatto.index.shards import Sharing
from annatto.ops.fuse import RRF_K, fuse_runs
from annatto.ops.topk import id_order


class Dense:
    """A Retriever that compares the vector of a query with the vector of every document, exactly.

    Attributes:
        encoder: makes the vectors; documents with prompt `document`, a query with the prompt of its
            task or instruction (`core.types.query_prompts`).
        name: source of the candidates; `dense:` and the encoder's name unless given.
        work: folder where vectors are kept and looked for (`core.kept`); None keeps nothing.
        sharing: who searches; this process alone unless said otherwise.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        name: str | None = None,
        work: Path | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self.encoder = encoder
        self.name = name or f"dense:{encoder.name}"
        self.work = work
        self.sharing = sharing
        self._vectors = FlatIndex(encoder.dim)
        self._doc_ids = pa.array([], pa.large_string())
        self._order = np.zeros(0, np.int64)

    def index(self, collection: Collection) -> None:
        """Encode every document; replaces what was indexed before."""
        self._doc_ids = collection.doc_ids
        self._order = id_order(self._doc_ids)
        if self.work:
            place = kept_documents(self.encoder, collection, None, self.work)
            self._vectors = FlatIndex.over(place, sharing=self.sharing)
            return
        self._vectors = FlatIndex(self.encoder.dim, sharing=self.sharing)
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
        vectors = query_vectors(self.encoder, queries, self.work)
        found = self._vectors.search(vectors, k, tie_order=self._order)
        return candidates(queries["query_id"], self._doc_ids, found, source=self.name)

    def vectors(self) -> Iterator[np.ndarray]:
        """The documents' vectors in corpus order, as (m, dim) float32 arrays."""
        return self._vectors.blocks()

    def take(self, rows: np.ndarray) -> np.ndarray:
        """(m, dim) float32 vectors of the documents at these corpus rows."""
        return self._vectors.take(rows)


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


class Rerank:
    """A Retriever that lets a scorer order anew what another retriever finds.

    Attributes:
        retriever: finds the candidates.
        scorer: orders them.
        depth: how many per query it reads; what stands behind them is never found.
        name: source of the candidates; `reranker:` and the scorer's name unless given.
    """

    def __init__(
        self, retriever: Retriever, scorer: Scorer, *, depth: int = 100, name: str | None = None
    ) -> None:
        if depth < 1:
            raise UsageError(f"reranking needs a depth of at least 1; found {depth}.")
        self.retriever = retriever
        self.scorer = scorer
        self.depth = depth
        self.name = name or f"reranker:{scorer.name}"
        self._collection: Collection | None = None
        self._order = np.zeros(0, np.int64)

    def index(self, collection: Collection) -> None:
        """Let the retriever index the documents; their texts are read again in each search."""
        self.retriever.index(collection)
        self._collection = collection
        self._order = id_order(collection.doc_ids)

    def search(self, queries: pa.Table, k: int) -> pa.Table:
        """CANDIDATES of the k best of the `depth` documents that the retriever finds per query.

        Args:
            queries: QUERIES.
            k: at least 1; more than `depth` are never found.

        Returns:
            Rank from 1, score = the scorer's (higher = more relevant), ties by doc_id descending.

        Raises:
            UsageError: nothing is indexed yet, or k is below 1.
        """
        if self._collection is None or k < 1:
            raise UsageError(
                f"{self.name} needs documents and a k of at least 1; found k = {k} and "
                f"{'no' if self._collection is None else 'some'} documents; call index(collection)."
            )
        run = self.retriever.search(queries, self.depth)
        asked = rows_of(run["query_id"], queries["query_id"].combine_chunks())
        docs = rows_of(run["doc_id"], self._collection.doc_ids)
        texts = queries["text"].to_pylist()
        scores = score_pairs(self.scorer, self._collection, texts, asked, docs)
        order = np.lexsort((-self._order[docs], -scores, asked))
        best = _padded(scores[order], asked[order], docs[order], queries.num_rows)
        found = Neighbours(best.scores[:, :k], best.rows[:, :k])
        return candidates(queries["query_id"], self._collection.doc_ids, found, source=self.name)


def _padded(scores: np.ndarray, asked: np.ndarray, docs: np.ndarray, queries: int) -> Neighbours:
    """Pairs ordered by query as (queries, most), padded with -inf and -1."""
    counts = np.bincount(asked, minlength=queries)
    place = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (queries, int(counts.max(initial=0)))
    found = Neighbours(np.full(shape, -np.inf, np.float32), np.full(shape, -1, np.int64))
    found.scores[asked, place] = scores
    found.rows[asked, place] = docs
    return found
