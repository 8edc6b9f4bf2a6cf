"""Any encoder or decoder, read as a network with a head: one score for a pair, or two per token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from annatto.core.errors import WeightsError
from annatto.models import layout, transformer
from annatto.models.pairs import Pairs, open_pairs
from annatto.models.weights import resolve, weights_files

PAD = "<pad>"
LOGITS = {"SequenceClassification": 1, "QuestionAnswering": 2}
"""Heads, in transformers' words, and how many numbers each gives."""


@dataclass(frozen=True)
class Backbone:
    """What a reranker or a span reader begins with.

    Attributes:
        name: the last part of its weights' name.
        network: with its head, float32, on the processor.
        pairs: how it reads a pair.
        weights_id: sha256 over configuration and weights, its new head excepted.
    """

    name: str
    network: torch.nn.Module
    pairs: Pairs
    weights_id: str


def read(
    weights: str | Path,
    *,
    layers: int,
    max_tokens: int,
    seed: int,
    head: str = "SequenceClassification",
) -> Backbone:
    """Read a backbone; a head that it lacks is drawn anew, the same for the same seed.

    Args:
        weights: see `models.weights.resolve`; a reranker, too, which keeps its head.
        layers: keep only the first so many; 0 keeps all.
        max_tokens: limit of a pair, at most what the positions allow.
        seed: of the new head.
        head: of LOGITS.

    Raises:
        WeightsError: no such weights, no architecture with such a head, or a tokenizer without a
            padding token.
    """
    folder = resolve(weights)
    if (folder / "modules.json").exists() and not (folder / layout.OURS).exists():
        folder = layout.read(folder).transformer
    config = transformer.read_config(folder, layers=layers or None, bidirectional=False)
    weights_id = transformer.identity(folder, config)
    if getattr(config, "is_encoder_decoder", False):
        raise WeightsError(
            f"{folder} is an encoder with a decoder; a reranker needs one of the two alone."
        )
    network = _network(folder, config, seed, head)
    limit = min(max_tokens, transformer.window(network))
    fast = transformer.read_tokenizer(folder, ends_in_eos=False).fast
    pairs = open_pairs(fast, network, max_tokens=limit)
    _agree(network, pairs)
    return Backbone(Path(weights).name, network, pairs, weights_id)


def _network(folder: Path, config: Any, seed: int, head: str) -> torch.nn.Module:
    weights_files(folder)
    config.num_labels = LOGITS[head]
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            found, _ = transformer.read_as(folder, head, config=config, dtype=torch.float32)
    except (ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{folder} cannot be read as a network for {head} ({str(error)[:200]}); give a "
            "backbone without a head, or one with the same."
        ) from error
    network: torch.nn.Module = found
    return network


def _agree(network: Any, pairs: Pairs) -> None:
    """Tell the network the padding token; one that is new gets a row of zeros.

    Transformers reads a decoder's score at the last token that is not padding; so one that pads
    with EOS gets `<pad>` of its own.
    """
    fast = pairs.tokenizer.fast
    if transformer.is_causal(network) and fast.pad_token_id in pairs.frame.after:
        fast.add_special_tokens({"pad_token": PAD})
    rows = network.get_input_embeddings().num_embeddings
    if len(fast) > rows:
        network.resize_token_embeddings(len(fast), mean_resizing=False)
        with torch.no_grad():
            network.get_input_embeddings().weight[rows:] = 0
    network.config.pad_token_id = fast.pad_token_id
