"""Vectors of queries and of documents, each read with the prompt it is searched with."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Sequence

import numpy as np
import pyarrow as pa

from annatto.core.progress import track
from annatto.core.types import BATCH_ROWS, Collection, Encoder, Prompt, query_prompts


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
    with contextlib.closing(encode_windows(encoder, collection.document_texts(rows))) as windows:
        for found in track(windows, label, batches):
            vectors[done : done + len(found)] = found
            done += len(found)
    return vectors


def encode_windows(
    encoder: Encoder, windows: Iterable[Sequence[str]], *, prompt: str | Prompt = "document"
) -> Generator[np.ndarray, None, None]:
    """(m, dim) float32 unit rows of each window of texts, in order.

    An encoder that can prepare one window while another runs has a method of this name, which is
    used; it may read `windows` ahead, in another thread. Close the generator to stop early.
    """
    own = getattr(encoder, "encode_windows", None)
    if own is not None:
        yield from own(windows, prompt=prompt)
        return
    for texts in windows:
        yield encoder.encode(texts, prompt=prompt)
