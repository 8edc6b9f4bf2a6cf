"""A trained reranker and the folder it is saved to.

config.json, model.safetensors, tokenizer files   what AutoModelForSequenceClassification reads
annatto.json                                      kind, limit, template, identity, probe scores
card.json                                         kind, weights_id, how it was made
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from annatto.core.atomic import new_folder, write_json
from annatto.models import layout, transformer
from annatto.models.pairs import Pairs
from annatto.models.reranker import KIND

PROBES = (
    ("What is the capital of France?", "Paris is the capital and largest city of France."),
    ("What is the capital of France?", "Mix flour and water, and let the dough rest."),
    ("area of a circle", "def area(radius):\n    return math.pi * radius**2"),
    ("naïve café, 東京", "Überraschung: ሰላም, 😀"),
    ("a", "word " * 40),
)
"""Queries and documents whose scores are saved: they tell a right copy from a wrong one."""


@dataclass(frozen=True, kw_only=True)
class Reranker:
    """A cross-encoder as training leaves it.

    Attributes:
        network: with one logit, float32.
        pairs: how it reads a query and a document.
        card: how it was made; saved with it.
    """

    network: torch.nn.Module
    pairs: Pairs
    card: Mapping[str, Any]

    def save(self, folder: Path) -> Path:
        """Write a self-contained folder; its probes are computed from what was written.

        Args:
            folder: replaced if it is there; the reranker takes its name.

        Raises:
            InputError: the place cannot be written or the disk is full.
        """
        network: Any = self.network
        with new_folder(Path(folder)) as place:
            network.save_pretrained(place)
            self.pairs.tokenizer.fast.save_pretrained(place)
            config = transformer.read_config(place, layers=None, bidirectional=False)
            weights_id = transformer.identity(place, config)
            said = {
                "kind": KIND,
                "format": 1,
                "name": Path(folder).name,
                "max_tokens": self.pairs.max_tokens,
                "template": list(self.pairs.template),
                "weights_id": weights_id,
                "probes": _probes(place, config, self.pairs),
            }
            write_json(place / layout.OURS, said)
            write_json(place / "card.json", {**self.card, "kind": KIND, "weights_id": weights_id})
        return Path(folder)


def _probes(folder: Path, config: Any, pairs: Pairs) -> list[dict[str, Any]]:
    """`query`, `document` and `score` of each of PROBES, by the network in `folder`."""
    network = transformer.read_model(folder, config, "float32", head="SequenceClassification")
    device = next(network.parameters()).device
    found = []
    for query, document in PROBES:
        (first,), second = pairs.queries([query]), pairs.documents([document]).ids[0]
        with torch.no_grad():
            given = pairs.inputs([pairs.join(first, second)], device)
            score = float(network(**given).logits[0, 0])
        found.append({"query": query, "document": document, "score": score})
    return found
