"""Pairs of query and positive document, for benchmarks of training."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from annatto.data.load import load
from annatto.data.stdlib import stdlib


def pairs_of(place: Path | None, count: int) -> tuple[list[str], list[str]]:
    """Texts of `count` queries and of a positive of each; every text stands once.

    Args:
        place: a saved collection or a BEIR folder; Python's standard library when None.
        count: pairs, drawn evenly over the query ids.

    Raises:
        SystemExit: the collection has fewer.
    """
    collection = load(place) if place else stdlib()
    positives = collection.positives()
    query_of = dict(
        zip(positives["doc_id"].to_pylist(), positives["query_id"].to_pylist(), strict=True)
    )
    document_of = {query_id: doc_id for doc_id, query_id in query_of.items()}
    if len(document_of) < count:
        sys.exit(f"{count} pairs are needed; {collection.place} has {len(document_of)}.")
    chosen = sorted(document_of)[:: len(document_of) // count][:count]
    row_of = {doc_id: row for row, doc_id in enumerate(collection.doc_ids.to_pylist())}
    rows = np.array([row_of[document_of[query_id]] for query_id in chosen])
    text_of = dict(
        zip(
            collection.queries["query_id"].to_pylist(),
            collection.queries["text"].to_pylist(),
            strict=True,
        )
    )
    documents = itertools.chain.from_iterable(collection.document_texts(rows))
    return [text_of[query_id] for query_id in chosen], list(documents)
