"""What stages give: how each kind is written, read again, and named by its content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from annatto.app.recipe import place_key
from annatto.core.atomic import new_file
from annatto.core.errors import InputError, a
from annatto.core.store import collection_hash, open_collection, save

UNHASHED = ("timing.json",)
MODEL_FILES = (".json", ".safetensors", ".txt", ".jinja", ".model")


def write(value: Any, kind: str, folder: Path) -> None:
    """Write what a stage gave to `folder`, whole or not at all."""
    if kind == "collection":
        save(value, folder)
        return
    value.save(folder)
    if kind != "evaluation":
        _write_metrics(value, folder)


def _write_metrics(model: Any, folder: Path) -> None:
    """Put the metric log of a trained model beside it."""
    from annatto.train.metrics import FILE, lines

    log = model.card.get("notes", {}).get("log")
    if log:
        with new_file(folder / FILE) as place:
            place.write_text(lines(log), encoding="utf-8")


def reopen(folder: Path, kind: str) -> Any:
    """Read what a stage wrote; the next stage never sees what was only in memory."""
    if kind == "collection":
        return open_collection(folder)
    if kind == "model":
        return load_model({"name": folder.name, "weights": folder})
    if kind == "scorer":
        return load_model({"name": folder.name, "reranker": folder})
    if kind == "reader":
        return load_model({"name": folder.name, "reader": folder})
    if kind == "evaluation":
        from annatto.evaluate.evaluation import Evaluation

        return Evaluation.load(folder)
    return folder


def load_model(settings: Mapping[str, Any]) -> Any:
    """The model of a `[models.NAME]` table: an LLM by `llm`, anything else by `loader`."""
    key = place_key(settings)
    if key == "llm":
        from annatto.app.judges import load_llm

        return load_llm(settings)
    given = dict(settings)
    return loader(key)(given.pop(key), **given)


def loader(key: str) -> Callable[..., Any]:
    """What loads an Embedder by `weights`, a Scorer by `reranker` or `likelihood`, or a Reader."""
    if key == "reranker":
        from annatto.models.reranker import CrossEncoder

        return CrossEncoder.load
    if key == "likelihood":
        from annatto.models.likelihood import Likelihood

        return Likelihood.load
    if key == "reader":
        from annatto.models.span import SpanReader

        return SpanReader.load
    from annatto.models.embedder import Embedder

    return Embedder.load


def content(folder: Path, kind: str) -> str:
    """sha256 of what `folder` means: values of a collection or an index, bytes of all else."""
    if kind == "collection":
        return collection_hash(open_collection(folder))
    if kind_at(folder) == "index":
        from annatto.index.folder import open_index

        return open_index(folder).hash()
    return tree_hash(folder)


def tree_hash(place: Path) -> str:
    """sha256 over the names and bytes of a file, or of all files in a folder but timing.json."""
    digest = hashlib.sha256()
    paths = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    for path in paths:
        if path.name in UNHASHED:
            continue
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(place).as_posix()}\0{inner}\n".encode())
    return digest.hexdigest()


def model_content(name: str, settings: Mapping[str, Any]) -> str:
    """sha256 of a model that is loaded, not made: its files, its name and how it is read.

    Raises:
        WeightsError: the weights are not on this machine.
    """
    from annatto.models.weights import file_hash, resolve

    key = place_key(settings)
    if key == "llm":
        from annatto.app.judges import llm_content

        return llm_content(name, settings)
    folder = resolve(settings[key])
    files = sorted(p for p in folder.rglob("*") if p.suffix in MODEL_FILES and p.is_file())
    said = {
        "name": name,
        "settings": {other: value for other, value in settings.items() if other != key},
        "files": [(path.relative_to(folder).as_posix(), file_hash(path)) for path in files],
    }
    return digest_of(said if key == "weights" else {**said, "read as": key})


def digest_of(value: Any) -> str:
    """sha256 of a value written as JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def kind_at(folder: Path) -> str | None:
    """What a folder says it holds; None where it says nothing."""
    try:
        card = json.loads((folder / "card.json").read_text())
    except (OSError, ValueError):
        return None
    return str(card["kind"]) if isinstance(card, dict) and "kind" in card else None


def replaceable(folder: Path, kind: str) -> None:
    """Refuse to write over something that is not an older `kind`.

    Raises:
        InputError: the folder holds something else.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    found = kind_at(folder)
    if found != kind:
        holds = f"holds {a(found)}" if found else "holds something else"
        raise InputError(
            f"{folder} exists and {holds}, not {a(kind)} to replace; choose another place with -o, "
            "or remove it."
        )
