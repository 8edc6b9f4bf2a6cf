"""Where training stands, on disk: what is trained, the optimizer, the step and the metric log.

Tensors are safetensors, never pickles. A checkpoint is a folder that is whole or not there, and
names the run it belongs to, so that another recipe's checkpoint is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from annatto.core.atomic import new_folder, read_json, write_json
from annatto.core.errors import UsageError

State = dict[str, torch.Tensor]


def trained(model: torch.nn.Module) -> State:
    """The parameters that training changes, by name."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def put(model: torch.nn.Module, state: State) -> None:
    """Copy these tensors into the parameters of the same names."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in state.items():
            parameters[name].copy_(tensor)


def save(
    work: Path,
    *,
    run: str,
    step: int,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    log: list[Mapping[str, Any]],
) -> None:
    """Write the checkpoint after `step` steps and remove the one before."""
    moments: State = {}
    for number, values in optimizer.state_dict()["state"].items():
        moments |= {f"{number}.{key}": value.contiguous() for key, value in values.items()}
    place = work / f"checkpoint-{step:08}"
    with new_folder(place) as folder:
        weights = {name: tensor.contiguous() for name, tensor in trained(model).items()}
        save_file(weights, folder / "trained.safetensors")
        save_file(moments, folder / "optimizer.safetensors")
        write_json(folder / "state.json", {"run": run, "step": step, "log": log})
    for old in sorted(work.glob("checkpoint-*")):
        if old != place:
            shutil.rmtree(old)


def restore(
    work: Path, *, run: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, list[Mapping[str, Any]]]:
    """Put the newest checkpoint into `model` and `optimizer`; (0, []) when there is none.

    Returns:
        How many steps are done, and their log.

    Raises:
        UsageError: the checkpoint belongs to another model, collection or other settings.
    """
    places = sorted(path for path in work.glob("checkpoint-*") if ".tmp-" not in path.name)
    if not places:
        return 0, []
    said = read_json(places[-1] / "state.json")
    if said["run"] != run:
        raise UsageError(
            f"{places[-1]} belongs to another model, collection or settings; remove {work} to "
            "start over, or choose another place."
        )
    put(model, load_file(places[-1] / "trained.safetensors"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(places[-1] / "optimizer.safetensors").items():
        number, _, field = key.partition(".")
        state.setdefault(int(number), {})[field] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return int(said["step"]), list(said["log"])
