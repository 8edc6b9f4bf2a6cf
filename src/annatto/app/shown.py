"""A recipe's plan, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annatto.app.recipe import Reference
from annatto.app.run import Step
from annatto.core.errors import a


def as_rows(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """One row per stage: name, use, inputs, settings with defaults, whether it is kept and why."""
    return [
        {
            "name": step.call.stage.name,
            "use": step.call.stage.use,
            "inputs": dict(step.call.inputs),
            "settings": dict(step.call.resolved),
            "gives": step.call.gives,
            "skip": step.is_kept,
            "why": step.why,
        }
        for step in steps
    ]


def as_text(steps: Sequence[Step]) -> str:
    """The same as a few lines per stage."""
    blocks = []
    for number, step in enumerate(steps, start=1):
        does = "skip" if step.is_kept else "run"
        lines = [f"[{number}/{len(steps)}] {step.call.stage.name}: {does} ({step.why})"]
        lines.append(f"    {step.call.stage.use} gives {a(step.call.gives)}")
        inputs = ", ".join(f"{name} = {_named(ref)}" for name, ref in step.call.inputs.items())
        settings = ", ".join(f"{name} = {value}" for name, value in step.call.resolved.items())
        lines += [f"    reads {inputs}"] * bool(inputs) + [f"    with {settings}"] * bool(settings)
        blocks.append("\n".join(lines))
    return "\n".join(blocks)


def _named(reference: Reference) -> str:
    if isinstance(reference, str):
        return reference
    if isinstance(reference, Mapping):
        return "{" + ", ".join(f"{key} = {name}" for key, name in reference.items()) + "}"
    return "[" + ", ".join(reference) + "]"
