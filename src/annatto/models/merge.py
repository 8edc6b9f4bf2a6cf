"""Two states of one model, mixed weight by weight."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import Any

from annatto.core.errors import UsageError, WeightsError
from annatto.models.embedder import Embedder
from annatto.models.transformer import PASSING, state_identity

STAGE = "models.merge"
SHAPES = ("model_type", "num_hidden_layers", "hidden_size", "vocab_size")
"""Settings that are named first where they differ; all others follow from them, or matter less."""


def merge(before: Embedder, after: Embedder, *, alpha: float, name: str = "") -> Embedder:
    """The model at before + alpha · (after − before), computed in float32.

    Everything but the weights (prompts, pooling, token limit) is that of `after`.

    Paper: Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), 2022,
        arXiv:2109.01903, section 3, read second-hand.
    Differs: embedding models instead of image classifiers with a zero-shot head; alpha may be
        chosen on dev (`evaluate.tradeoff`), where they recommend 0.5.

    Args:
        before: the model that `after` was trained from, in float32.
        after: the trained model, in float32.
        alpha: share of what was learnt that is kept, in [0, 1]; 0 is `before`, 1 is `after`.
        name: of the result; that of `after` when empty.

    Raises:
        UsageError: alpha is no share, or a model was loaded in bfloat16.
        WeightsError: the two differ in architecture, tokenizer or pooling.
    """
    if not (math.isfinite(alpha) and 0 <= alpha <= 1):
        raise UsageError(f"{STAGE} needs alpha from 0 to 1; found {alpha}.")
    for one in (before, after):
        if one.dtype != "float32":
            raise UsageError(f"{STAGE} needs float32; {one.name} is {one.dtype}: load it anew.")
    _check_alike(before, after)
    model = copy.deepcopy(after.model)
    old = before.model.state_dict()
    mixed = {
        key: old[key].lerp(tensor, alpha) if tensor.is_floating_point() else tensor
        for key, tensor in after.model.state_dict().items()
    }
    model.load_state_dict(mixed)
    parents = {
        role: {"name": one.name, "weights_id": one.weights_id}
        for role, one in (("before", before), ("after", after))
    }
    card = {"stage": STAGE, "settings": {"alpha": alpha}, "inputs": parents}
    return replace(
        after,
        name=name or after.name,
        model=model,
        weights_id=state_identity(model),
        adapter=None,
        card=card,
    )


def _check_alike(before: Embedder, after: Embedder) -> None:
    """Refuse two models whose weights do not mean the same thing.

    Raises:
        WeightsError: what differs first is named.
    """
    who = f"{before.name} and {after.name} cannot be mixed"
    remedy = "merge a model with the one that it was trained from"
    ours, theirs = _config(before), _config(after)
    differ = sorted(k for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k))
    if differ:
        key = next((k for k in SHAPES if k in differ), differ[0])
        raise WeightsError(
            f"{who}: {key} is {ours.get(key)} in one and {theirs.get(key)} in the other; {remedy}."
        )
    shapes = [
        {key: tuple(tensor.shape) for key, tensor in one.model.state_dict().items()}
        for one in (before, after)
    ]
    wrong = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))
    if wrong:
        raise WeightsError(
            f"{who}: {len(wrong)} weights are not in both with one shape (first: {wrong[0][0]} "
            f"{wrong[0][1]}); {remedy}."
        )
    if _tokens(before) != _tokens(after):
        raise WeightsError(f"{who}: their tokenizers cut texts differently; {remedy}.")
    if before.pooling != after.pooling:
        raise WeightsError(
            f"{who}: one is read at {before.pooling}, the other at {after.pooling} pooling; load "
            "both with the same."
        )


def _config(model: Embedder) -> dict[str, Any]:
    config: Any = model.model.config
    return {key: value for key, value in config.to_dict().items() if key not in PASSING}


def _tokens(model: Embedder) -> tuple[dict[str, int], tuple[int, ...], tuple[int, ...]]:
    """The vocabulary, and what is put around a text."""
    tokenizer = model.tokenizer
    return tokenizer.fast.get_vocab(), tokenizer.before, tokenizer.after
