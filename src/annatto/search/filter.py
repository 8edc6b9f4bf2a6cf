"""Which of the documents found are relevant enough to show: one cut-off for all queries.

A search always returns k documents, and a cosine means something else for every query. A Cutoff
maps each query's cosines to a probability of its own and keeps what is above one threshold.

CUTOFF/weights.safetensors   the network
CUTOFF/card.json             kind `cutoff`, threshold, aim, whose vectors it reads, how it was made
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from annatto.core.atomic import new_folder, read_card, write_json
from annatto.core.errors import IdentityError, InputError
from annatto.core.identity import identity
from annatto.core.types import Encoder
from annatto.core.vectorfile import checked
from annatto.models.prompts import to_json
from annatto.search.mapper import Mapper

KIND = "cutoff"
WEIGHTS = "weights.safetensors"
CARD = "card.json"
REMEDY = "annatto calibrate"


class Kept(NamedTuple):
    """What a Cutoff says of a search.

    Attributes:
        keep: (q, k) bool; False for padding.
        probability: (q, k) float32 in [0, 1] that a document is relevant, higher = more so; 0 for
            padding. Within a query it falls as the cosine does.
    """

    keep: np.ndarray
    probability: np.ndarray


@dataclass(frozen=True)
class Cutoff:
    """A map from cosine to probability for each query, and one threshold for all.

    Paper: Rossi et al., Relevance Filtering for Embedding-based Retrieval (Cosine Adapter), CIKM
        2024, arXiv:2408.04887, its serving: the network once per query, then one global threshold;
        read second-hand.
    Differs: a query may be left with nothing; the vectors it belongs to are checked.

    Attributes:
        mapper: the trained network.
        threshold: a logit; what is at least as high is kept.
        aim: what the threshold was chosen for, such as `precision 0.9`.
        queries: how many held-out queries it was chosen on.
        identity: whose vectors it reads, see `identity_of`.
        card: how it was made, and what it did on queries it has not seen.
    """

    mapper: Mapper
    threshold: float
    aim: str
    queries: int
    identity: Mapping[str, Any]
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """The threshold as a probability, in [0, 1]."""
        return float(probability(np.array(self.threshold)))

    def keep(self, query_vectors: np.ndarray, scores: np.ndarray) -> Kept:
        """Which of the documents found for each query are relevant enough.

        Args:
            query_vectors: (q, d) float32, of the encoder it belongs to (`check`).
            scores: (q, k) float32 cosines of the documents found; -inf pads.

        Raises:
            InputError: vectors of another dimension, that are not finite, or too few of them.
        """
        vectors = checked(query_vectors, self.mapper.dim, "a cut-off", first=0)
        cosines = np.asarray(scores, np.float32)
        if cosines.ndim != 2 or len(cosines) != len(vectors) or np.isnan(cosines).any():
            raise InputError(
                "a cut-off needs one row of cosines for each query vector, without NaN; found "
                f"scores of shape {cosines.shape} and {len(vectors)} vectors; pass those of the "
                "same search."
            )
        logits = self.mapper.logits(vectors, cosines)
        return Kept(logits >= self.threshold, probability(logits).astype(np.float32))

    def reason(self, below: int, found: int) -> str:
        """Why documents are missing, as a sentence without a full stop.

        Args:
            below: how many of those found were cut.
            found: how many were found.
        """
        return (
            f"{below} of {found} were below the calibrated cut-off {self.probability:.2f}, chosen "
            f"for {self.aim} on {self.queries} held-out queries"
        )

    def check(self, encoder: Encoder) -> None:
        """Refuse an encoder whose vectors it cannot read.

        Raises:
            IdentityError: another model, or the same with another prompt or reading.
        """
        ours, theirs = self.identity, identity_of(encoder)
        different = [name for name in theirs if ours.get(name) != theirs[name]]
        if different:
            first = different[0]
            raise IdentityError(
                f"the cut-off belongs to another encoder: {', '.join(different)} differ ({first}: "
                f"{ours.get(first)!r} in the cut-off, {theirs[first]!r} in {encoder.name}); "
                "calibrate again: annatto calibrate."
            )

    def save(self, folder: Path) -> Path:
        """Write a folder, replaced if it is there.

        Raises:
            InputError: the place cannot be written or the disk is full.
        """
        weights = {name: one.cpu().contiguous() for name, one in self.mapper.state_dict().items()}
        with new_folder(Path(folder)) as place:
            save_file(weights, place / WEIGHTS)
            card = {
                **self.card,
                "kind": KIND,
                "format": 1,
                "mapping": self.mapper.mapping,
                "hidden": self.mapper.hidden,
                "threshold": self.threshold,
                "aim": self.aim,
                "queries": self.queries,
                "identity": dict(self.identity),
                "hash": _hash(place / WEIGHTS),
            }
            write_json(place / CARD, card)
        return Path(folder)

    @staticmethod
    def load(folder: Path) -> Cutoff:
        """Read what `save` wrote.

        Raises:
            InputError: it is no cut-off, or it is damaged.
        """
        place = Path(folder) / CARD
        if not place.exists():
            raise InputError(f"{folder} is no cut-off (it has no {CARD}); make one: {REMEDY}.")
        card = read_card(place)
        if card.get("kind") != KIND:
            raise InputError(f"{folder} must be a cut-off; found '{card.get('kind')}'.")
        try:
            if _hash(Path(folder) / WEIGHTS) != card["hash"]:
                raise InputError(f"{folder} is damaged (other weights); make it again: {REMEDY}.")
            mapper = Mapper(card["identity"]["dim"], mapping=card["mapping"], hidden=card["hidden"])
            mapper.load_state_dict(load_file(Path(folder) / WEIGHTS))
            return Cutoff(
                mapper.eval().requires_grad_(False),
                float(card["threshold"]),
                card["aim"],
                int(card["queries"]),
                card["identity"],
                card,
            )
        except (KeyError, TypeError, ValueError, RuntimeError, OSError, SafetensorError) as error:
            raise InputError(f"{folder} is damaged ({error}); make it again: {REMEDY}.") from error


def identity_of(encoder: Encoder) -> dict[str, Any]:
    """What must be equal for a cut-off to hold, as JSON: the index's identity and the query prompt.

    The prompt is the one called `query`, which search uses; an encoder without prompts has none.
    """
    stored = getattr(encoder, "prompts", {})
    prompt = to_json(stored)["query"] if "query" in stored else None
    found: dict[str, Any] = json.loads(json.dumps({**identity(encoder), "query prompt": prompt}))
    return found


def probability(logits: np.ndarray) -> np.ndarray:
    """Logits, (…) float, as probabilities in [0, 1]; of -inf, 0."""
    small = np.exp(-np.abs(logits))
    found: np.ndarray = np.where(np.asarray(logits) >= 0, 1 / (1 + small), small / (1 + small))
    return found


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
