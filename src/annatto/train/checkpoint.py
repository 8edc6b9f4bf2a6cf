"""Where training stands, on disk: what is trained, the optimizer, the step and the metric log.

The step is also the position of the schedule and of the batch plan; and as all random numbers of a
step depend on the seed and its number alone, there is no random state to keep.

Tensors are safetensors, never pickles. A checkpoint is a folder that is whole or not there, and
names the run it belongs to, so that another recipe's checkpoint is refused.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from annatto.core.atomic import new_folder, read_json, write_json
from annatto.core.errors import UsageError

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Best:
    """The best evaluated state so far.

    Attributes:
        value: its score, higher is better; −∞ before the first evaluation.
        step: how many steps were done then; 0 before the first evaluation.
        state: what was trained, on the processor.
    """

    value: float = -math.inf
    step: int = 0
    state: State = field(default_factory=dict)

    def better(self, value: float, step: int, model: torch.nn.Module) -> Best:
        """The better of this and `model` now; of equals, the earlier."""
        if value <= self.value:
            return self
        return Best(value, step, {name: t.cpu().clone() for name, t in trained(model).items()})


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        done: steps.
        log: one row per step.
        best: the best evaluated state.
    """

    done: int = 0
    log: list[Mapping[str, Any]] = field(default_factory=list)
    best: Best = field(default_factory=Best)


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
    progress: Progress,
    *,
    run: str,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the checkpoint of `progress` and remove the one before."""
    moments: State = {}
    for number, values in optimizer.state_dict()["state"].items():
        moments |= {f"{number}.{key}": value.contiguous() for key, value in values.items()}
    best = progress.best
    place = work / f"checkpoint-{progress.done:08}"
    with new_folder(place) as folder:
        weights = {name: tensor.contiguous() for name, tensor in trained(model).items()}
        save_file(weights, folder / "trained.safetensors")
        save_file(moments, folder / "optimizer.safetensors")
        if best.step:
            save_file(best.state, folder / "best.safetensors")
        said = {"run": run, "step": progress.done, "log": progress.log}
        if best.step:
            said["best"] = {"value": best.value, "step": best.step}
        write_json(folder / "state.json", said)
    for old in sorted(work.glob("checkpoint-*")):
        if old != place:
            shutil.rmtree(old)


def newest(work: Path, *, run: str) -> Path | None:
    """The checkpoint to go on from, if there is one.

    Raises:
        UsageError: it belongs to another model, collection or other settings.
    """
    places = sorted(path for path in work.glob("checkpoint-*") if ".tmp-" not in path.name)
    if places and read_json(places[-1] / "state.json")["run"] != run:
        raise UsageError(
            f"{places[-1]} belongs to another model, collection or settings; remove {work} to "
            "start over, or choose another place."
        )
    return places[-1] if places else None


def restore(
    work: Path, *, run: str, model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Progress:
    """Put the newest checkpoint into `model` and `optimizer`; nothing done when there is none.

    Raises:
        UsageError: the checkpoint belongs to another model, collection or other settings.
    """
    place = newest(work, run=run)
    if place is None:
        return Progress()
    said = read_json(place / "state.json")
    put(model, load_file(place / "trained.safetensors"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(place / "optimizer.safetensors").items():
        number, _, field_name = key.partition(".")
        state.setdefault(int(number), {})[field_name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    best = Best()
    if "best" in said:
        best = Best(state=load_file(place / "best.safetensors"), **said["best"])
    return Progress(int(said["step"]), list(said["log"]), best)
