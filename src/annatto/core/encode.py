"""Vectors of queries and of documents, each read with the prompt it is searched with."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from annatto.core.progress import track
from annatto.core.types import BATCH_ROWS, Collection, Encoder, query_prompts


def encode_queries(encoder: Encoder, queries: pa.Table) -> np.ndarray:
    """(q, dim) float32 unit rows; each query with the prompt of its task or instruction."""
    vectors = np.zeros((queries.num_rows, encoder.dim), np.float32)
    for prompt, rows in query_prompts(queries):
        texts = queries["text"].take(pa.array(rows)).to_pylist()
        vectors[rows] = encoder.encode(texts, prompt=prompt)
    return vectors


def encode_documents(encoder: Encoder, collection: Collection, rows: np.ndarray) -> np.ndarray:
    """(n, dim) float32 unit rows of the documents at these corpus rows."""
    vectors = np.empty((len(rows), encoder.dim), np.float32)
    batches, done = -(-len(rows) // BATCH_ROWS), 0
    label = f"encoding documents with {encoder.name}"
    for texts in track(collection.document_texts(rows), label, batches):
        vectors[done : done + len(texts)] = encoder.encode(texts, prompt="document")
        done += len(texts)
    return vectors
