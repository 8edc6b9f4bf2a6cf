"""The copy of a model that is trained, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from annatto.models import prefix
from annatto.models.adapter import Adapter
from annatto.models.embedder import Embedder
from annatto.models.transformer import auto_dtype, state_identity
from annatto.ops.tree_attention import SHORT
from annatto.train import checkpoint, lora
from annatto.train.settings import Settings


def copy(model: Embedder, settings: Settings, device: torch.device) -> Embedder:
    """A copy to train on `device`: frozen weights with adapters, or all weights in float32.

    It encodes in this process alone: another would read the weights from before training.
    """
    student = _adapted(model, settings, model.dtype if settings.lora_rank else "float32")
    student = replace(student, devices=1)
    is_padded = student.max_tokens <= SHORT and bool(prefix.obstacle(student.model))
    place(student.model, settings, device, is_short=is_padded)
    return student


def place(
    network: Any, settings: Settings, device: torch.device, *, is_short: bool
) -> torch.nn.Module:
    """Bring a network to where it is trained and into training mode, in place.

    Args:
        network: of transformers, with adapters where the settings ask for them.
        settings: `lora_rank` (0 trains all weights) and `gradient_checkpointing` are read.
        device: where to.
        is_short: it takes padded batches of at most SHORT tokens a text.
    """
    placed: Any = network.to(device).train()
    if settings.lora_rank == 0:
        placed.requires_grad_(True)
    if device.type == "cpu" and is_short:
        placed.set_attn_implementation("eager")
    if settings.gradient_checkpointing:
        how = {"use_reentrant": False}
        placed.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
    whole: torch.nn.Module = placed
    return whole


def is_mixed(model: Embedder, settings: Settings) -> bool:
    """Whether to compute in bfloat16: as the frozen weights are, or as the processor can."""
    return (auto_dtype() if settings.lora_rank == 0 else model.dtype) == "bfloat16"


def merged(model: Embedder, settings: Settings, state: checkpoint.State) -> Embedder:
    """`model` with what was trained, in float32; adapters are merged into the original weights."""
    whole = _adapted(model, settings, "float32")
    checkpoint.put(whole.model, state)
    if settings.lora_rank:
        adapter = Adapter.of(whole.model)
        whole = replace(whole, model=lora.merge(whole.model), adapter=adapter)
    whole.model.eval().requires_grad_(False)
    return replace(whole, weights_id=state_identity(whole.model))


def _adapted(model: Embedder, settings: Settings, dtype: str) -> Embedder:
    student = model.reload(dtype)
    if settings.lora_rank == 0:
        return student
    adapted = lora.attach(
        student.model, rank=settings.lora_rank, alpha=settings.lora_alpha, seed=settings.seed
    )
    return replace(student, model=adapted)
