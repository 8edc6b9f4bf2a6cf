"""A frozen linear layer with a low-rank adapter, forward and backward written out.

The adapter's products stay in the dtype of the frozen weights and are added in place. peft's own
forward casts every input to float32 and back, and adds through further copies: on a CPU that costs
as much as the products themselves.
"""

from __future__ import annotations

import types
from typing import Any

import torch
from torch.nn.functional import linear


class Adapted(torch.autograd.Function):
    """y = x Wᵀ + bias + scale · (x Aᵀ) Bᵀ with gradients for x, A and B; W and bias are frozen."""

    @staticmethod
    def forward(
        context: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        down: torch.Tensor,
        up: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """Rows x (…, in) to (…, out) in the dtype of `weight`.

        Args:
            context: torch's.
            x: inputs.
            weight: W, (out, in).
            bias: (out,) or None.
            down: A, (rank, in), float32.
            up: B, (out, rank), float32.
            scale: of the adapter's part.
        """
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        inner = flat @ down.to(weight.dtype).T
        out = linear(flat, weight, bias)
        out.addmm_(inner, (up * scale).to(weight.dtype).T)
        context.save_for_backward(flat, inner, weight, down, up)
        context.scale, context.shape = scale, x.shape
        context.dtype = x.dtype
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients of `forward`'s arguments, in their dtypes."""
        flat, inner, weight, down, up = context.saved_tensors
        above = gradient.reshape(-1, gradient.shape[-1]).to(weight.dtype)
        within = above @ (up * context.scale).to(weight.dtype)
        to_x = None
        if context.needs_input_grad[0]:
            to_x = above @ weight
            to_x.addmm_(within, down.to(weight.dtype))
            to_x = to_x.view(context.shape).to(context.dtype)
        to_down = (within.T @ flat).to(down.dtype)
        to_up = (above.T @ inner).to(up.dtype) * context.scale
        return to_x, None, None, to_down, to_up, None


def quicken(model: torch.nn.Module) -> None:
    """Let peft's adapted linear layers of `model` compute through `Adapted`.

    Args:
        model: with one adapter, without dropout or variants, as `lora.attach` makes it. Layers that
            keep their weights the other way round, as GPT-2's do, are left to peft.
    """
    from peft.tuners.lora import Linear

    for layer in model.modules():
        if isinstance(layer, Linear) and isinstance(layer.base_layer, torch.nn.Linear):
            layer.forward = types.MethodType(_forward, layer)


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    (name,) = layer.active_adapters
    base = layer.base_layer
    found: torch.Tensor = Adapted.apply(  # type: ignore[no-untyped-call]
        x,
        base.weight,
        base.bias,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
    return found
