"""Vectors that outlast a run: found again by the model, how it reads, and every text.

WORK/KEY.npy holds the vectors of one call, see `core.vectorfile`. KEY is a sha256 over everything
that decides them, so that no model is ever served another's vectors, nor its own from before it was
trained on. A file is used whole or not at all: what is encoded together never depends on what
happens to be kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from annatto.core.encode import encode_documents, encode_queries
from annatto.core.store import content_hash, corpus_hash
from annatto.core.types import Collection, Encoder, Prompt, query_prompts
from annatto.core.vectorfile import encode_to, is_whole, reading

Windows = Callable[[], Iterable[Sequence[str]]]


def kept_documents(
    encoder: Encoder, collection: Collection, rows: np.ndarray | None, work: Path
) -> Path:
    """A .npy file of the documents' vectors, (n, dim) float32; made if it is not there.

    Args:
        encoder: reads them with its prompt `document`.
        collection: whose documents.
        rows: (n,) int64 corpus rows; all when None.
        work: the folder.

    Raises:
        InputError: a vector is NaN, or the folder cannot be written.
    """
    windows = partial(collection.document_texts, rows)
    if rows is not None:
        return _kept(encoder, windows, len(rows), "document", work)
    sizes = [batch.num_rows for batch in collection.documents([])]
    said = [corpus_hash(collection.corpus), sizes]
    return _encoded(
        encoder, windows, sum(sizes), "document", _place(encoder, "document", said, work)
    )


def document_vectors(
    encoder: Encoder, collection: Collection, rows: np.ndarray, work: Path | None
) -> np.ndarray:
    """(n, dim) float32 unit rows of documents; with `work` kept there and looked for."""
    if work is None:
        return encode_documents(encoder, collection, rows)
    found: np.ndarray = np.load(kept_documents(encoder, collection, rows, work), mmap_mode="r")
    return found


def query_vectors(encoder: Encoder, queries: pa.Table, work: Path | None) -> np.ndarray:
    """(q, dim) float32 unit rows of QUERIES, each with the prompt of its task or instruction.

    Each prompt's queries are encoded together, so that the bytes are the same with `work`, where
    they are kept and looked for, and without.
    """
    if work is None:
        return encode_queries(encoder, queries)
    vectors = np.zeros((queries.num_rows, encoder.dim), np.float32)
    for prompt, rows in query_prompts(queries):
        texts = queries["text"].take(pa.array(rows)).to_pylist()
        vectors[rows] = np.load(_kept(encoder, partial(list, (texts,)), len(rows), prompt, work))
    return vectors


def fingerprint(encoder: Encoder, collection: Collection, queries: pa.Table) -> str:
    """sha256 of all that decides the scores of these queries with all documents."""
    prompts = ["document", *(prompt for prompt, _ in query_prompts(queries))]
    said: list[Any] = [reading(encoder, prompt) for prompt in prompts]
    said += [corpus_hash(collection.corpus), content_hash(queries)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _kept(encoder: Encoder, windows: Windows, count: int, prompt: str | Prompt, work: Path) -> Path:
    digest = hashlib.sha256()
    for texts in windows():
        digest.update(json.dumps(list(texts)).encode())
    place = _place(encoder, prompt, [digest.hexdigest()], work)
    return _encoded(encoder, windows, count, prompt, place)


def _place(encoder: Encoder, prompt: str | Prompt, texts: Sequence[Any], work: Path) -> Path:
    """The file of these texts, named by what `texts` says of them and by how they are read."""
    said = json.dumps([reading(encoder, prompt), *texts], sort_keys=True)
    return Path(work) / f"{hashlib.sha256(said.encode()).hexdigest()}.npy"


def _encoded(
    encoder: Encoder, windows: Windows, count: int, prompt: str | Prompt, place: Path
) -> Path:
    """The file itself, made if it is not whole; its name says that the texts are the same."""
    if not is_whole(place, count):
        encode_to(place, windows(), count=count, encoder=encoder, prompt=prompt)
    return place
