"""Which documents say the same, letter by letter."""

from __future__ import annotations

import hashlib

import numpy as np

from annatto.core.types import Collection


def text_hashes(collection: Collection, rows: np.ndarray) -> np.ndarray:
    """63 bits of each document's title and text, without case and with single spaces.

    Args:
        collection: whose documents.
        rows: (n,) int64 corpus rows.

    Returns:
        (n,) int64, equal where the texts are.
    """
    hashes = (_hash(text) for texts in collection.document_texts(rows) for text in texts)
    return np.fromiter(hashes, np.int64, len(rows))


def _hash(text: str) -> int:
    plain = " ".join(text.casefold().split())
    digest = hashlib.blake2b(plain.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
