"""An Embedder as a folder of its own: weights, tokenizer, how texts are read, probes and card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from annatto.core.atomic import new_folder, write_json
from annatto.models import layout
from annatto.models.probes import probe
from annatto.models.prompts import to_json

if TYPE_CHECKING:
    from annatto.models.embedder import Embedder


def save(model: Embedder, folder: Path, *, dtype: str) -> Path:
    """Write `model` to `folder`; identity and probes are those of what was written, read again.

    Args:
        model: whose weights are in `dtype`, or can be brought to it.
        folder: replaced if it is there.
        dtype: of the weights in it.
    """
    whole: Any = model if model.dtype == dtype else model.reload(dtype)
    with new_folder(folder) as place:
        whole.model.save_pretrained(place)
        whole.tokenizer.fast.save_pretrained(place)
        layout.write_modules(
            place,
            pooling=model.pooling,
            dim=model.dim,
            max_tokens=max(model.limit(name) for name in model.prompts),
            prompts=model.prompts,
        )
        if model.adapter:
            model.adapter.write(place / layout.ADAPTER)
        said = {**describe(model), "dtype": dtype}
        write_json(place / layout.OURS, said)
        written = type(model).load(place, dtype=dtype)
        said["weights_id"] = written.weights_id
        said["attention"] = written.attention
        write_json(place / layout.OURS, {**said, "probes": probe(written)})
        card = {**model.card, "kind": "model", "weights_id": written.weights_id}
        write_json(place / "card.json", card)
    return folder


def describe(model: Embedder) -> dict[str, Any]:
    """How texts are read, as plain JSON values."""
    return {
        "format": 1,
        "name": model.name,
        "pooling": model.pooling,
        "max_tokens": model.max_tokens,
        "prompts": to_json(model.prompts),
        "weights_id": None,
    }
