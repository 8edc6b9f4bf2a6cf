"""What must be equal for two encoders' vectors to be comparable."""

from __future__ import annotations

from typing import Any

from annatto.core.types import Encoder, Prompt


def identity(encoder: Encoder) -> dict[str, Any]:
    """Weights, document prompt, pooling, token limit and dimension, as JSON.

    Not the dtype, nor any query prompt. An encoder that does not tell has its name for weights, a
    plain prompt and no limit.
    """
    prompt = getattr(encoder, "prompts", {}).get("document", Prompt.plain())
    return {
        "weights_id": getattr(encoder, "weights_id", encoder.name),
        "prompt": {
            "template": prompt.template,
            "instruction": prompt.instruction,
            "demos": [list(pair) for pair in prompt.demos],
            **({"demo": prompt.demo} if prompt.demos else {}),
        },
        "pooling": getattr(encoder, "pooling", None),
        "max_tokens": getattr(encoder, "max_tokens", None),
        "dim": encoder.dim,
    }
