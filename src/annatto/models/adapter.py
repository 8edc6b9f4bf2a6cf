"""A low-rank adapter, kept as it was before it was merged into the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from annatto.core.atomic import write_json


@dataclass(frozen=True)
class Adapter:
    """What training with LoRA changed.

    Attributes:
        settings: of peft's `adapter_config.json`, as plain JSON values.
        weights: by the names in peft's `adapter_model.safetensors`.
    """

    settings: Mapping[str, Any]
    weights: Mapping[str, torch.Tensor]

    @staticmethod
    def of(model: torch.nn.Module) -> Adapter:
        """The adapter that is on `model`, a peft model; copied, so that merging leaves it alone.

        The base model is not named in it: it is what the merged folder's card says training began
        with, and a path of this machine would tell nobody else.
        """
        from peft import get_peft_model_state_dict

        adapted: Any = model
        found = adapted.peft_config[adapted.active_adapter].to_dict()
        settings = {k: sorted(v) if isinstance(v, set) else v for k, v in found.items()}
        settings |= {"base_model_name_or_path": None, "inference_mode": True}
        state = get_peft_model_state_dict(model)
        weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        return Adapter(settings, weights)

    def write(self, folder: Path) -> None:
        """Write it as peft does; `PeftModel.from_pretrained(base, folder)` reads it."""
        folder.mkdir(parents=True)
        weights = {name: tensor.contiguous() for name, tensor in self.weights.items()}
        save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        write_json(folder / "adapter_config.json", self.settings)
