"""A model card as sentence-transformers and the hub read it, made of a report's figures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from annatto.core.atomic import new_file, read_json
from annatto.core.errors import InputError, UsageError, nearest
from annatto.evaluate import details

FILE = "README.md"
MADE = "<!-- made by annatto from report.json -->"
Told = Mapping[str, Any]
"""What report.json holds; see `evaluate.report.write`."""


def model_card(told: Told, system: str) -> str:
    """The card of one measured system, Markdown under the hub's YAML.

    Args:
        told: what report.json holds.
        system: one that was trained here.

    Raises:
        UsageError: no such system was trained here; those that were are named.
    """
    trained = _trained(told)
    if system not in trained:
        raise UsageError(
            f"a model card needs a system that was trained by annatto; found '{system}'; "
            f"{nearest(system, trained)}."
        )
    model = trained[system]
    lines = [
        *_metadata(told, system),
        *(f"# {system}", "", MADE, ""),
        *_about(model),
        *_usage(model),
        *_measured(told, system),
        *_forgotten(told, system),
        *_training(model),
    ]
    return "\n".join(lines) + "\n"


def put(report: Path, system: str, model: Path) -> Path:
    """Write the card of `system` as README.md into a model's folder.

    Args:
        report: a folder that `evaluate.report.write` made.
        system: as the report calls the model.
        model: its folder, where a card that annatto made before is replaced.

    Raises:
        UsageError: no such system was trained here.
        InputError: `report` or `model` is none, or the folder has a README.md of someone else.
    """
    source, place = Path(report) / "report.json", Path(model) / FILE
    if not source.exists():
        raise InputError(f"{report} holds no report.json; make it with annatto evaluate.")
    if not (Path(model) / "annatto.json").exists():
        raise InputError(f"{model} is no model that annatto saved (it has no annatto.json).")
    if place.exists() and MADE not in place.read_text(encoding="utf-8"):
        raise InputError(f"{place} was not made by annatto; move it away to have it made.")
    _write(model_card(read_json(source), system), place)
    return place


def write_all(told: Told, folder: Path) -> None:
    """Write `folder`/SYSTEM.md for every system that was trained here."""
    for system in _trained(told):
        _write(model_card(told, system), folder / f"{_file_name(system)}.md")


def _write(card: str, place: Path) -> None:
    with new_file(place) as path:
        path.write_text(card, encoding="utf-8")


def _file_name(system: str) -> str:
    return re.sub(r"[^\w.-]+", "-", system).strip("-.") or "model"


def _trained(told: Told) -> dict[str, Any]:
    models = told["notes"].get("models", {})
    return {name: said for name, said in models.items() if "training" in said}


def _metadata(told: Told, system: str) -> Iterator[str]:
    """What the hub reads; strings are quoted as JSON, which YAML understands."""
    yield from ("---", "library_name: sentence-transformers", "pipeline_tag: sentence-similarity")
    yield "tags:"
    tags = ("sentence-transformers", "sentence-similarity", "feature-extraction", "annatto")
    yield from (f"- {tag}" for tag in tags)
    yield from ("model-index:", f"- name: {json.dumps(system)}", "  results:")
    yield from ("  - task:", "      type: information-retrieval", "      name: Retrieval")
    name, split = json.dumps(told["title"]), json.dumps(told["notes"]["split"])
    yield from (
        "    dataset:",
        f"      name: {name}",
        "      type: unknown",
        f"      split: {split}",
    )
    yield "    metrics:"
    for row in _rows(told, system):
        kind = json.dumps(row["measure"].lower())
        yield from (f"    - type: {kind}", f"      value: {row['mean']:.6f}")
        yield f"      name: {json.dumps(row['measure'])}"
    yield from ("---", "")


def _about(model: Told) -> Iterator[str]:
    yield f"A text embedding model: {model['dim']:,} dimensions, {model['pooling']} pooling, at"
    yield f"most {model['max_tokens']:,} tokens; vectors of length 1, compared by cosine."
    yield ""
    yield details.line(["prompt", "instruction"])
    yield details.line(["---", "---"])
    for name, instruction in model["prompts"].items():
        shown = " ".join((instruction or "none").split()).replace("|", "\\|")
        yield details.line([f"`{name}`", shown])
    yield from ("", f"Weights: `{model['weights_id']}`", "")


def _usage(model: Told) -> Iterator[str]:
    place = json.dumps(model["name"])
    yield from ("## Use it", "", "```python")
    yield "from sentence_transformers import SentenceTransformer"
    yield ""
    yield f"model = SentenceTransformer({place})  # or the folder of this file"
    yield 'queries = model.encode(["what is asked"], prompt_name="query")'
    yield 'documents = model.encode(["what is searched"], prompt_name="document")'
    yield "scores = model.similarity(queries, documents)  # cosines, higher = more relevant"
    yield from ("```", "")


def _measured(told: Told, system: str) -> Iterator[str]:
    sizes, split = told["notes"]["sizes"], told["notes"]["split"]
    yield from ("## How good it is", "")
    yield f"{sizes['queries']:,} {split} queries, {sizes['documents']:,} documents; 95 % intervals."
    yield from ("", details.line(["measure", "mean", "interval"]), details.line(["---"] * 3))
    for row in _rows(told, system):
        yield details.line(
            [row["measure"], f"{row['mean']:.3f}", f"{row['low']:.3f}–{row['high']:.3f}"]
        )
    yield ""
    for one in told["comparisons"]:
        if one["after"] == system:
            yield (
                f"- Against {one['before']}: {one['verdict']}, {one['measure']} "
                f"{one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})."
            )
    yield from ("", *(f"- {said}" for said in details.measured(told["notes"])), "")


def _forgotten(told: Told, system: str) -> Iterator[str]:
    for one in told["forgetting"]:
        if one["after"] != system:
            continue
        yield from ("## What it kept and forgot", "")
        yield one["warning"] or f"No task fell clearly below {one['before']}."
        yield ""
        yield details.line(["task", "measure", "before", "after", "interval of the difference"])
        yield details.line(["---"] * 5)
        for task in one["tasks"]:
            means = (f"{task[name]:.3f}" for name in ("mean_before", "mean_after"))
            interval = f"{task['low']:+.3f} to {task['high']:+.3f}"
            yield details.line([task["task"], task["measure"], *means, interval])
        yield ""


def _training(model: Told) -> Iterator[str]:
    training = model["training"]
    notes, inputs = training["notes"], training["inputs"]
    yield from ("## How it was trained", "")
    yield f"By `{training['stage']}`, from weights `{inputs.get('weights_id', 'unknown')}` on"
    yield f"collection `{inputs.get('collection', 'unknown')}`"
    yield f"({notes.get('queries', 0):,} queries, {notes.get('examples', 0):,} examples)."
    yield from ("", details.line(["setting", "value"]), details.line(["---"] * 2))
    for name, value in training["settings"].items():
        shown = json.dumps(value, ensure_ascii=False).replace("|", "\\|")
        yield details.line([name, f"`{shown}`"])


def _rows(told: Told, system: str) -> list[Told]:
    return [row for row in told["table"] if row["system"] == system]
