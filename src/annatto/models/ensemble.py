"""Several encoders as one, whose one vector ranks as the weighted sum of their cosines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from annatto.core.errors import UsageError
from annatto.core.identity import identity
from annatto.core.types import Encoder, Prompt


class Ensemble:
    """An Encoder that joins the vectors of several.

    Paper: Huang et al., Embedding-based Retrieval in Facebook Search, KDD 2020, arXiv:2006.11632,
        section 6.2 (weighted concatenation), read second-hand.
    Differs: joined vectors are brought to length 1, which divides all scores of a query by one
        number and changes no order. Which weights to take is up to the caller.

    A document's vector holds those of all encoders, unweighted; a query's holds each times its
    weight. So weights may be changed without encoding a document again. The score of a query and a
    document is the sum of weight times cosine, over sqrt(number of encoders) times the length of
    the weights.

    Attributes:
        encoders: at least one.
        weights: (s,) float64, one for each encoder, at least 0.
        name: for sources and messages.
        dim: the sum of all dimensions.
    """

    def __init__(
        self, encoders: Sequence[Encoder], weights: Sequence[float], *, name: str = "ensemble"
    ) -> None:
        self.encoders = tuple(encoders)
        self.weights = np.array(weights, np.float64)
        self.name = name
        fits = len(weights) == len(encoders) and np.isfinite(self.weights).all()
        if not (fits and len(encoders) and self.weights.min() >= 0 and self.weights.max() > 0):
            raise UsageError(
                "an ensemble needs a weight of at least 0 for each of its encoders, one of them "
                f"above 0; found {len(encoders)} encoders and the weights {list(weights)}."
            )
        self.dim = sum(encoder.dim for encoder in self.encoders)

    @property
    def weights_id(self) -> str:
        """sha256 over what the documents' vectors of all encoders depend on."""
        said = json.dumps([identity(encoder) for encoder in self.encoders], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """None of its own; those of its encoders are part of `weights_id`."""
        return {}

    def encode(self, texts: Sequence[str], *, prompt: str | Prompt = "document") -> np.ndarray:
        """(n, dim) float32, rows of length 1; everything but `document` is read as a query.

        Raises:
            UsageError: an encoder does not know the prompt.
        """
        is_document = prompt == "document"
        scales = np.ones(len(self.encoders)) if is_document else self.weights
        scales = scales / np.linalg.norm(scales)
        parts = [
            encoder.encode(texts, prompt=prompt) * np.float32(scale)
            for encoder, scale in zip(self.encoders, scales, strict=True)
        ]
        return np.concatenate(parts, axis=1).astype(np.float32)
