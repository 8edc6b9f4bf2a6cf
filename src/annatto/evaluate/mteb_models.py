"""An Encoder, a Scorer and a Retriever of ours in mteb's words; the only place that knows them.

mteb hands texts over as a loader of batches, each a dict with `text`: of a document title and text
joined by a space, of a query the instruction of its row behind it. So both sides read what
`core.types.document_text` makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from annatto.core.encode import encode_windows
from annatto.core.tables import QUERIES
from annatto.core.types import BATCH_ROWS, Retriever, Scorer
from annatto.evaluate.mteb_collection import collection_of
from annatto.evaluate.mteb_prompts import stored_name
from annatto.models.embedder import Embedder

Batches = Iterable[Mapping[str, Sequence[str]]]
Found = dict[str, dict[str, float]]
AT_ONCE = 64
"""Queries that search together where all documents have to be ranked."""


@dataclass(frozen=True)
class EncoderModel:
    """An Embedder as mteb's `EncoderProtocol`.

    Attributes:
        embedder: its stored prompts decide how texts are shown; see `mteb_prompts.stored_name`.
        mteb_model_meta: mteb's ModelMeta; its name and revision are where results are kept.
    """

    embedder: Embedder
    mteb_model_meta: Any

    def encode(
        self, inputs: Batches, *, task_metadata: Any, prompt_type: Any = None, **_: Any
    ) -> np.ndarray:
        """(n, dim) float32, rows of length 1; our batches are planned anew, mteb's do not count."""
        prompt = stored_name(
            self.embedder.prompts,
            task=task_metadata.name,
            kind=task_metadata.type,
            side=prompt_type.value if prompt_type else None,
        )
        found = encode_windows(self.embedder, _windows(inputs), prompt=prompt)
        return np.concatenate([np.zeros((0, self.embedder.dim), np.float32), *found])

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """(n, m) float32 cosines, higher = more similar."""
        from mteb.similarity_functions import cos_sim

        return cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """(n,) float32 cosines of row i with row i."""
        from mteb.similarity_functions import pairwise_cos_sim

        return pairwise_cos_sim(embeddings1, embeddings2)


@dataclass(frozen=True)
class ScorerModel:
    """A Scorer as mteb's `CrossEncoderProtocol`: it reranks, and finds nothing by itself."""

    scorer: Scorer
    mteb_model_meta: Any

    def predict(self, inputs1: Batches, inputs2: Batches, **_: Any) -> np.ndarray:
        """(n,) float32, higher = more relevant; inputs1 are queries, inputs2 documents."""
        return self.scorer.score(list(_texts(inputs1)), list(_texts(inputs2)))


class RetrieverModel:
    """A Retriever as mteb's `SearchProtocol`.

    Its queries have the task's name as task, so that an encoder in it shows `query/NAME` if that is
    stored, else `query`. Where mteb says which documents to rank, all are ranked and the others
    left out: exact, and slow for a large corpus.

    Attributes:
        retriever: what searches.
        mteb_model_meta: mteb's ModelMeta.
    """

    def __init__(self, retriever: Retriever, mteb_model_meta: Any) -> None:
        self.retriever = retriever
        self.mteb_model_meta = mteb_model_meta
        self._folder: TemporaryDirectory[str] | None = None
        self._documents = 0

    def index(self, corpus: Any, **_: Any) -> None:
        """Index the documents; they lie on disk while they are in use."""
        folder = TemporaryDirectory(prefix="annatto-mteb-")
        self.retriever.index(collection_of(corpus, Path(folder.name)))
        self._folder, self._documents = folder, len(corpus)

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_: Any,
    ) -> Found:
        """query_id to doc_id to score, higher = more relevant; at most `top_k` of each query."""
        found: Found = {}
        for rows in queries.iter(AT_ONCE if top_ranked else BATCH_ROWS):
            asked = QUERIES.table(
                {
                    "query_id": rows["id"],
                    "text": _asked(rows),
                    "task": [task_metadata.name] * len(rows["id"]),
                    "split": ["test"] * len(rows["id"]),
                }
            )
            run = self.retriever.search(asked, self._documents if top_ranked else top_k)
            found |= {query_id: {} for query_id in rows["id"]}
            for row in run.select(["query_id", "doc_id", "score"]).to_pylist():
                found[row["query_id"]][row["doc_id"]] = row["score"]
        return _only(found, top_ranked) if top_ranked else found


def _texts(inputs: Batches) -> Iterator[str]:
    for batch in inputs:
        yield from batch["text"]


def _windows(inputs: Batches) -> Iterator[list[str]]:
    window: list[str] = []
    for batch in inputs:
        window += batch["text"]
        if len(window) >= BATCH_ROWS:
            yield window
            window = []
    if window:
        yield window


def _asked(rows: Mapping[str, Sequence[Any]]) -> list[str]:
    """Queries with the instructions of their rows, as mteb joins them."""
    texts = list(rows["text"])
    told = rows.get("instruction") or [None] * len(texts)
    return [f"{text} {more}" if more else text for text, more in zip(texts, told, strict=True)]


def _only(found: Found, allowed: Mapping[str, Sequence[str]]) -> Found:
    """What was found of the documents that each query may have."""
    kept: Found = {}
    for query_id, scores in found.items():
        wanted = set(allowed.get(query_id, ()))
        kept[query_id] = {doc_id: score for doc_id, score in scores.items() if doc_id in wanted}
    return kept
