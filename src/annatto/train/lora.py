"""Low-rank adapters on a transformer, through peft."""

from __future__ import annotations

from typing import Any

import torch

from annatto.core.errors import MissingExtra
from annatto.train.adapted import quicken


def attach(
    model: torch.nn.Module, *, rank: int, alpha: int, seed: int, has_head: bool = False
) -> torch.nn.Module:
    """Freeze `model` and put float32 adapters on all its linear layers, in place.

    Args:
        model: a transformer.
        rank: of the update, r.
        alpha: the update is scaled by alpha / rank.
        seed: of the adapters' random half; the other half is 0, so the first output is unchanged.
        has_head: it ends in a classification head, whose weights are trained whole, in float32.

    Raises:
        MissingExtra: peft is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtra("training with LoRA", "train") from error
    unused = [name for name, _ in model.named_modules() if name == "pooler.dense"]  # BERT's head
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear",
        exclude_modules=unused or None,
        task_type="SEQ_CLS" if has_head else None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted: Any = get_peft_model(model, config, autocast_adapter_dtype=True)
    if has_head:
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    quicken(adapted)
    whole: torch.nn.Module = adapted
    return whole


def merge(model: torch.nn.Module) -> torch.nn.Module:
    """Add the adapters into the weights and take them off."""
    adapted: Any = model
    plain: torch.nn.Module = adapted.merge_and_unload()
    return plain
