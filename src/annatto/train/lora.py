"""Low-rank adapters on a transformer, through peft."""

from __future__ import annotations

from typing import Any

import torch

from annatto.core.errors import MissingExtra
from annatto.train.adapted import quicken


def attach(model: torch.nn.Module, *, rank: int, alpha: int, seed: int) -> torch.nn.Module:
    """Freeze `model` and put float32 adapters on all its linear layers, in place.

    Args:
        model: a transformer without a head.
        rank: of the update, r.
        alpha: the update is scaled by alpha / rank.
        seed: of the adapters' random half; the other half is 0, so the first output is unchanged.

    Raises:
        MissingExtra: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtra("training with LoRA", "train") from error
    unused = [name for name, _ in model.named_modules() if name == "pooler.dense"]  # BERT's head
    config = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules="all-linear", exclude_modules=unused or None
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted: Any = get_peft_model(model, config, autocast_adapter_dtype=True)
    quicken(adapted)
    whole: torch.nn.Module = adapted
    return whole


def merge(model: torch.nn.Module) -> torch.nn.Module:
    """Add the adapters into the weights and take them off."""
    adapted: Any = model
    plain: torch.nn.Module = adapted.merge_and_unload()
    return plain
