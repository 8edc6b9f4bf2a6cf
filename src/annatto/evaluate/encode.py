"""Vectors of some queries and of some documents, as a search would see them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from annatto.core.types import Collection, Encoder, query_prompts


def encode_queries(encoder: Encoder, queries: pa.Table) -> np.ndarray:
    """(q, dim) float32 unit rows, each query with the prompt of its task or instruction."""
    vectors = np.zeros((queries.num_rows, encoder.dim), np.float32)
    for prompt, rows in query_prompts(queries):
        texts = queries["text"].take(pa.array(rows)).to_pylist()
        vectors[rows] = encoder.encode(texts, prompt=prompt)
    return vectors


def encode_documents(encoder: Encoder, collection: Collection, rows: np.ndarray) -> np.ndarray:
    """(n, dim) float32 unit rows of the documents at these corpus rows."""
    vectors = [
        encoder.encode(texts, prompt="document") for texts in collection.document_texts(rows)
    ]
    return np.concatenate([np.zeros((0, encoder.dim), np.float32), *vectors])
